"""How long results live, by a fake clock."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import random
import traceback
import weakref
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from overdrive import WithTTL, memoize
from overdrive._memoize import lifetimes
from tests.decorators.concurrency import PATIENCE


class Times:
    """A clock and a function that counts its runs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.runs = 0
        self.error: Exception | None = None
        self.ran = Event()

    def __call__(self) -> float:
        return self.now

    def function(self, n: int) -> int:
        self.runs += 1
        self.ran.set()
        if self.error is not None:
            raise self.error
        return self.runs

    async def coroutine_function(self, n: int) -> int:
        return self.function(n)


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.mark.parametrize(
    "ttl", [10, 10.0, timedelta(seconds=10), lambda value: 10, lambda value: timedelta(seconds=10)]
)
def test_result_is_computed_anew_after_its_ttl(times: Times, ttl: Any) -> None:
    function = memoize(ttl=ttl, clock=times)(times.function)
    assert function(1) == 1
    times.now = 9.999
    assert function(1) == 1
    times.now = 10.0
    assert not function.cached(1)
    assert function.peek(1) is None
    assert function(1) == 2


def test_ttl_of_none_is_for_ever_and_of_zero_is_not_at_all(times: Times) -> None:
    lives: list[Any] = [None]
    function = memoize(ttl=lambda value: lives[0], clock=times)(times.function)
    assert function(1) == 1
    times.now = 1e18
    assert function(1) == 1
    lives[0] = 0
    assert [function(2), function(2)] == [2, 3]


def test_unused_results_are_forgotten(times: Times) -> None:
    function = memoize(idle=10, clock=times)(times.function)
    for _ in range(5):
        assert function(1) == 1
        times.now += 9
    function.peek(1)  # no use
    times.now += 1
    assert function(1) == 2


def test_use_does_not_extend_the_ttl(times: Times) -> None:
    function = memoize(ttl=20, idle=10, clock=times)(times.function)
    for now in (0, 9, 18):
        times.now = now
        assert function(1) == 1
    times.now = 20
    assert function(1) == 2


def test_jitter_takes_off_up_to_its_fraction(times: Times) -> None:
    function = memoize(None, ttl=100, jitter=0.2, clock=times)(times.function)
    for n in range(500):
        function(n)
    ends = [entry.expires for entry in function.cache.values()]
    assert all(80 < end <= 100 for end in ends)
    assert max(ends) - min(ends) > 10


def test_result_may_bring_its_ttl_along(times: Times) -> None:
    @memoize(ttl=math.inf, clock=times)
    def function(seconds: Any) -> Any:
        times.runs += 1
        return WithTTL(times.runs, seconds)

    assert function(5) == function(5) == 1
    times.now = 5
    assert function(5) == 2
    with pytest.raises(ValueError, match="ttl of a WithTTL must be at least 0"):
        function(-1)
    function.put(WithTTL("put", 3), 7)
    assert function(7) == "put"
    times.now = 8
    assert function(7) != "put"


def test_clock_that_goes_backwards_loses_nothing(times: Times) -> None:
    times.now = 100
    function = memoize(ttl=10, clock=times)(times.function)
    function(1)
    times.now = -1e9
    assert function(1) == 1
    times.now = 109
    assert function(1) == 1
    times.now = 110
    assert function(1) == 2


def test_error_of_a_clock_is_passed_on_and_blocks_nobody() -> None:
    errors: list[LookupError] = []

    def clock() -> float:
        if errors:
            raise errors.pop()
        return 0.0

    for options in ({"ttl": 10}, {"ttl": lambda value: 10}):
        errors.append(LookupError())
        function = memoize(clock=clock, **options)(lambda n: n)
        with pytest.raises(LookupError):
            function(1)
        assert function(1) == 1


# --- what has expired -------------------------------------------------------------------------


@pytest.mark.parametrize("ttl", [10, lambda value: 10])
def test_unbounded_cache_does_not_grow_for_ever(times: Times, ttl: Any) -> None:
    function = memoize(None, ttl=ttl, clock=times)(times.function)
    for n in range(5000):
        times.now += 1
        function(n)
        assert function.cache_info().currsize < 100
    info = function.cache_info()
    assert info.expirations == info.misses - info.currsize
    assert info.evictions == 0


def test_expired_result_that_is_computed_anew_counts_as_expired(times: Times) -> None:
    function = memoize(ttl=10, clock=times)(times.function)
    function(1)
    times.now = 10
    function(1)
    assert function.cache_info()[-2:] == (0, 1)


