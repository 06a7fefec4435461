"""Scenarios of threads in one process, run by `test_single_flight`; see `tests.decorators.concurrency`."""

from __future__ import annotations

import _thread
import contextlib
import operator
import os
import signal
import sys
import threading
from collections import deque
from functools import partial
from threading import Barrier, Condition, Event, Semaphore
from time import monotonic
from typing import TYPE_CHECKING, Any

from overdrive import WaitTimeout, _pending, cached, memoize
from overdrive.func import lru_cache
from tests.decorators.concurrency import PATIENCE, Call, play

if TYPE_CHECKING:
    from collections.abc import Callable

# Misses are native without options, and Python code with this one.
SLOW = {"ttl": lambda value: 1000}


def kinds() -> list[dict[str, Any]]:
    """Return options with which calls take different ways."""
    return [{}, SLOW, {"ttl": 1000}, {"cache": {}}]


def until(condition: Callable[[], object]) -> None:
    """Let other threads run until something is so."""
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, "it did not come to that"
        os.sched_yield() if hasattr(os, "sched_yield") else threading.Event().wait(0)


def until_somebody_waits(count: int = 1) -> None:
    until(lambda: len(_pending._waits) >= count)


class Gated:
    """A function that does not return before it is told to."""

    def __init__(self) -> None:
        self.begun = Semaphore(0)
        self.gate = Event()
        self.runs: list[Any] = []
        self.outcome: Any = "value"

    def __call__(self, n: Any) -> object:
        self.runs.append(n)
        self.begun.release()
        assert self.gate.wait(PATIENCE)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def until_begun(self) -> None:
        assert self.begun.acquire(timeout=PATIENCE)


# --- one key ----------------------------------------------------------------------------------


def many_threads_load_a_cold_key_once() -> None:
    for options in kinds():
        gated = Gated()
        function = memoize(**options)(gated)
        calls = [Call(function, 1) for _ in range(64)]
        gated.until_begun()
        until_somebody_waits(63)
        gated.gate.set()
        assert {call.result() for call in calls} == {"value"}
        info = function.cache_info()
        assert (gated.runs, info.hits, info.misses, info.loads) == ([1], 63, 1, 1)
        assert _pending._waits == {}
        assert function._flights == {}


def error_goes_to_each_waiter_once_and_is_not_kept() -> None:
    for options in kinds():
        gated = Gated()
        gated.outcome = LookupError()
        function = memoize(**options)(gated)
        calls = [Call(function, 1) for _ in range(8)]
        gated.until_begun()
        until_somebody_waits(7)
        gated.gate.set()
        for call in calls:
            try:
                call.result()
            except LookupError as error:
                assert error is gated.outcome
            else:
                raise AssertionError("no error")
        assert gated.runs == [1]
        gated.outcome = "value"
        assert function(1) == "value"
        assert function.cache_info()[:2] == (7, 2)  # those that waited did not run the function


def waiter_gives_up_after_its_time() -> None:
    for options in kinds():
        gated = Gated()
        function = memoize(wait_timeout=0.01, **options)(gated)
        leader = Call(function, 1)
        gated.until_begun()
        try:
            function(1)
        except WaitTimeout as error:
            assert "0.01 s" in str(error)
        else:
            raise AssertionError("no error")
        gated.gate.set()
        assert leader.result() == "value" == function(1)
        assert _pending._waits == {}


def interrupted_leader_hands_over() -> None:
    for options in kinds():
        gated = Gated()
        gated.outcome = KeyboardInterrupt()
        function = memoize(**options)(gated)
        leader = Call(function, 1)
        gated.until_begun()
        waiter = Call(function, 1)
        until_somebody_waits()
        gated.gate.set()
        try:
            leader.result()
        except KeyboardInterrupt:
            gated.outcome = "value"
        with contextlib.suppress(KeyboardInterrupt):  # it may run the function before the outcome changes
            waiter.result()
        assert len(gated.runs) == 2


