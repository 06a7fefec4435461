"""Statistics of a cached function."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from overdrive._core import Cache

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

__all__ = ("CacheInfo", "MemoInfo", "cache_info")


class CacheInfo(NamedTuple):
    """What `cache_info()` of a cached function or method returns.

    Attributes:
        hits: calls answered from the cache.
        misses: calls that ran the function.
        maxsize: capacity of the cache; `None` if the cache has no limit of its own, as a dictionary.
        currsize: how much of the capacity is in use; the number of items if there is no capacity.

    Example:
        >>> CacheInfo(hits=3, misses=1, maxsize=128, currsize=1)
        CacheInfo(hits=3, misses=1, maxsize=128, currsize=1)
    """

    hits: int
    misses: int
    maxsize: float | None
    currsize: float


class MemoInfo(NamedTuple):
    """What `cache_info()` of a memoized function returns.

    Attributes:
        hits: calls answered without running the function: from the cache, or by another call's result.
        misses: calls that ran the function.
        maxsize: capacity of the cache; `None` if it has no limit.
        currsize: how much of the capacity is in use.
        loads: runs of the function that returned.
        load_seconds: time spent in these; an estimate if each takes less than a microsecond.
        errors: runs that raised.
        evictions: results that left a native cache for want of room.
        expirations: results that left a native cache because their time was up.
    """

    hits: int
    misses: int
    maxsize: float | None
    currsize: float
    loads: int
    load_seconds: float
    errors: int
    evictions: int
    expirations: int


# The public names, under which they are shown and pickled.
CacheInfo.__module__ = MemoInfo.__module__ = "overdrive"


def cache_info(cache: MutableMapping[Any, Any], hits: int, misses: int) -> CacheInfo:
    """Return the counts given, with the sizes of `cache`."""
    if isinstance(cache, Cache):
        return CacheInfo(hits, misses, cache.maxsize, cache.currsize)
    return CacheInfo(hits, misses, None, len(cache))
