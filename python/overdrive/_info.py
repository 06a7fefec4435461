"""Statistics of a cached function."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from overdrive._core import Cache

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

__all__ = ("CacheInfo", "cache_info")


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


# The public name, under which it is shown and pickled.
CacheInfo.__module__ = "overdrive"


def cache_info(cache: MutableMapping[Any, Any], hits: int, misses: int) -> CacheInfo:
    """Return the counts given, with the sizes of `cache`."""
    if isinstance(cache, Cache):
        return CacheInfo(hits, misses, cache.maxsize, cache.currsize)
    return CacheInfo(hits, misses, None, len(cache))
