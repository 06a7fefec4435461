"""How long items live: ttl, idle time, jitter, and clocks of every kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from overdrive import MemoryCache
from overdrive.testing import FakeClock
from tests.memory.conftest import Told

Make = Callable[..., MemoryCache[Any, Any]]


class Wheel:
    """A clock that goes where it is set."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_items_are_gone_after_their_ttl(make: Make, clock: FakeClock, told: Told) -> None:
    cache = make(ttl=10, clock=clock, on_evict=told)
    cache["a"] = 1
    clock.advance(9.999)
    assert cache["a"] == 1
    assert cache.remaining_ttl("a") == pytest.approx(0.001)
    clock.advance(0.001)
    assert "a" not in cache
    assert (cache.get("a"), cache.peek("a"), list(cache), cache.pop("a", 0)) == (None, None, [], 0)
    assert cache.hottest() == cache.coldest() == []
    with pytest.raises(KeyError):
        cache.remaining_ttl("a")
    clock.advance(0.01)
    assert len(cache) == 0
    assert told == [("a", 1, "expired")]
    assert cache.stats().expired == 1


def test_each_item_may_have_its_own(make: Make, clock: FakeClock) -> None:
    cache = make(ttl=10, clock=clock)
    cache.set("short", 1, ttl=1)
    cache.set("long", 2, ttl=timedelta(minutes=1))
    cache.set("ever", 3, ttl=math.inf)
    cache["usual"] = 4
    assert [cache.remaining_ttl(key) for key in ("short", "long", "ever", "usual")] == [1, 60, math.inf, 10]
    clock.advance(10)
    assert cache.expire() == 2
    assert set(cache) == {"long", "ever"}
    cache["long"] = 5  # has the usual time again
    assert cache.remaining_ttl("long") == 10


@pytest.mark.parametrize("ttl", [0, -1, -math.inf, timedelta(0)])
def test_a_ttl_that_is_over_stores_nothing_and_removes_what_was_there(
    make: Make, clock: FakeClock, told: Told, ttl: Any
) -> None:
    cache = make(clock=clock, on_evict=told)
    cache["a"] = 1
    cache.set("a", 2, ttl=ttl)
    cache.set("b", 2, ttl=ttl)
    assert len(cache) == 0
    assert told == [("a", 1, "replaced")]


@pytest.mark.parametrize(("ttl", "kind"), [(math.nan, ValueError), ("1", TypeError), ([], TypeError)])
def test_a_ttl_that_is_none_is_refused(make: Make, ttl: Any, kind: type[Exception]) -> None:
    cache = make()
    cache["a"] = 1
    for refused in (
        lambda: make(ttl=ttl),
        lambda: make(idle=ttl),
        lambda: cache.set("a", 2, ttl=ttl),
        lambda: cache.touch("a", ttl=ttl),
        lambda: cache.set_many({"a": 2}, ttl=ttl),
        lambda: cache.get_or_load("b", pytest.fail, ttl=ttl),
    ):
        with pytest.raises(kind):
            refused()
    assert dict(cache) == {"a": 1}


@pytest.mark.parametrize("idle", [0, -1, timedelta(0)])
def test_idle_must_be_positive(make: Make, idle: Any) -> None:
    with pytest.raises(ValueError, match="idle"):
        make(idle=idle)


@pytest.mark.parametrize("jitter", [-0.1, 1.1, math.nan])
def test_jitter_must_be_a_fraction(make: Make, jitter: float) -> None:
    with pytest.raises(ValueError, match="jitter"):
        make(ttl=1, jitter=jitter)


def test_idle_items_are_gone_and_used_ones_stay(make: Make, clock: FakeClock) -> None:
    cache = make(idle=10, ttl=25, clock=clock)
    cache.update(a=1, b=2, peeked=3)
    for _ in range(4):
        clock.advance(6)
        cache.get("a")
        cache.peek("peeked")
    assert list(cache) == ["a"]
    assert cache.remaining_ttl("a") == 1
    clock.advance(1)
    assert list(cache) == []  # the ttl goes on


def test_touch_is_a_use_and_begins_a_new_lifetime(make: Make, clock: FakeClock, told: Told) -> None:
    cache = make(ttl=10, clock=clock, on_evict=told)
    cache["a"] = 1
    clock.advance(9)
    assert cache.touch("a")
    assert cache.remaining_ttl("a") == 10
    assert cache.touch("a", ttl=100)
    clock.advance(50)
    assert cache.remaining_ttl("a") == 50
    assert not cache.touch("b")
    assert cache.touch("a", ttl=0)
    assert told == [("a", 1, "expired")]
    assert not cache.touch("a")
    assert cache.stats().requests == 0


def test_touch_without_any_lifetime_can_begin_one(make: Make, clock: FakeClock) -> None:
    cache = make(clock=clock)
    cache.update(a=1, b=2)
    assert cache.touch("a")
    assert cache.touch("a", ttl=5)
    clock.advance(5)
    assert list(cache) == ["b"]


def test_jitter_spreads_lifetimes_within_its_bounds(make: Make, clock: FakeClock) -> None:
    cache = make(200, ttl=100, jitter=0.2, clock=clock)
    cache.update((key, key) for key in range(100))
    left = [cache.remaining_ttl(key) for key in range(100)]
    assert all(80 <= one <= 100 for one in left)
    assert max(left) - min(left) > 5
    cache.set("ever", 1, ttl=math.inf)
    assert cache.remaining_ttl("ever") == math.inf


