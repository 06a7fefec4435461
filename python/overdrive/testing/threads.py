"""Stampedes of threads."""

from __future__ import annotations

import inspect
import sys
import threading
import traceback
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Generic, TypeVar

from overdrive.testing.loads import misses, name_of
from overdrive.testing.report import StampedeReport, positive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ("loads_since", "stampede", "switching_often", "where")

_R = TypeVar("_R")

_SWITCH_SECONDS = 1e-6
# Enough for statistics that are not locked.
_STATISTICS_SECONDS = 1.0


def stampede(
    function: Callable[..., _R],
    /,
    *args: Any,  # noqa: ANN401 - whatever the function takes
    callers: int = 100,
    threads: int = 8,
    timeout: float = 30.0,
    **kwargs: Any,  # noqa: ANN401
) -> StampedeReport[_R]:
    """Call a function many times at once, from several threads, with the same arguments.

    The threads start together, and each makes its share of the calls, one after the other. Meanwhile threads take
    turns much more often than usual, in the whole process, so that what can happen between two steps does happen.

    Args:
        function: what is called. If it has `cache_info()`, its runs are counted.
        *args: its arguments; so are keywords other than those below. For a function that has parameters of the same
            names, use a `functools.partial`.
        callers: how many calls.
        threads: how many threads make them; not more than there are callers.
        timeout: seconds after which calls that have not returned are reported as hung. They are left behind in their
            threads, which do not keep the process from ending.
        **kwargs: its keyword arguments.

    Returns:
        The report. Exceptions that calls raise are in it.

    Raises:
        TypeError: `function` is a coroutine function: use `astampede`; or an argument is of the wrong type.
        ValueError: `callers`, `threads` or `timeout` is not above 0.

    A deadlock in native code that keeps the interpreter lock hangs the process, watchdogs in it included.

    Example:
        >>> from overdrive import memoize
        >>> @memoize
        ... def square(n):
        ...     return n * n
        >>> report = stampede(square, 3, callers=1000)
        >>> report.loads, len(report.results), set(report.results)
        (1, 1000, {9})
    """
    positive("callers", callers, whole=True)
    positive("threads", threads, whole=True)
    positive("timeout", timeout)
    if inspect.iscoroutinefunction(inspect.unwrap(function)):
        raise TypeError(f"{name_of(function)} is a coroutine function: use astampede")
    herd = _Herd(lambda: function(*args, **kwargs), callers, min(threads, callers))
    before = misses(function)
    with switching_often():
        herd.run(timeout)
    report = herd.report()
    return replace(report, loads=loads_since(before, function, patiently=not report.hung))


class _Herd(Generic[_R]):
    """The threads of a stampede."""

    def __init__(self, call: Callable[[], _R], callers: int, threads: int) -> None:
        self.call = call
        self.callers = callers
        self.values: dict[int, _R] = {}
        self.errors: dict[int, BaseException] = {}
        self.is_over = False
        self.started = self.ended = perf_counter()
        self.barrier = threading.Barrier(threads, action=self._start)
        # Daemons, so that one that hangs does not hang the end of the process too.
        self.threads = [
            threading.Thread(target=self._work, args=(first,), name=f"stampede {first}", daemon=True)
            for first in range(threads)
        ]

    def run(self, timeout: float) -> None:
        """Start the threads together, and wait until they end or time is up."""
        deadline = monotonic() + timeout
        try:
            for thread in self.threads:
                thread.start()
        except BaseException:
            self.barrier.abort()
            raise
        for thread in self.threads:
            thread.join(max(0.0, deadline - monotonic()))
        self.is_over = True
        self.ended = perf_counter()

    def report(self) -> StampedeReport[_R]:
        """Say what came of it until now."""
        values, errors = dict(self.values), dict(self.errors)
        hung = [number for number in range(self.callers) if number not in values and number not in errors]
        stacks = {thread: where(thread) for thread in self.threads if thread.is_alive()}
        places: dict[int, str] = {}
        stuck: dict[threading.Thread, int] = {}
        for number in hung:
            thread = self.threads[number % len(self.threads)]
            first = stuck.setdefault(thread, number)
            places[number] = stacks.get(thread, "") if number == first else f"behind caller {first}, in its thread"
        return StampedeReport(
            callers=self.callers,
            loads=None,
            results=[values[number] for number in sorted(values)],
            errors=[errors[number] for number in sorted(errors)],
            cancelled=[],
            hung=places,
            seconds=self.ended - self.started,
        )

    def _start(self) -> None:
        self.started = perf_counter()

    def _work(self, first: int) -> None:
        try:
            self.barrier.wait()
        except threading.BrokenBarrierError:
            return  # another thread could not be started
        for number in range(first, self.callers, len(self.threads)):
            if self.is_over:
                return
            try:
                self.values[number] = self.call()
            except BaseException as error:  # noqa: BLE001 - reported
                self.errors[number] = error


def loads_since(before: int | None, function: object, *, patiently: bool) -> int | None:
    """Return how often a function has run since; `None` if it does not count that, or not now."""
    if before is None:
        return None
    after: list[int | None] = []
    if patiently:
        after.append(misses(function))
    else:  # what hangs may hold a lock that the statistics need
        thread = threading.Thread(target=lambda: after.append(misses(function)), daemon=True)
        thread.start()
        thread.join(_STATISTICS_SECONDS)
    return after[0] - before if after and after[0] is not None else None


@contextmanager
def switching_often() -> Iterator[None]:
    """Have threads take turns much more often than usual, in the whole process."""
    global _switching, _interval
    with _lock:
        if _switching == 0:
            _interval = sys.getswitchinterval()
            sys.setswitchinterval(_SWITCH_SECONDS)
        _switching += 1
    try:
        yield
    finally:
        with _lock:
            _switching -= 1
            if _switching == 0:
                sys.setswitchinterval(_interval)


# The stampedes under way, and the interval from before the first of them.
_switching = 0
_interval = 0.0
_lock = threading.Lock()


def where(thread: threading.Thread) -> str:
    """Return what a thread is doing, as text."""
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)) if frame is not None else ""
