"""What disks, and programs that write to the wrong place, do to files."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path, random.Random], None]


def flip_bits(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 8, 64))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def zero_a_page(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    start = chance.randrange(max(1, len(content) // 4096)) * 4096
    content[start : start + 4096] = bytes(min(4096, len(content) - start))
    path.write_bytes(content)


def truncate(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def swap_pages(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    first, second = (chance.randrange(max(1, len(content) // 4096)) * 4096 for _ in range(2))
    one, two = content[first : first + 4096], content[second : second + 4096]
    content[first : first + 4096], content[second : second + 4096] = two, one
    path.write_bytes(content)


DAMAGES = (flip_bits, zero_a_page, truncate, swap_pages)