def result_invalidated_during_its_load_is_not_kept() -> None:
    for act in ("invalidate", "cache_clear", "put"):
        for options in kinds():
            gated = Gated()
            function = memoize(**options)(gated)
            leader = Call(function, 1)
            gated.until_begun()
            waiter = Call(function, 1)
            until_somebody_waits()
            if act == "put":
                function.put("new", 1)
            elif act == "invalidate":
                assert not function.invalidate(1)
            else:
                function.cache_clear()
            gated.gate.set()
            assert leader.result() == waiter.result() == "value"
            assert function.peek(1) == ("new" if act == "put" else None), act
            assert function(1) == ("new" if act == "put" else "value")


# --- calls within calls -----------------------------------------------------------------------


def function_may_ask_for_the_key_it_computes() -> None:
    for options in kinds():
        runs: list[int] = []

        @memoize(**options)
        def function(n: int, runs: list[int] = runs) -> int:
            runs.append(n)
            return function(n) + 1 if len(runs) == 1 else 10

        assert function(1) == 11
        assert len(runs) == 2


def cycle_of(makers: list[Callable[[Callable[[int], int]], Callable[[int], int]]]) -> None:
    size = len(makers)
    begun = Barrier(size)
    inside = threading.local()
    runs: list[int] = []

    def compute(n: int) -> int:
        runs.append(n)
        if hasattr(inside, "n"):
            return 100 * n
        inside.n = n
        begun.wait(PATIENCE)
        after = (n + 1) % size
        return functions[after](after) + 1

    functions = [make(compute) for make in makers]
    calls = [Call(function, n) for n, function in enumerate(functions)]
    results = [call.result() for call in calls]
    for n, result in enumerate(results):
        after = (n + 1) % size
        assert result in (results[after] + 1, 100 * after + 1), results
    assert size < len(runs) <= 2 * size
    assert _pending._waits == {}


def threads_may_ask_for_each_others_keys() -> None:
    native, slow = memoize(), memoize(**SLOW)  # type: ignore[call-overload]
    for size in (2, 3):
        for maker in (native, slow):
            cycle_of([maker] * size)
    shared = {}  # type: ignore[var-annotated]
    for options in kinds():

        def one_function(compute: Callable[[int], int], options: dict[str, Any] = options) -> Callable[[int], int]:
            return shared.setdefault((id(options), id(compute)), memoize(**options)(compute))  # type: ignore[no-any-return]

        cycle_of([one_function] * 3)


def threads_may_ask_for_each_others_keys_through_different_decorators() -> None:
    def conditioned(compute: Callable[[int], int]) -> Callable[[int], int]:
        return cached({}, condition=Condition())(compute)

    native, slow = memoize(), memoize(**SLOW)  # type: ignore[call-overload]
    cycle_of([native, conditioned])
    cycle_of([slow, conditioned])
    cycle_of([native, slow, conditioned])
    cycle_of([conditioned, slow, lru_cache])
    cycle_of([native, slow])


# --- surroundings -----------------------------------------------------------------------------


def key_that_cannot_be_compared_blocks_nobody() -> None:
    class Key:
        broken = False

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            if Key.broken:
                raise LookupError
            return True

    for options in kinds():
        gated = Gated()
        function = memoize(**options)(gated)
        leader = Call(function, Key())
        gated.until_begun()
        Key.broken = True
        with contextlib.suppress(LookupError):
            function(Key())
        gated.gate.set()
        leader.join(PATIENCE)
        assert not leader.is_alive()
        Key.broken = False
        assert Call(function, Key()).result() == "value"


def refreshes_that_wait_for_one_another_end() -> None:
    """All threads of the pool ask for a result whose refresh is still queued behind them."""
    now = [0.0]
    size = min(8, os.cpu_count() or 1)
    gate, begun = Event(), Semaphore(0)

    @memoize(ttl=10, stale=10, clock=lambda: now[0])
    def shared(n: int) -> int:
        return n

    @memoize(ttl=10, stale=1000, clock=lambda: now[0])
    def each(n: int) -> int:
        if now[0]:
            begun.release()
            assert gate.wait(PATIENCE)
            return shared(0)
        return n

    shared(0)
    for n in range(size):
        each(n)
    now[0] = 15
    for n in range(size):
        each(n)
    for _ in range(size):
        assert begun.acquire(timeout=PATIENCE)
    assert shared(0) == 0  # stale: its refresh is queued
    now[0] = 25  # not even stale any more
    gate.set()
    call = Call(shared, 0)
    call.join(PATIENCE / 2)
    if call.is_alive():
        sys.stderr.write("hangs\n")
        os._exit(1)
    assert call.result() == 0


