"""WTinyLFUCache: a newcomer has to be asked for more often."""

from __future__ import annotations

import copy

from overdrive import WTinyLFUCache


def filled() -> WTinyLFUCache[int, int]:
    """Return a full cache of ten items, each read twice."""
    cache: WTinyLFUCache[int, int] = WTinyLFUCache(10)
    cache.update((number, number) for number in range(10))
    for number in [*range(10), *range(10)]:
        cache[number]
    return cache


def test_a_scan_passes_by() -> None:
    cache: WTinyLFUCache[int, int] = WTinyLFUCache(100)
    cache.update((number, number) for number in range(100))
    for number in [*range(100), *range(100)]:
        cache[number]
    cache.update((number, number) for number in range(1000, 1100))
    assert len(set(cache) & set(range(100))) > 90
    assert len(cache) == 100


def test_what_is_asked_for_more_often_is_let_in() -> None:
    cache = filled()
    cache[100] = 100
    for _ in range(5):
        cache[100]
    cache[101] = 101
    cache[102] = 102
    assert 100 in cache


def test_a_loop_larger_than_the_cache_has_hits() -> None:
    cache: WTinyLFUCache[int, int] = WTinyLFUCache(10)
    hits = 0
    for request in range(1000):
        key = request % 12
        if cache.get(key) is None:
            cache[key] = 1
        else:
            hits += 1
    assert hits > 500  # LRU has none


def test_a_copy_keeps_the_segments() -> None:
    cache = filled()
    again = copy.copy(cache)
    again.update((number, number) for number in range(100, 110))
    assert len(set(again) & set(range(9))) >= 8
