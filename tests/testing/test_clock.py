from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from datetime import timedelta
from math import inf, nan
from typing import Any

import pytest

from overdrive import TLRUCache, TTLCache, memoize
from overdrive.testing import FakeClock
from overdrive.testing.threads import switching_often


def test_time_stands_still() -> None:
    clock = FakeClock()
    assert (clock(), clock()) == (0.0, 0.0)


@pytest.mark.parametrize("start", [5, 5.0, timedelta(seconds=5)])
def test_starts_where_told(start: float | timedelta) -> None:
    now = FakeClock(start)()
    assert now == 5.0
    assert type(now) is float


def test_may_start_before_zero() -> None:
    assert FakeClock(-1.5)() == -1.5


def test_advances_by_seconds_and_by_timedeltas() -> None:
    clock = FakeClock(1)
    clock.advance(2)
    clock.advance(0.5)
    clock.advance(timedelta(minutes=1))
    clock.advance(0)
    assert clock() == 63.5


def test_does_not_advance_backwards() -> None:
    clock = FakeClock(10)
    with pytest.raises(ValueError, match=r"time does not pass backwards, got -1; set\(\) turns the clock back"):
        clock.advance(-1)
    assert clock() == 10


@pytest.mark.parametrize("now", [3, timedelta(seconds=3)])
def test_can_be_set_forth_and_back(now: float | timedelta) -> None:
    clock = FakeClock(2)
    clock.set(now)
    assert clock() == 3.0
    clock.set(-3)
    assert clock() == -3.0


@pytest.mark.parametrize("time", [inf, -inf, nan])
def test_times_are_finite(time: float) -> None:
    clock = FakeClock(1)
    with pytest.raises(ValueError, match="start must"):
        FakeClock(time)
    with pytest.raises(ValueError, match="now must"):
        clock.set(time)
    with pytest.raises(ValueError, match="seconds must"):
        clock.advance(time)
    assert clock() == 1


def test_does_not_run_over() -> None:
    clock = FakeClock(1e308)
    with pytest.raises(ValueError, match="the time must be finite, got inf"):
        clock.advance(1e308)
    assert clock() == 1e308


@pytest.mark.parametrize("time", ["1", None, True])
def test_times_are_numbers(time: float) -> None:
    clock = FakeClock()
    with pytest.raises(TypeError, match="start must be a number of seconds or a timedelta"):
        FakeClock(time)
    with pytest.raises(TypeError, match="seconds must be a number of seconds or a timedelta"):
        clock.advance(time)
    with pytest.raises(TypeError, match="now must be a number of seconds or a timedelta"):
        clock.set(time)


def test_advances_by_several_threads_add_up() -> None:
    clock = FakeClock()
    start = threading.Barrier(4)

    def advance() -> None:
        start.wait()
        for _ in range(20_000):
            clock.advance(1)

    threads = [threading.Thread(target=advance) for _ in range(4)]
    with switching_often():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert clock() == 80_000


def test_is_the_clock_of_memoize() -> None:
    clock = FakeClock(1000)
    runs: list[int] = []

    @memoize(ttl=timedelta(minutes=1), clock=clock)
    def square(n: int) -> int:
        runs.append(n)
        return n * n

    square(3)
    clock.advance(59.5)
    assert square(3) == 9
    assert runs == [3]
    clock.advance(0.5)
    assert square(3) == 9
    assert runs == [3, 3]


def test_is_the_clock_of_idle_times() -> None:
    clock = FakeClock()

    @memoize(idle=10, clock=clock)
    def square(n: int) -> int:
        return n * n

    square(3)
    for _ in range(3):
        clock.advance(9)
        square(3)
    assert square.cache_info().misses == 1
    clock.advance(10)
    assert not square.cached(3)


def test_is_the_timer_of_timed_caches() -> None:
    clock = FakeClock()
    ttl: TTLCache[str, int] = TTLCache(10, ttl=5, timer=clock)
    tlru: TLRUCache[str, int] = TLRUCache(10, ttu=lambda key, value, now: now + value, timer=clock)
    ttl["a"] = tlru["a"] = 5
    clock.advance(4)
    assert (len(ttl), len(tlru)) == (1, 1)
    clock.advance(1)
    assert (len(ttl), len(tlru)) == (0, 0)


def pickled(protocol: int) -> Callable[[Any], Any]:
    return lambda clock: pickle.loads(pickle.dumps(clock, protocol))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, *map(pickled, range(pickle.HIGHEST_PROTOCOL + 1))])
def test_copy_goes_its_own_way(duplicate: Callable[[Any], Any]) -> None:
    clock = FakeClock(7)
    other = duplicate(clock)
    clock.advance(1)
    assert (other(), clock()) == (7, 8)
    other.advance(2)
    assert (other(), clock()) == (9, 8)


@pytest.mark.parametrize(("duplicate", "left"), [(copy.copy, 0), (copy.deepcopy, 1), (pickled(4), 1)])
def test_clock_of_a_copied_cache(duplicate: Callable[[Any], Any], left: int) -> None:
    clock = FakeClock()
    cache: TTLCache[str, int] = TTLCache(10, ttl=5, timer=clock)
    cache["a"] = 1
    other = duplicate(cache)
    clock.advance(5)
    assert (len(cache), len(other)) == (0, left)
    other.timer.advance(5)
    assert len(other) == 0


def test_shows_the_time() -> None:
    assert repr(FakeClock(2)) == "FakeClock(2.0)"