def method_of_many_instances_in_many_threads_is_computed_once_each() -> None:
    class Service:
        def __init__(self) -> None:
            self.runs = 0

        @memoize
        def get(self, n: int) -> int:
            self.runs += 1
            return n

    for _ in range(20):
        services = [Service() for _ in range(20)]
        begun = Barrier(8)

        def use(services: list[Service] = services, begun: Barrier = begun) -> None:
            begun.wait(PATIENCE)
            for service in services:
                assert service.get(1) == 1

        for call in [Call(use) for _ in range(8)]:
            call.result()
        assert {service.runs for service in services} == {1}


def daemon_thread_inside_of_a_load_does_not_delay_the_exit() -> None:
    for options in kinds():
        gated = Gated()
        function = memoize(**options)(gated)
        Call(function, 1)
        gated.until_begun()
        Call(function, 1)
    until_somebody_waits(len(kinds()))


# --- signals and forks ------------------------------------------------------------------------


def interrupt_between_the_result_and_the_waiters_loses_neither() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGUSR1, interrupt)
    gate, begun = _thread.allocate_lock(), _thread.allocate_lock()
    gate.acquire()
    begun.acquire()
    unraisable: list[Any] = []
    sys.unraisablehook = unraisable.append
    # All of it runs in C, so that the signal is handled in the first Python code after it.
    steps: list[Any] = [begun.release, gate.acquire, partial(_thread.interrupt_main, signal.SIGUSR1)]
    run_steps: Callable[[int], object] = partial(deque, map(operator.call, steps))
    function = memoize(run_steps)

    def wait() -> Any:
        assert begun.acquire(timeout=PATIENCE)
        return function(5)

    def open_gate() -> None:
        until_somebody_waits()
        gate.release()

    waiter, opener = Call(wait), Call(open_gate)
    interrupted = False
    try:
        function(5)
        opener.result()
    except KeyboardInterrupt:
        interrupted = True
    waiter.join(PATIENCE / 2)
    assert not waiter.is_alive(), "the waiter was never told"
    assert interrupted, unraisable


def child_of_a_fork_waits_for_no_thread_of_its_parent() -> None:
    for options in kinds():
        gated = Gated()
        function = memoize(**options)(gated)
        leader = Call(function, 1)
        gated.until_begun()
        waiter = Call(function, 1)
        until_somebody_waits()
        child = os.fork()
        if child == 0:
            signal.alarm(PATIENCE)
            gated.gate.set()
            os._exit(0 if function(1) == "value" and len(gated.runs) == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        gated.gate.set()
        assert leader.result() == waiter.result() == "value"


def fork_inside_of_a_load_lets_both_processes_finish_it() -> None:
    for options in kinds():
        runs: list[int] = []
        child: list[int] = []

        @memoize(**options)
        def function(n: int, runs: list[int] = runs, child: list[int] = child) -> int:
            runs.append(n)
            if len(runs) == 1:
                child.append(os.fork())
                if child[0] == 0:
                    signal.alarm(PATIENCE)
                return function(n) + 1
            return 10

        result = function(1)
        if child[0] == 0:
            os._exit(0 if result == 11 == function(1) else 1)
        assert result == 11
        assert os.waitstatus_to_exitcode(os.waitpid(child[0], 0)[1]) == 0


def child_of_a_fork_refreshes_in_the_background() -> None:
    now = [0.0]
    ran = Event()

    @memoize(ttl=10, stale=10, clock=lambda: now[0])
    def function(n: int) -> float:
        ran.set()
        return now[0]

    function(1)
    now[0] = 15
    ran.clear()
    function(1)
    assert ran.wait(PATIENCE)
    until(lambda: not function._flights)
    now[0] = 30
    ran.clear()
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE)
        os._exit(0 if function(1) == 15 and ran.wait(PATIENCE) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


if __name__ == "__main__":
    play(globals())
