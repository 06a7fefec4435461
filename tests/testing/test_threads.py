from __future__ import annotations

import functools
import sys
import threading
from typing import Any

import pytest

import overdrive
from overdrive import cached, memoize
from overdrive.testing import stampede
from overdrive.testing.threads import switching_often

PATIENCE = 20  # seconds until a barrier that not all reach breaks


def test_threads_call_at_the_same_time() -> None:
    everyone = threading.Barrier(6)

    def meet() -> int:
        everyone.wait(PATIENCE)
        return threading.get_ident()

    report = stampede(meet, callers=6, threads=6)
    assert report.errors == []
    assert len(set(report.results)) == 6


def test_each_thread_makes_its_share_of_the_calls() -> None:
    everyone = threading.Barrier(4)
    calls: list[int] = []

    def call() -> None:
        calls.append(threading.get_ident())
        if calls.count(threading.get_ident()) == 1:
            everyone.wait(PATIENCE)

    report = stampede(call, callers=10, threads=4)
    assert report.errors == []
    assert report.callers == len(report.results) == len(calls) == 10
    assert sorted(calls.count(thread) for thread in set(calls)) == [2, 2, 3, 3]


def test_no_thread_calls_before_all_have_started() -> None:
    counted = threading.Event()
    first = iter([True])

    def count() -> int:
        if next(first, False):
            threads = sum(thread.name.startswith("stampede") for thread in threading.enumerate())
            counted.set()
            return threads
        assert counted.wait(PATIENCE)
        return 0

    report = stampede(count, callers=20, threads=20)
    assert (report.errors, max(report.results)) == ([], 20)


def test_there_are_not_more_threads_than_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    everyone = threading.Barrier(3)
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def count_and_start(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", count_and_start)
    report = stampede(everyone.wait, PATIENCE, callers=3, threads=100)
    assert sorted(report.results) == [0, 1, 2]
    assert len(started) == 3


def test_arguments_are_passed_on() -> None:
    def collect(*args: int, **kwargs: int) -> Any:
        return args, kwargs

    report = stampede(collect, 1, 2, callers=2, function=3)
    assert report.results == [((1, 2), {"function": 3})] * 2
    partial = functools.partial(collect, callers=5)
    assert stampede(partial, callers=1).results == [((), {"callers": 5})]


def test_memoized_function_runs_once() -> None:
    @memoize
    def square(n: int) -> int:
        return n * n

    square(1)
    report = stampede(square, 3, callers=200)
    assert report.loads == 1
    assert report.results == [9] * 200
    assert stampede(square, 3).loads == 0


def test_counts_the_runs_of_a_function_that_lets_all_compute() -> None:
    everyone = threading.Barrier(5)

    @overdrive.lru_cache
    def meet(n: int) -> int:
        everyone.wait(PATIENCE)
        return n

    report = stampede(meet, 1, callers=5, threads=5)
    assert (report.loads, report.results) == (5, [1] * 5)


def test_functions_that_do_not_count_have_no_loads() -> None:
    assert stampede(cached({})(lambda: 1), callers=3).loads is None
    assert stampede(lambda: 1, callers=3).loads is None


def test_errors_are_reported() -> None:
    callers = iter(range(10))

    def call() -> int:
        number = next(callers)
        if number % 2:
            raise LookupError(number)
        return number

    report = stampede(call, callers=10, threads=1)
    assert report.results == [0, 2, 4, 6, 8]
    assert [error.args for error in report.errors] == [(1,), (3,), (5,), (7,), (9,)]
    assert not report.hung
    assert not report.cancelled


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_exits_are_reported(kind: type[BaseException]) -> None:
    def leave() -> None:
        raise kind

    report = stampede(leave, callers=4, threads=2)
    assert [type(error) for error in report.errors] == [kind] * 4


def test_tells_how_long_it_took() -> None:
    everyone = threading.Barrier(2)
    report = stampede(everyone.wait, PATIENCE, callers=2)
    assert 0 < report.seconds < PATIENCE


def test_threads_take_turns_more_often_meanwhile() -> None:
    before = sys.getswitchinterval()
    report = stampede(sys.getswitchinterval, callers=2)
    assert max(report.results) < before / 10
    assert sys.getswitchinterval() == before


def test_stampedes_at_the_same_time_restore_the_interval() -> None:
    before = sys.getswitchinterval()
    first, second = switching_often(), switching_often()
    with first:
        second.__enter__()
    assert sys.getswitchinterval() < before / 10
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == before


def test_interval_is_restored_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sys.getswitchinterval()
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def start_two(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_two)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            stampede(sys.getswitchinterval, threads=3)
    assert sys.getswitchinterval() == before
    for thread in started:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in started)


def test_coroutine_functions_are_refused() -> None:
    @memoize
    async def square(n: int) -> int:
        return n * n

    async def plain(n: int) -> int:
        return n * n

    for function in (square, plain):
        with pytest.raises(TypeError, match="is a coroutine function: use astampede"):
            stampede(function, 1)


@pytest.mark.parametrize("name", ["callers", "threads", "timeout"])
def test_numbers_are_checked(name: str) -> None:
    for value in (0, -1):
        with pytest.raises(ValueError, match=f"{name} must be above 0, got {value}"):
            stampede(len, "", **{name: value})
    for other in ("1", None, True):
        with pytest.raises(TypeError, match=f"{name} must be a"):
            stampede(len, "", **{name: other})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["callers", "threads"])
def test_counts_are_whole(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be an integer, got 1.5"):
        stampede(len, "", **{name: 1.5})  # type: ignore[arg-type]
