"""What a `MemoryCache` counts."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ("AgeHistogram", "CacheStats")


class CacheStats(NamedTuple):
    """What `MemoryCache.stats()` returns: counts since the cache was made or `reset_stats()` was called.

    Attributes:
        hits: lookups by `[]`, `get`, `get_many` and `get_or_load` that found a live item.
        misses: lookups that found none.
        loads: loads that returned a value.
        load_errors: loads that raised.
        load_seconds: time spent in both.
        expired: items removed because their time was over.
        evicted: items removed to make room.
        replaced: items that another value took the place of.
        deleted: items deleted, popped, cleared away or invalidated.

    Example:
        >>> CacheStats(hits=3, misses=1).hit_ratio
        0.75
    """

    hits: int = 0
    misses: int = 0
    loads: int = 0
    load_errors: int = 0
    load_seconds: float = 0.0
    expired: int = 0
    evicted: int = 0
    replaced: int = 0
    deleted: int = 0

    @property
    def requests(self) -> int:
        """Hits and misses."""
        return self.hits + self.misses

    @property
    def hit_ratio(self) -> float:
        """Hits per request, 0 to 1; NaN before the first request."""
        return self.hits / self.requests if self.requests else float("nan")


class AgeHistogram(NamedTuple):
    """How long ago the items of a cache were set.

    Attributes:
        seconds: upper bounds of the buckets, in seconds, rising; the last is infinite.
        counts: items in each bucket. Estimates, rounded, in a cache of more than 4096 items: one in 16 of those
            beyond is looked at.
        sampled: how many items were looked at.
    """

    seconds: tuple[float, ...]
    counts: tuple[int, ...]
    sampled: int

    def quantile(self, fraction: float) -> float:
        """Return the upper bound of the bucket that holds this fraction of the items; NaN if there are none.

        Raises:
            ValueError: `fraction` is not between 0 and 1.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction must be from 0 to 1, got {fraction!r}")
        total = sum(self.counts)
        seen = 0
        for bound, count in zip(self.seconds, self.counts, strict=True):
            seen += count
            if count and seen >= fraction * total:
                return bound
        return float("nan")


CacheStats.__module__ = AgeHistogram.__module__ = "overdrive"
