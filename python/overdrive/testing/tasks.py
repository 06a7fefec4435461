"""Stampedes of tasks, in one event loop or in several."""

from __future__ import annotations

import asyncio
import threading
import traceback
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Generic, TypeVar

from overdrive.testing.loads import misses
from overdrive.testing.report import StampedeReport, positive
from overdrive.testing.threads import loads_since, switching_often, where

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event, Future, Task
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any

__all__ = ("astampede",)

_R = TypeVar("_R")

# A caller that is cancelled is so within so many turns of its event loop.
_TURNS = 10
# Seconds after the timeout until what does not end then is given up.
_GRACE = 1.0


async def astampede(
    function: Callable[..., Awaitable[_R]],
    /,
    *args: Any,  # noqa: ANN401 - whatever the function takes
    callers: int = 100,
    loops: int = 1,
    cancel: float = 0.0,
    seed: int = 0,
    timeout: float = 30.0,
    **kwargs: Any,  # noqa: ANN401
) -> StampedeReport[_R]:
    """Call a coroutine function many times at once, each time in a task of its own, with the same arguments.

    Args:
        function: what is called. If it has `cache_info()`, its runs are counted.
        *args: its arguments; so are keywords other than those below. For a function that has parameters of the same
            names, use a `functools.partial`.
        callers: how many calls.
        loops: 1 for the running event loop; otherwise how many new ones share the calls, each in a thread that
            starts together with the others. They all run until the last call has ended. Not more than there are
            callers.
        cancel: the fraction of the callers, chosen at random, that are cancelled within a few turns of their event
            loop, if they have not ended by then; at least one, if it is not 0.
        seed: the same callers are cancelled, after as many turns, for the same seed.
        timeout: seconds after which calls that have not ended are reported as hung, and cancelled. An event loop
            that is itself blocked is left behind in its thread, if it is not the running one.
        **kwargs: its keyword arguments.

    Returns:
        The report. Exceptions that calls raise are in it.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: `callers`, `loops` or `timeout` is not above 0, or `cancel` not between 0 and 1.

    Example:
        >>> import asyncio
        >>> from overdrive import memoize
        >>> @memoize
        ... async def square(n):
        ...     await asyncio.sleep(0.01)
        ...     return n * n
        >>> report = asyncio.run(astampede(square, 3, callers=1000, loops=4, cancel=0.01))
        >>> report.loads, len(report.results) + len(report.cancelled), report.errors, report.hung
        (1, 1000, [], {})
    """
    positive("callers", callers, whole=True)
    positive("loops", loops, whole=True)
    positive("timeout", timeout)
    if not 0 <= cancel <= 1:
        raise ValueError(f"cancel must be between 0 and 1, a fraction of the callers, got {cancel!r}")
    random = Random(seed)
    cancelled = max(1, round(cancel * callers)) if cancel else 0
    victims = {number: random.randrange(_TURNS) for number in random.sample(range(callers), cancelled)}
    herd = _Herd(lambda: function(*args, **kwargs), victims, timeout)
    before = misses(function)
    if loops == 1:
        await herd.run(range(callers))
    else:
        with switching_often():
            await _in_loops(herd, callers, min(loops, callers))
    return herd.report(callers, loads_since(before, function, patiently=not herd.hung))


@dataclass(slots=True)
class _Outcome(Generic[_R]):
    """How a call ended: with a value if there is no error."""

    value: _R | None = None
    error: BaseException | None = None


