"""Requests that are Python objects: any hashable keys, equal ones being one key, as in a cache."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable
from itertools import islice

from overdrive._core import RequestTrace, TraceBuilder

__all__ = ("from_buffer", "from_objects")

AT_ONCE = 1 << 18
CODES = frozenset("bBhHiIlLqQ")


def from_buffer(integers: memoryview) -> RequestTrace:
    """The integers of an array, without making an object of each.

    Raises:
        TypeError: if they are not integers in one dimension.
    """
    code = integers.format.lstrip("@=<>!")
    if code not in CODES or integers.ndim != 1:
        raise TypeError(
            f"an array of format {integers.format!r} with {integers.ndim} dimensions is no trace: integers in one are"
        )
    builder = TraceBuilder.integers(integers.itemsize)
    for start in range(0, len(integers), AT_ONCE):
        builder.feed(integers[start : start + AT_ONCE].tobytes())
    return builder.finish()


def from_objects(keys: Iterable[Hashable]) -> RequestTrace:
    """The requests that an iterable gives.

    Raises:
        TypeError: if a key cannot be hashed.
    """
    numbers: dict[Hashable, int] = {}
    builder = TraceBuilder.integers(4)
    numbered = (numbers.setdefault(key, len(numbers)) for key in keys)
    while some := array("I", islice(numbered, AT_ONCE)):
        builder.feed(some.tobytes())
    return builder.finish()
