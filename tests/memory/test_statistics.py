"""What a `MemoryCache` counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from overdrive import AgeHistogram, CacheStats, MemoryCache
from overdrive.testing import FakeClock

Make = Callable[..., MemoryCache[Any, Any]]


def test_lookups_are_counted(make: Make) -> None:
    cache = make()
    assert math.isnan(cache.stats().hit_ratio)
    cache["a"] = 1
    cache.get("a")
    _ = cache["a"]
    cache.get("b")
    with pytest.raises(KeyError):
        cache["b"]
    cache.get_many(["a", "b", "c"])
    cache.setdefault("a", 2)
    cache.get_or_load("a", str)
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.requests) == (5, 4, 9)
    assert stats.hit_ratio == 5 / 9
    cache.get_or_load("d", str)
    assert cache.stats()._replace(load_seconds=0.0) == CacheStats(hits=5, misses=5, loads=1)
    cache.reset_stats()
    assert cache.stats() == CacheStats()


def test_loads_are_counted_with_their_time(make: Make) -> None:
    def failing(key: object) -> object:
        raise ZeroDivisionError

    cache = make()
    for key in range(3):
        cache.get_or_load(key, str)
    seconds = cache.stats().load_seconds
    assert seconds > 0
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("x", failing)
    stats = cache.stats()
    assert (stats.loads, stats.load_errors, stats.misses) == (3, 1, 4)
    assert stats.load_seconds > seconds


def test_departures_are_counted_without_a_listener(make: Make, clock: FakeClock) -> None:
    cache = make(2, clock=clock)
    cache.update(a=1, b=2, c=3)
    cache.update(dict.fromkeys(cache, 0))
    cache.set("d", 4, ttl=1)
    clock.advance(1)
    cache.expire()
    cache.clear()
    stats = cache.stats()
    assert (stats.evicted, stats.replaced, stats.expired, stats.deleted) == (2, 2, 1, 1)


def test_ages(make: Make, clock: FakeClock) -> None:
    cache = make(None, clock=clock)
    empty = cache.ages()
    assert (sum(empty.counts), empty.sampled) == (0, 0)
    assert math.isnan(empty.quantile(0.5))
    for age in (100, 3, 0.5, 0):
        cache[age] = age
        clock.advance(100 - age if age == 100 else 0)
    clock.advance(0.05)
    cache["new"] = 1
    clock.advance(5)
    ages = cache.ages()
    assert len(ages.seconds) == len(ages.counts) == 32
    assert ages.seconds[0] == 0.1
    assert ages.seconds[-1] == math.inf
    assert list(ages.seconds) == sorted(ages.seconds)
    assert sum(ages.counts) == ages.sampled == 5
    assert ages.quantile(0.0) <= ages.quantile(0.5) <= ages.quantile(1.0)
    assert 5 <= ages.quantile(1.0) <= 13
    clock.advance(1000)
    assert cache.ages().quantile(0.0) > 500
    cache["a"] = 1
    assert cache.ages().counts[0] == 1
    del cache["a"]
    assert cache.ages().counts[0] == 0


def test_ages_of_many_items_are_sampled(make: Make, clock: FakeClock) -> None:
    cache = make(None, clock=clock)
    cache.update((number, None) for number in range(8192))
    clock.advance(1)
    ages = cache.ages()
    assert ages.sampled == 4096 + 4096 // 16
    assert sum(ages.counts) == 8192
    assert ages.quantile(0.9) == 1.6


@pytest.mark.parametrize("start", [-1e6, 0.0, 429_496_729.5, 1.7e9])
def test_ages_by_any_clock(make: Make, start: float) -> None:
    now = start
    cache = make(clock=lambda: now)
    cache["a"] = 1
    now += 3
    assert cache.ages().quantile(1.0) == pytest.approx(3.2)
    now -= 100
    assert cache.ages().quantile(1.0) == pytest.approx(0.1)


def test_fractions_that_are_none_are_refused() -> None:
    histogram = AgeHistogram((0.1, math.inf), (3, 1), 4)
    assert histogram.quantile(0.75) == 0.1
    assert histogram.quantile(0.76) == math.inf
    for bad in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=f"fraction must be from 0 to 1, got {bad}"):
            histogram.quantile(bad)
