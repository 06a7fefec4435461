"""Scenarios with signals and forks; see `concurrency`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from threading import Condition, Event
from typing import TYPE_CHECKING, Any

from overdrive import _pending, cached
from overdrive.func import lru_cache
from tests.decorators.concurrency import PATIENCE, Call, WatchedCondition, play

if TYPE_CHECKING:
    from collections.abc import Callable


def signal_handler_that_waits_during_a_wait_gets_the_result_too() -> None:
    condition = WatchedCondition()
    handling = Event()
    handled: list[int] = []
    main = threading.get_ident()

    @cached({}, condition=condition)
    def function(n: int) -> int:
        condition.until_somebody_waits()
        # A signal that comes just before the main thread falls asleep does not wake it.
        while not handling.is_set():
            signal.pthread_kill(main, signal.SIGUSR1)
            handling.wait(0.1)
        condition.until_somebody_waits()
        return n

    def handle(*_: object) -> None:
        handling.set()
        handled.append(function(1))

    signal.signal(signal.SIGUSR1, handle)
    leader = Call(function, 1)
    while not function._flights:
        pass

    assert function(1) == 1
    assert set(handled) == {1}
    assert leader.result() == 1
    assert _pending._waits == {}


# --- forks ------------------------------------------------------------------------------------


def in_child_of_a_fork(check: Callable[[], None]) -> None:
    """Assert that `check` passes, and ends, in a child process of this one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads exist: that is what is tested
        pid = os.fork()
    if pid == 0:
        signal.alarm(PATIENCE // 2)
        try:
            check()
            os._exit(0)
        finally:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"the child failed with status {status}"


def child_of_a_fork_does_not_wait_for_threads_of_its_parent() -> None:
    begun, release = Event(), Event()
    parent = os.getpid()

    @cached({}, condition=Condition())
    def function() -> int:
        begun.set()
        if os.getpid() == parent:
            release.wait(PATIENCE)
        return os.getpid()

    leader = Call(function)
    begun.wait(PATIENCE)

    def check() -> None:
        assert function() == os.getpid()
        assert function._flights == {}

    in_child_of_a_fork(check)
    release.set()
    assert leader.result() == parent


def child_of_a_fork_keeps_the_flight_of_the_thread_that_forked() -> None:
    condition = WatchedCondition()
    calls: list[int] = []
    others: list[Call[int]] = []

    @cached({}, condition=condition)
    def function() -> int:
        calls.append(0)
        others.append(Call(function))
        condition.until_somebody_waits()
        return 7

    @cached({}, condition=Condition())
    def fork_and_call() -> int:
        in_child_of_a_fork(check)
        return 1

    def check() -> None:
        assert function() == 7
        assert others[0].result() == 7
        assert calls == [0]
        assert fork_and_call.cache == {}

    assert fork_and_call() == 1


def child_of_a_fork_finishes_what_the_forking_thread_computes() -> None:
    condition = WatchedCondition()
    calls: list[int] = []

    @cached({}, condition=condition)
    def function() -> int:
        calls.append(0)
        if len(calls) == 1:
            in_child_of_a_fork(check)
        return 7

    def check() -> None:
        other = Call(function)
        condition.until_somebody_waits()
        assert calls == [0]
        assert other.is_alive()
        # The thread that forked still leads here: it answers itself, and others wait for its outer call.
        assert function() == 7
        assert other.is_alive()

    assert function() == 7


def child_of_a_fork_finds_the_lock_of_a_memoized_function_free() -> None:
    function = lru_cache(lambda n: n)
    lock: Any = function.cache_lock
    held, release = Event(), Event()

    def hold() -> None:
        with lock:
            held.set()
            release.wait(PATIENCE)

    holder = Call(hold)
    held.wait(PATIENCE)

    def check() -> None:
        assert function(1) == 1
        assert Call(function, 1).result() == 1

    in_child_of_a_fork(check)
    release.set()
    holder.result()
    assert function(1) == 1


if __name__ == "__main__":
    play(globals())
