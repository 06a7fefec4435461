from __future__ import annotations

import asyncio
import functools
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest

from overdrive import memoize
from overdrive.testing import StampedeReport, astampede

PATIENCE = 20.0  # seconds until a wait that does not end fails


def run(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> StampedeReport[Any]:
    """Run a stampede; one that hangs is given up sooner than the test is."""
    return asyncio.run(astampede(function, *args, **{"timeout": PATIENCE} | kwargs))


class Gate:
    """Where callers wait for each other, in one event loop."""

    def __init__(self, callers: int) -> None:
        self.missing = callers
        self.open = asyncio.Event()

    def arrive(self) -> None:
        self.missing -= 1
        if self.missing == 0:
            self.open.set()


def test_tasks_call_at_the_same_time_in_the_running_event_loop() -> None:
    async def scenario() -> None:
        gate = Gate(50)

        async def meet() -> object:
            gate.arrive()
            await gate.open.wait()
            return asyncio.get_running_loop()

        report = await astampede(meet, callers=50, timeout=PATIENCE)
        assert report.results == [asyncio.get_running_loop()] * 50

    asyncio.run(scenario())


def test_callers_may_be_spread_over_event_loops() -> None:
    everyone = threading.Barrier(4)
    met: set[asyncio.AbstractEventLoop] = set()

    async def meet() -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if loop not in met:
            met.add(loop)
            everyone.wait(PATIENCE)
        return loop

    report = run(meet, callers=10, loops=4)
    assert report.errors == []
    assert sorted(report.results.count(loop) for loop in met) == [2, 2, 3, 3]
    assert all(loop.is_closed() for loop in met)


def test_there_are_not_more_event_loops_than_callers() -> None:
    async def thread() -> int:
        return threading.get_ident()

    assert run(thread, callers=1, loops=8).callers == 1
    everyone = threading.Barrier(2)

    async def meet() -> int:
        return everyone.wait(PATIENCE)

    assert sorted(run(meet, callers=2, loops=8).results) == [0, 1]


@pytest.mark.parametrize("loops", [1, 3])
def test_arguments_are_passed_on(loops: int) -> None:
    async def collect(*args: int, **kwargs: int) -> Any:
        return args, kwargs

    assert run(collect, 1, 2, callers=3, loops=loops, function=3).results == [((1, 2), {"function": 3})] * 3
    partial = functools.partial(collect, seed=5)
    assert run(partial, callers=1, loops=loops).results == [((), {"seed": 5})]


@pytest.mark.parametrize("loops", [1, 3])
def test_context_is_that_of_the_caller(loops: int) -> None:
    user = ContextVar("user", default="nobody")

    async def who() -> str:
        return user.get()

    async def scenario() -> StampedeReport[str]:
        user.set("alice")
        return await astampede(who, callers=3, loops=loops, timeout=PATIENCE)

    assert asyncio.run(scenario()).results == ["alice"] * 3


@pytest.mark.parametrize("loops", [1, 4])
@pytest.mark.parametrize("cancel", [0.0, 0.1])
def test_memoized_function_runs_once(loops: int, cancel: float) -> None:
    begun: list[int] = []

    @memoize
    async def square(n: int) -> int:
        begun.append(n)
        await asyncio.sleep(0.05)
        return n * n

    report = run(square, 3, callers=100, loops=loops, cancel=cancel)
    assert begun == [3]
    assert report.loads == 1
    assert set(report.results) == {9}
    assert len(report.results) + len(report.cancelled) == 100
    assert (report.errors, report.hung) == ([], {})
    assert run(square, 3, callers=10, loops=loops).loads == 0


def test_functions_that_do_not_count_have_no_loads() -> None:
    async def one() -> int:
        return 1

    report = run(one, callers=3)
    assert (report.loads, report.results) == (None, [1, 1, 1])


@pytest.mark.parametrize("loops", [1, 3])
def test_errors_are_reported(loops: int) -> None:
    callers = iter(range(6))

    async def call() -> int:
        number = next(callers)
        await asyncio.sleep(0)
        if number % 2:
            raise LookupError(number)
        return number

    report = run(call, callers=6, loops=loops)
    assert sorted(report.results) == [0, 2, 4]
    assert sorted(error.args for error in report.errors) == [(1,), (3,), (5,)]


@pytest.mark.parametrize("loops", [1, 2])
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_exits_are_reported(loops: int, kind: type[BaseException]) -> None:
    async def leave() -> None:
        raise kind

    report = run(leave, callers=4, loops=loops)
    assert [type(error) for error in report.errors] == [kind] * 4


@pytest.mark.parametrize("loops", [1, 2])
def test_what_cannot_be_awaited_is_an_error(loops: int) -> None:
    report = run(lambda: 1, callers=2, loops=loops)
    assert [type(error) for error in report.errors] == [TypeError] * 2


# --- cancellation -----------------------------------------------------------------------------


def cancelled(callers: int, expected: int, **options: Any) -> StampedeReport[Any]:
    """Run a stampede of callers that wait until as many as expected have been cancelled."""

    async def scenario() -> StampedeReport[Any]:
        gate = Gate(expected)

        async def wait() -> str:
            try:
                await gate.open.wait()
            except asyncio.CancelledError:
                gate.arrive()
                raise
            return "ended"

        return await astampede(wait, callers=callers, timeout=PATIENCE, **options)

    return asyncio.run(scenario())


@pytest.mark.parametrize(("cancel", "expected"), [(0.25, 10), (0.5, 20), (0.001, 1), (1, 40)])
def test_a_fraction_of_the_callers_is_cancelled(cancel: float, expected: int) -> None:
    report = cancelled(40, expected, cancel=cancel)
    assert len(report.cancelled) == len(set(report.cancelled)) == expected
    assert report.cancelled == sorted(report.cancelled)
    assert set(report.cancelled) <= set(range(40))
    assert report.results == ["ended"] * (40 - expected)
    assert (report.errors, report.hung) == ([], {})


def test_the_seed_says_who_is_cancelled() -> None:
    reports = [cancelled(40, 10, cancel=0.25, seed=seed) for seed in (1, 1, 2)]
    assert reports[0].cancelled == reports[1].cancelled != reports[2].cancelled


def test_callers_are_cancelled_after_they_have_begun_and_at_various_times() -> None:
    turn = 0
    cancelled: set[int] = set()

    async def count() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    async def wait() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.add(turn)
            raise

    async def scenario() -> None:
        counter = asyncio.create_task(count())
        report = await astampede(wait, callers=100, cancel=1, timeout=PATIENCE)
        assert len(report.cancelled) == 100
        counter.cancel()

    asyncio.run(scenario())
    assert len(cancelled) > 4


def test_caller_that_ends_before_it_is_cancelled_has_a_result() -> None:
    async def one() -> int:
        return 1

    report = run(one, callers=10, cancel=1)
    assert (report.results, report.cancelled) == ([1] * 10, [])


def test_caller_that_refuses_to_be_cancelled_has_a_result() -> None:
    async def refuse() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        return "refused"

    report = run(refuse, callers=3, cancel=1)
    assert (report.results, report.cancelled) == (["refused"] * 3, [])


@pytest.mark.parametrize("loops", [1, 2])
def test_cancellation_by_others_is_an_error(loops: int) -> None:
    async def cancel_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.get_running_loop().create_future()

    report = run(cancel_itself, callers=4, loops=loops)
    assert [type(error) for error in report.errors] == [asyncio.CancelledError] * 4
    assert report.cancelled == []


def test_cancellation_of_a_stampede_is_one_of_its_callers() -> None:
    async def scenario() -> None:
        gate = Gate(5)
        cancelled: list[int] = []

        async def wait() -> None:
            gate.arrive()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.append(1)
                raise

        herd = asyncio.create_task(astampede(wait, callers=5, timeout=PATIENCE))
        await gate.open.wait()
        herd.cancel()
        with pytest.raises(asyncio.CancelledError):
            await herd
        await asyncio.sleep(0)
        assert len(cancelled) == 5

    asyncio.run(scenario())


# --- event loops ------------------------------------------------------------------------------


def test_event_loops_run_until_the_last_call_has_ended() -> None:
    first: list[asyncio.AbstractEventLoop] = []
    both = threading.Barrier(2)

    async def nothing() -> str:
        return "done"

    async def call() -> str:
        loop = asyncio.get_running_loop()
        first.append(loop)
        both.wait(PATIENCE)
        if loop is first[0]:
            return "first"
        for _ in range(2000):  # time enough to end for an event loop that does not wait
            await asyncio.sleep(0)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(nothing(), first[0]))

    report = run(call, callers=2, loops=2)
    assert sorted(report.results) == ["done", "first"], report


