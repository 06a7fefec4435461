"""Writes traces in every kind of file."""

from __future__ import annotations

import gzip
import lzma
import struct
from collections.abc import Callable, Iterable, Sequence

import zstandard

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


def lines(keys: Iterable[object]) -> bytes:
    """Text with one key a line."""
    return "".join(f"{key}\n" for key in keys).encode()


def table(keys: Iterable[object]) -> bytes:
    """Comma-separated values with the keys in the second column."""
    return "".join(["time,key,bytes\n", *(f'{at},"{key}",{at * 7}\n' for at, key in enumerate(keys))]).encode()


def recording(
    keys: Sequence[int], *, rate: float = 1.0, observed: int | None = None, announced: int | None = None
) -> bytes:
    """What a cache records."""
    header = struct.pack(
        "<8sIIdQQ",
        b"\x89ODTRACE",
        1,
        0,
        rate,
        len(keys) if observed is None else observed,
        len(keys) if announced is None else announced,
    )
    return header + struct.pack(f"<{len(keys)}Q", *keys)
