"""Keys as the numbers that a predictor knows them by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ("hash_of",)

_MASK = 2**64 - 1


def hash_of(key: Hashable) -> int:
    """A number from 0 to 2**64 - 1, the same for equal keys; of no meaning to another process."""
    return hash(key) & _MASK
