"""Memory and reference counts stay where they are, however long the threads run."""

from __future__ import annotations

import gc
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.kinds import Kind
from tests.threads.hammer import run_threads, switching_often

#: One leaked object per step would be ten times this.
SLACK_BYTES = 3_000_000


def resident_bytes() -> int:
    """Return how much of this process is in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_resident_memory_does_not_grow(kind: Kind) -> None:
    cache = kind.make(200, getsizeof=lambda value: 1)

    def work(number: int) -> None:
        generator = random.Random(number)
        for _ in range(2500):
            cache[generator.randrange(400), "key"] = bytes(500)
            cache.get((generator.randrange(400), "key"))
            cache.pop((generator.randrange(400), "key"), None)

    for _ in range(2):
        run_threads(work, count=4)  # fills pools
    before = resident_bytes()
    for _ in range(3):
        run_threads(work, count=4)
    assert resident_bytes() - before < SLACK_BYTES


def test_reference_counts_come_back(kind: Kind) -> None:
    keys = [("key", number) for number in range(50)]
    value = ["value"]
    objects: list[Any] = [*keys, value, kind.cls]
    cache = kind.make(20)

    def work(number: int) -> None:
        generator = random.Random(number)
        for _ in range(500):
            key = generator.choice(keys)
            cache[key] = value
            cache.get(generator.choice(keys), value)
            cache.setdefault(generator.choice(keys), value)
            cache.pop(generator.choice(keys), value)

    cache.clear()
    before = [sys.getrefcount(one) for one in objects]
    none_before = sys.getrefcount(None)
    with switching_often():
        run_threads(work)
    cache.clear()
    gc.collect()
    assert [sys.getrefcount(one) for one in objects] == before
    assert abs(sys.getrefcount(None) - none_before) < 300