# --- refreshing -------------------------------------------------------------------------------


def test_stale_result_is_returned_while_a_thread_computes_it_anew(times: Times) -> None:
    function = memoize(ttl=10, stale=10, clock=times)(times.function)
    assert function(1) == 1
    times.now = 15
    times.ran.clear()
    assert function(1) == 1
    assert times.ran.wait(PATIENCE)
    while function._flights:  # until it is stored
        pass
    assert function(1) == 2
    times.now = 100
    assert function(1) == 3


def test_stale_result_is_returned_while_a_task_computes_it_anew(times: Times) -> None:
    function = memoize(ttl=10, stale=10, clock=times)(times.coroutine_function)

    async def main() -> None:
        assert await function(1) == 1
        times.now = 15
        assert await function(1) == await function(1) == 1
        while function._flights:
            await asyncio.sleep(0)
        assert await function(1) == 2
        assert times.runs == 2

    asyncio.run(main())


def test_refresh_that_was_cancelled_before_it_began_is_begun_again(times: Times) -> None:
    function = memoize(ttl=10, stale=100, clock=times)(times.coroutine_function)

    async def call() -> int:
        return await function(1)

    async def call_and_let_run() -> int:
        value = await function(1)
        for _ in range(10):
            await asyncio.sleep(0)
        return value

    asyncio.run(call())
    times.now = 15
    asyncio.run(call())  # ends before the task begins
    asyncio.run(call_and_let_run())
    assert asyncio.run(call()) == 2


def test_early_refresh_is_the_likelier_the_nearer_the_end(times: Times) -> None:
    options = memoize(ttl=100, early=1.0, clock=times)(times.function)._options
    entry = lifetimes.value_entry(options, 1, 100.0, 0.0, 10.0)
    assert entry is not None
    random.seed(0)

    def share(now: float) -> float:
        verdicts = [lifetimes.judge(options, entry, now) for _ in range(2000)]
        return verdicts.count(lifetimes.Verdict.REFRESH) / len(verdicts)

    # XFetch: the probability is exp(-(what is left) / (load time * beta)).
    for left in (5.0, 10.0, 30.0):
        assert share(100 - left) == pytest.approx(math.exp(-left / 10), abs=0.04)
    assert share(0) < 0.01


def test_old_result_is_returned_if_computing_it_anew_fails(times: Times) -> None:
    function = memoize(ttl=10, stale_if_error=10, clock=times)(times.function)
    assert function(1) == 1
    times.now = 15
    times.error = LookupError()
    assert function(1) == 1
    times.now = 20
    with pytest.raises(LookupError):
        function(1)
    assert function.cache_info().errors == 2


# --- exceptions that are kept -----------------------------------------------------------------


def test_kept_exceptions_are_raised_again_until_they_expire(times: Times) -> None:
    function = memoize(exceptions={LookupError: 10, ValueError: timedelta(seconds=20)}, clock=times)(times.function)
    times.error = KeyError("k")
    for _ in range(2):
        with pytest.raises(KeyError) as caught:
            function(1)
        assert (type(caught.value), caught.value.args) == (KeyError, ("k",))
    assert times.runs == 1
    times.now = 10
    times.error = TypeError()  # not one of them
    for _ in range(2):
        with pytest.raises(TypeError):
            function(1)
    assert times.runs == 3
    times.error = None
    assert function(1) == function(1) == 4


@pytest.mark.parametrize("kind", [LookupError, (LookupError, ValueError)])
def test_kept_exceptions_live_for_the_ttl(times: Times, kind: Any) -> None:
    function = memoize(ttl=10, exceptions=kind, clock=times)(times.function)
    times.error = LookupError()
    for now, runs in ((0, 1), (9, 1), (10, 2)):
        times.now = now
        with pytest.raises(LookupError):
            function(1)
        assert times.runs == runs


def test_kept_exception_shows_where_it_was_raised_first(times: Times) -> None:
    function = memoize(exceptions={LookupError: 10}, clock=times)(times.function)
    times.error = LookupError()
    with pytest.raises(LookupError) as caught:
        function(1)
    assert "function" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_kept_exception_does_not_keep_the_frames_of_callers(times: Times) -> None:
    function = memoize(exceptions={LookupError: 10}, clock=times)(times.function)
    times.error = LookupError()

    class Local:
        pass

    def call() -> Any:
        local = Local()
        with contextlib.suppress(LookupError):
            function(1)
        return weakref.ref(local)

    first, second = call(), call()
    times.error = None
    gc.collect()
    assert first() is None
    assert second() is None
