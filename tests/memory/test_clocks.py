"""Items expire to the very time, by any clock, also one that jumps or is set back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from overdrive import MemoryCache
from overdrive.testing import FakeClock
from tests.hostile.nasty import CLOCKS
from tests.memory.policies import Telling

Make = Callable[..., MemoryCache[Any, Any]]


@pytest.mark.parametrize(
    ("ttl", "error"),
    [(math.nan, ValueError), ("1", TypeError), (None, None), (1j, TypeError), ([], TypeError), (10**400, ValueError)],
)
def test_bad_lifetimes_are_refused_before_anything_changes(
    make: Make, clock: FakeClock, ttl: Any, error: type[Exception] | None
) -> None:
    cache = make(clock=clock)
    cache["a"] = 1
    if error is None:
        cache.set("a", 1, ttl=ttl)
        return
    loads: list[Any] = []
    for operation in (
        lambda: cache.set("a", 2, ttl=ttl),
        lambda: cache.set_many({"a": 2}, ttl=ttl),
        lambda: cache.touch("a", ttl=ttl),
        lambda: cache.get_or_load("b", loads.append, ttl=ttl),
        lambda: make(ttl=ttl),
        lambda: make(idle=ttl),
    ):
        with pytest.raises(error, match=r"(ttl|idle) must be a number"):
            operation()
    assert dict(cache.items()) == {"a": 1}
    assert cache.remaining_ttl("a") == math.inf
    assert loads == []


class Seconds:
    """Not the number that it claims to be."""

    def __float__(self) -> float:
        raise ZeroDivisionError


def test_exceptions_of_numbers_are_passed_on(make: Make) -> None:
    with pytest.raises(ZeroDivisionError):
        make().set("a", 1, ttl=Seconds())  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        make(clock=Seconds)["a"] = 1


def test_use_never_shortens_a_life(make: Make, clock: FakeClock) -> None:
    cache = make(idle=5, clock=clock)
    cache["a"] = 1
    clock.set(clock() - 10)
    cache.get("a")
    assert cache.remaining_ttl("a") >= 5


def test_short_idle_times_on_the_native_clock(make: Make) -> None:
    # Reads go by a coarse clock, which lags by more than this: that must not end the item's life.
    cache = make(idle=0.004)
    cache["a"] = 1
    before = cache.remaining_ttl("a") if "a" in cache else 0.0
    cache.get("a")
    after = cache.remaining_ttl("a") if "a" in cache else 0.0
    assert before <= 0.004
    assert after <= 0.004
    eternal = make(idle=3600)
    eternal["a"] = 1
    for _ in range(100):
        assert eternal.get("a") == 1
        assert eternal.remaining_ttl("a") > 3599


@pytest.mark.parametrize("life", [0.0001, 0.0005, 1 / 1024, 0.001, 1.0001, 63.99991, 4096.00049])
def test_expiry_is_exact(make: Make, clock: FakeClock, life: float) -> None:
    cache = make(None, clock=clock, weigher=lambda key, value: value)
    cache.set("a", 1, ttl=life)
    cache.set("b", 2, ttl=life * 1.5)
    clock.advance(life)
    assert list(cache) == ["b"]
    assert (len(cache), cache.currsize) == (1, 2)
    clock.advance(life * 0.75)
    assert (len(cache), cache.currsize) == (0, 0)


def test_lives_of_all_lengths_end_in_time(make: Make, clock: FakeClock) -> None:
    cache = make(None, clock=clock)
    lives = [2.0**power * (1 + number / 7) for power in range(-9, 32) for number in range(3)]
    for life in lives:
        cache.set(life, life, ttl=life)
    start = clock()
    for power in range(-9, 34):
        clock.advance(start + 2.0**power - clock())
        now = clock() - start
        assert sorted(cache) == [life for life in sorted(lives) if now < life]
        assert len(cache) == len(list(cache))


class Settable:
    """A clock that shows what it is told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_clock_that_is_set_back(make: Make) -> None:
    clock = Settable(1000.0)
    cache = make(None, clock=clock)
    cache.set("before", 1, ttl=100)
    clock.now = 1050.0
    assert cache.expire() == 0
    cache.set("later", 2, ttl=100)
    clock.now = 500.0
    cache.set("after", 3, ttl=10)
    for number in range(20):
        cache.set(number, number, ttl=1)
    clock.now = 505.0
    assert set(cache) == {"before", "later", "after"}
    assert len(cache) == 3
    clock.now = 510.0
    cache._check()
    assert set(cache) == {"before", "later"}
    assert len(cache) == 2
    clock.now = 1100.0
    assert set(cache) == {"later"}
    assert len(cache) == 1
    clock.now = 1150.0
    assert not cache


def test_clock_that_goes_back_and_forth_loses_nothing(make: Make) -> None:
    clock = Settable(0.0)
    listener = Telling()
    cache = make(30, clock=clock, on_evict=listener, idle=50)
    for step in range(400):
        clock.now = (step * 7919) % 211 - 100.0
        cache.set(step % 40, step, ttl=(step * 31) % 60 + 1)
        cache.get((step * 17) % 40)
        assert len(cache) == len(list(cache)) <= 30
        cache._check()
    there = {value for _, value in cache.items()}
    assert {value for _, value, _ in listener.told} | there == set(range(400))


@pytest.mark.parametrize("start", [-1e15, -1.0, 0.0, 1e9, 1e15])
def test_clocks_may_begin_anywhere(make: Make, start: float) -> None:
    clock = Settable(start)
    cache = make(clock=clock, ttl=10)
    cache["a"] = 1
    clock.now += 9
    assert cache["a"] == 1
    clock.now += 1
    assert not cache
    cache["a"] = 1
    clock.now += 1e12
    assert not cache


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf, "1", None, 1j, 10**400])
def test_clock_that_shows_no_time_is_refused_before_anything_changes(make: Make, time: Any) -> None:
    shown: list[Any] = [1.0]
    cache = make(clock=lambda: shown[-1], ttl=10)
    cache["a"] = 1
    shown.append(time)
    operations: dict[str, Callable[[], object]] = {
        "set": lambda: cache.__setitem__("b", 2),
        "get": lambda: cache.get("a"),
        "del": lambda: cache.__delitem__("a"),
        "pop": lambda: cache.pop("a"),
        "popitem": lambda: cache.popitem(),
        "len": lambda: len(cache),
        "touch": lambda: cache.touch("a"),
        "resize": lambda: cache.resize(0),
        "copy": lambda: cache.copy(),
        "unpin": lambda: cache.unpin("a"),
    }
    for operation in operations.values():
        with pytest.raises((TypeError, ValueError), match="clock must return a"):
            operation()
    shown.append(1.0)
    assert dict(cache.items()) == {"a": 1}


@pytest.mark.parametrize("name", CLOCKS)
def test_nasty_clocks_break_nothing(name: str) -> None:
    cache: MemoryCache[Any, Any] = MemoryCache(6, policy="lru", clock=CLOCKS[name], idle=40)
    for step in range(60):
        for operation in (
            lambda step=step: cache.set(step % 9, step, ttl=step % 5 + 0.5),
            lambda step=step: cache.get(step % 7),
            lambda step=step: cache.touch(step % 5, ttl=step),
            lambda: len(cache),
            lambda: cache.expire(),
            lambda step=step: cache.pop(step % 11, None),
            lambda step=step: cache.resize(step % 3 + 4),
        ):
            try:
                operation()
            except Exception as error:  # noqa: BLE001 - the point
                assert type(error).__module__ in {"builtins", "decimal", "tests.hostile.nasty"}, error
        cache._check()
