"""LIRSCache: keeps what comes back at short intervals."""

from __future__ import annotations

import copy

from overdrive import LIRSCache


def test_a_loop_larger_than_the_cache_has_hits() -> None:
    cache: LIRSCache[int, int] = LIRSCache(10)
    hits = 0
    for request in range(1000):
        key = request % 12
        if cache.get(key) is None:
            cache[key] = 1
        else:
            hits += 1
    assert hits > 700  # LRU has none


def test_a_scan_passes_by() -> None:
    cache: LIRSCache[int, int] = LIRSCache(10)
    cache.update((number, number) for number in range(10))
    kept = set(cache) - {cache.popitem()[0]}
    cache.update((number, number) for number in range(100, 200))
    assert kept < set(cache)
    assert len(cache) == 10


def test_what_comes_back_sooner_is_kept_instead() -> None:
    cache: LIRSCache[str, int] = LIRSCache(3)
    cache.update(x=0, b=2, a=1)  # room for two to be kept
    cache["d"] = 4
    cache["e"] = 5
    cache["d"] = 4  # sooner than b, which is no longer kept
    cache["f"] = 6
    assert set(cache) == {"a", "d", "f"}


def test_a_copy_keeps_what_is_kept() -> None:
    cache: LIRSCache[int, int] = LIRSCache(10)
    cache.update((number, number) for number in range(10))
    again = copy.copy(cache)
    assert [again.popitem() for _ in range(10)] == [cache.popitem() for _ in range(10)]