def test_threads_take_turns_more_often_meanwhile() -> None:
    async def interval() -> float:
        return sys.getswitchinterval()

    before = sys.getswitchinterval()
    report = run(interval, callers=2, loops=2)
    assert max(report.results) < before / 10
    assert sys.getswitchinterval() == before


def test_threads_end() -> None:
    before = set(threading.enumerate())

    async def thread() -> threading.Thread:
        return threading.current_thread()

    report = run(thread, callers=6, loops=3)
    for worker in set(report.results):
        worker.join(PATIENCE)
    assert set(threading.enumerate()) <= before


def test_the_running_event_loop_goes_on_meanwhile() -> None:
    go = threading.Event()

    async def wait() -> bool:
        return go.wait(PATIENCE)

    async def scenario() -> StampedeReport[bool]:
        asyncio.get_running_loop().call_soon(go.set)
        return await astampede(wait, callers=2, loops=2, timeout=PATIENCE)

    assert asyncio.run(scenario()).results == [True, True]


def test_thread_that_cannot_be_started_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def start_two(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    async def one() -> int:
        return 1

    monkeypatch.setattr(threading.Thread, "start", start_two)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        run(one, loops=3)
    for thread in started:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in started)


# --- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["callers", "loops", "timeout"])
def test_numbers_are_checked(name: str) -> None:
    async def one() -> int:
        return 1

    for value in (0, -1):
        with pytest.raises(ValueError, match=f"{name} must be above 0, got {value}"):
            run(one, **{name: value})
    for other in ("1", None, True):
        with pytest.raises(TypeError, match=f"{name} must be a"):
            run(one, **{name: other})


@pytest.mark.parametrize("cancel", [-0.1, 1.1, float("nan")])
def test_fraction_is_checked(cancel: float) -> None:
    async def one() -> int:
        return 1

    with pytest.raises(ValueError, match="cancel must be between 0 and 1, a fraction of the callers, got"):
        run(one, cancel=cancel)