def test_a_copy_takes_no_more_off_what_is_left(make: Make, clock: FakeClock) -> None:
    cache = make(ttl=100, jitter=0.5, clock=clock)
    cache.update(a=1, b=2, c=3)
    other = cache.copy()
    assert [other.remaining_ttl(key) for key in "abc"] == pytest.approx([cache.remaining_ttl(key) for key in "abc"])


def test_many_items_of_one_moment_all_go(make: Make, clock: FakeClock, told: Told) -> None:
    cache = make(3000, ttl=5, clock=clock, on_evict=told)
    cache.update((key, key) for key in range(2000))
    clock.advance(6)
    cache["new"] = 1
    assert len(told) < 2000  # a write does a bounded amount of work
    assert len(cache) == 1
    assert len(told) == 2000
    assert {cause for _, _, cause in told} == {"expired"}


def test_expired_items_make_room_before_live_ones(make: Make, clock: FakeClock, told: Told) -> None:
    cache = make(4, clock=clock, on_evict=told)
    cache.update(a=1, b=2, c=3)
    cache.set("d", 4, ttl=1)
    clock.advance(2)
    cache["e"] = 5
    assert told == [("d", 4, "expired")]
    assert set(cache) == {"a", "b", "c", "e"}


def test_pinned_items_expire_and_leave_their_room(make: Make, clock: FakeClock) -> None:
    cache = make(10, ttl=10, clock=clock)
    for key in range(10):
        cache[key] = key
        cache.pin(key)
    clock.advance(10)
    assert not cache.is_pinned(0)
    for key in range(10):
        cache[key + 100] = key
    assert len(cache) == 10


@pytest.mark.parametrize("step", [1e-9, 0.5, 3.0, 1e3, 1e9])
def test_a_clock_may_jump_ahead(make: Make, step: float) -> None:
    clock = Wheel(step)
    cache = make(ttl=step, clock=clock)
    cache.update(a=1, b=2)
    clock.now += step / 2
    assert len(cache) == 2
    clock.now += step * 1e6 + 1
    assert list(cache) == []
    assert len(cache) == 0


@pytest.mark.parametrize("back", [0.25, 2.0, 50.0, 500.0])
@pytest.mark.parametrize("idle", [None, 10])
def test_a_clock_may_go_back(make: Make, back: float, idle: float | None) -> None:
    clock = Wheel(100.0)
    cache = make(ttl=20, idle=idle, clock=clock)
    cache.update(a=1, b=2)
    clock.now += 5
    assert len(cache) == 2
    clock.now -= back
    cache["c"] = 3
    cache.get("a")
    assert set(cache) == {"a", "b", "c"}
    clock.now += 20
    assert "c" not in cache
    assert len(cache) == len(list(cache))
    cache._check()
    clock.now = 1e6
    assert len(cache) == 0


def test_behind_an_item_that_waits_for_the_clock_others_still_go(make: Make) -> None:
    clock = Wheel(100.0)
    cache = make(clock=clock)
    cache.set("first", 1, ttl=1)
    clock.now = 102
    assert len(cache) == 0
    clock.now = 50
    cache.set("later", 1, ttl=40)
    cache.set("sooner", 1, ttl=10)
    clock.now = 70
    assert list(cache) == ["later"]
    assert len(cache) == 1


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_times_that_are_none_are_refused(make: Make, now: float) -> None:
    clock = Wheel()
    cache = make(ttl=10, clock=clock)
    cache["a"] = 1
    clock.now = now
    for use in (lambda: cache["a"], lambda: len(cache), lambda: cache.update(b=2), lambda: cache.get("a")):
        with pytest.raises(ValueError, match="clock"):
            use()
    clock.now = 1
    assert dict(cache) == {"a": 1}


def test_what_a_clock_returns_must_be_a_number(make: Make) -> None:
    cache = make(ttl=1, clock=lambda: "noon")
    with pytest.raises(TypeError, match="noon"):
        cache["a"] = 1
    assert repr(make(ttl=1)).startswith("<MemoryCache")


def test_what_a_clock_raises_is_passed_on(make: Make) -> None:
    def broken() -> float:
        raise ZeroDivisionError("stopped")

    cache = make(ttl=1, clock=broken)
    with pytest.raises(ZeroDivisionError, match="stopped"):
        cache["a"] = 1
    with pytest.raises(ZeroDivisionError, match="stopped"):
        cache.get("a")


def test_get_many_returns_nothing_that_expires_meanwhile(make: Make, clock: FakeClock) -> None:
    cache = make(ttl=10, clock=clock)
    cache.update(a=1, b=2)

    def keys() -> Any:
        yield "a"
        clock.advance(10)
        yield "b"

    assert cache.get_many(keys()) == {"a": 1}


def test_ages(make: Make, clock: FakeClock) -> None:
    cache = make(clock=clock)
    cache["old"] = 1
    clock.advance(100)
    cache["new"] = 1
    ages = cache.ages()
    assert (sum(ages.counts), ages.sampled) == (2, 2)
    assert ages.counts[0] == 1
    assert ages.quantile(0.5) == 0.1
    assert 100 < ages.quantile(1) < 205
    with pytest.raises(ValueError, match=r"1\.5"):
        ages.quantile(1.5)


def test_ages_of_a_clock_before_zero(make: Make) -> None:
    clock = Wheel(-1000.0)
    cache = make(clock=clock)
    cache["old"] = 1
    clock.now += 100
    assert 100 < cache.ages().quantile(1) < 205
