"""What a caller gets back for a key, and what a row may be."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ("INLINE_BYTES", "LONGEST_KEY", "TOUCH_EVERY", "UNSIGNED", "Row", "signed")

INLINE_BYTES = 65536
"""The largest blob that is stored within SQLite."""
LONGEST_KEY = 65536
UNSIGNED = 2**64 - 1
TOUCH_EVERY = 600
"""How coarse the times of access are, in seconds."""


class Row(NamedTuple):
    """An entry as it is on disk.

    `blob` is what was stored, unchecked: SQLite has no checksums, so a flipped bit on the disk is a flipped bit here.
    """

    blob: bytes
    """The stored bytes; from `DiskTier.header` only the first of them."""
    expires: float
    """When it ends, in seconds since the epoch; `inf` for never."""
    version: int
    """The version that the writer gave, 0 to 2**64 - 1."""
    attach: bytes
    """Which uninterrupted session of listening its writer was in."""
    tags: tuple[int, ...]
    """The hashes of its tags, 0 to 2**64 - 1 each."""
    size: int
    """The length of the whole blob, in bytes."""
    suspect: bool
    """Whether the machine went down, without a clean close, since it was written: deletes may have been undone."""


def signed(number: int) -> int:
    """Return an unsigned number of 64 bits as SQLite stores it."""
    return number - 2**64 if number >= 2**63 else number