class _Herd(Generic[_R]):
    """The callers of a stampede, and what became of them."""

    def __init__(self, call: Callable[[], Awaitable[_R]], victims: dict[int, int], timeout: float) -> None:
        self.call = call
        self.victims = victims
        self.timeout = timeout
        self.outcomes: dict[int, _Outcome[_R]] = {}
        self.cancelled: set[int] = set()
        self.hung: dict[int, str] = {}
        self.started = self.ended = perf_counter()

    def start(self) -> None:
        """Begin to count the time."""
        self.started = perf_counter()

    async def run(self, numbers: Iterable[int]) -> None:
        """Make the calls of these numbers in the running event loop, and wait until they end or time is up."""
        tasks = {asyncio.create_task(self._call(), name=f"stampede {number}"): number for number in numbers}
        # Created after the calls, so each of these has begun when it is cancelled.
        axes = [
            asyncio.create_task(_cancel(task, self.victims[number]))
            for task, number in tasks.items()
            if number in self.victims
        ]
        try:
            done, late = await asyncio.wait(tasks, timeout=self.timeout)
        except BaseException:  # such as the cancellation of the stampede itself
            for task in (*tasks, *axes):
                task.cancel()
            raise
        self.ended = perf_counter()
        for task in done:
            self._note(tasks[task], task)
        for task in late:
            self.hung[tasks[task]] = _where(task)
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=_GRACE)
        await asyncio.gather(*axes)

    def report(self, callers: int, loads: int | None) -> StampedeReport[_R]:
        """Say what came of it."""
        ended = [self.outcomes[number] for number in sorted(self.outcomes)]
        return StampedeReport(
            callers=callers,
            loads=loads,
            results=[outcome.value for outcome in ended if outcome.error is None],  # type: ignore[misc]
            errors=[outcome.error for outcome in ended if outcome.error is not None],
            cancelled=sorted(self.cancelled),
            hung=dict(sorted(self.hung.items())),
            seconds=self.ended - self.started,
        )

    async def _call(self) -> _Outcome[_R]:
        try:
            return _Outcome(value=await self.call())
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - reported; an exit would end the event loop
            return _Outcome(error=error)

    def _note(self, number: int, task: Task[_Outcome[_R]]) -> None:
        if not task.cancelled():
            self.outcomes[number] = task.result()
        elif number in self.victims:
            self.cancelled.add(number)
        else:
            self.outcomes[number] = _Outcome(error=asyncio.CancelledError("not by the stampede"))


async def _cancel(task: Task[Any], turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()


async def _in_loops(herd: _Herd[Any], callers: int, loops: int) -> None:
    """Run a herd in several event loops."""
    barrier = threading.Barrier(loops, action=herd.start)
    pastures = [_Pasture(herd, range(first, callers, loops), barrier) for first in range(loops)]
    try:
        for pasture in pastures:
            pasture.thread.start()
    except BaseException:
        barrier.abort()
        raise
    grazing = [pasture.calls_ended for pasture in pastures]
    await asyncio.wait(grazing, timeout=herd.timeout + 2 * _GRACE)
    # Only now: results that are computed in one event loop may be awaited in another one.
    for pasture in pastures:
        if not pasture.calls_ended.done():
            herd.hung |= dict.fromkeys(pasture.numbers, where(pasture.thread))
        pasture.stop()
    await asyncio.wait([pasture.loop_ended for pasture in pastures], timeout=_GRACE)
    for pasture in pastures:
        if pasture.error is not None:
            raise pasture.error


class _Pasture:
    """An event loop in a thread of its own, and the numbers of the callers in it.

    Attributes:
        calls_ended: done when they have ended; belongs to the event loop that waits.
        loop_ended: done when the event loop has ended.
        error: what ended it, if it should not have.
    """

    def __init__(self, herd: _Herd[Any], numbers: range, barrier: threading.Barrier) -> None:
        self.herd = herd
        self.numbers = numbers
        self.error: BaseException | None = None
        self._barrier = barrier
        self._boss = asyncio.get_running_loop()
        self.calls_ended: Future[None] = self._boss.create_future()
        self.loop_ended: Future[None] = self._boss.create_future()
        self._loop: AbstractEventLoop | None = None
        self._stopped: Event | None = None
        # A daemon, so that one that hangs does not hang the end of the process too.
        self.thread = threading.Thread(
            target=copy_context().run, args=(self._work,), name=f"stampede {numbers.start}", daemon=True
        )

    def stop(self) -> None:
        """End the event loop, if it listens."""
        loop, stopped = self._loop, self._stopped
        if loop is not None and stopped is not None:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(stopped.set)

    def _work(self) -> None:
        try:
            self._barrier.wait()
            asyncio.run(self._graze())
        except threading.BrokenBarrierError:
            pass  # another thread could not be started
        except BaseException as error:  # noqa: BLE001 - raised by the one who waits
            self.error = error
        finally:
            self._tell(self.calls_ended)
            self._tell(self.loop_ended)

    async def _graze(self) -> None:
        self._stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        await self.herd.run(self.numbers)
        self._tell(self.calls_ended)
        await self._stopped.wait()

    def _tell(self, future: Future[None]) -> None:
        with suppress(RuntimeError):  # nobody waits any more
            self._boss.call_soon_threadsafe(_set, future)


def _set(future: Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _where(task: Task[Any]) -> str:
    """Return where a task waits, as text: the coroutines that await each other, and what the last one awaits."""
    lines: list[str] = []
    awaited: Any = getattr(task.get_coro(), "cr_await", None)
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            lines += traceback.StackSummary.extract([(frame, frame.f_lineno)]).format()
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return f"{''.join(lines)}  awaits {getattr(task, '_fut_waiter', None)!r}\n"
