"""S3FIFOCache: a small queue sorts out what is used once."""

from __future__ import annotations

import copy

from overdrive import S3FIFOCache


def filled() -> S3FIFOCache[int, int]:
    """Return a full cache of ten items, none used since."""
    cache: S3FIFOCache[int, int] = S3FIFOCache(10)
    cache.update((number, number) for number in range(10))
    return cache


def test_one_use_is_not_enough() -> None:
    cache = filled()
    cache[0]
    assert cache.popitem() == (0, 0)


def test_two_uses_lead_past_a_scan() -> None:
    cache = filled()
    cache[0], cache[0]
    cache.update((number, number) for number in range(100, 200))
    assert 0 in cache
    assert len(cache) == 10


def test_what_comes_back_is_kept() -> None:
    cache = filled()
    cache[10] = 10  # 0 leaves
    cache[0] = 0
    cache.update((number, number) for number in range(100, 200))
    assert 0 in cache


def test_a_copy_keeps_queues_and_uses() -> None:
    cache = filled()
    cache[3], cache[3], cache[4]
    again = copy.copy(cache)
    again.update((number, number) for number in range(100, 109))
    assert 3 in again
    assert 4 not in again
