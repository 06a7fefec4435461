"""Calls of memoized coroutine functions that are not answered natively: all but hits.

Each load is a task of its own, in the event loop of the call that began it, with a copy of that call's context.
All calls wait for it alike, the first one too: so the cancellation of one call is nothing to the others. When
the last call that waits is cancelled, so is the load.

A load may ask for results itself. Waiting must never close a cycle: each load enters the flights that it awaits,
and a call that would wait for a flight that only ends after its own computes without waiting. Which flights a
call belongs to is told by its context, which tasks inherit; so this holds for what a load does in tasks of its
own as well. As in `_pending`, a call first enters what it awaits and then searches, so the last one to close a
cycle sees all of it.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from overdrive._memoize.flight import Landing, board
from overdrive._memoize.lifetimes import Verdict, unwrap
from overdrive._memoize.threads import fail, finish, hit, logger
from overdrive.exceptions import WaitTimeout

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Task
    from collections.abc import Coroutine, Hashable
    from typing import Any

    from overdrive._core import Entry
    from overdrive._memoize.function import Memoized

__all__ = ("answer", "load")

# A call that waits for another event loop looks this often whether that still runs.
_LOOK_SECONDS = 0.5


class Load:
    """A load, as what others wait for; without its result, which tasks that it leaves behind would keep.

    Attributes:
        awaited: the loads that calls made by this one are waiting for.
        ended: whether it has ended.
    """

    __slots__ = ("awaited", "ended")

    def __init__(self) -> None:
        self.awaited: list[Load] = []
        self.ended = False

    def leads_to(self, chain: tuple[Load, ...]) -> bool:
        """Return whether this load can only end after one of `chain` has."""
        ahead: list[Load] = [self]
        seen: set[Load] = set()
        while ahead:
            load = ahead.pop()
            if load not in seen and not load.ended:
                if load in chain:
                    return True
                seen.add(load)
                ahead += load.awaited
        return False


class TaskFlight(Landing):
    """A load, run by a task.

    Attributes:
        load: the same as what others wait for.
        callers: the futures on which calls wait for this one.
        loop: the event loop of the task.
    """

    __slots__ = ("callers", "load", "loop", "task")

    def __init__(self, loop: AbstractEventLoop) -> None:
        super().__init__()
        self.load = Load()
        self.loop = loop
        self.task: Task[None] | None = None
        self.callers: set[object] = set()

    def is_in_the_air(self) -> bool:
        """Whether its event loop, in this process, is still computing."""
        return not (self.landed or self.was_forked())

    def is_lost(self) -> bool:
        """Return whether the event loop stopped before the load ended."""
        return not self.landed and not self.loop.is_running()

    def end_with(self, error: BaseException) -> None:
        """End with an exception: that of its cancellation, by us or by the end of the loop, is not the function's."""
        task = self.task
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            self.abandon()
        else:
            self.fail(error)

    def _end(self) -> None:
        self.load.ended = True
        super()._end()


# The loads that the running code is a part of.
_chain: ContextVar[tuple[Load, ...]] = ContextVar("overdrive loads", default=())


def answer(
    memo: Memoized[..., Any], key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any] | None
) -> Coroutine[Any, Any, Any]:
    """Answer a call: the `slow` of a `Plan`."""
    coroutine = _answer(memo, key, args, kwargs or {})
    # What the warning about a coroutine that was never awaited shows.
    coroutine.__name__, coroutine.__qualname__ = memo._name.rpartition(".")[2], memo._name  # type: ignore[attr-defined]
    return coroutine


async def _answer(memo: Memoized[..., Any], key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever the function returns
    options = memo._options
    loop = _running_loop()
    while True:
        stored, verdict = memo._look(key)
        if verdict is Verdict.REFRESH and loop is not None:
            _refresh_in_background(memo, key, args, kwargs, loop)
        if verdict is Verdict.FRESH or verdict is Verdict.REFRESH:
            return hit(memo, stored)
        fallback = stored if verdict is Verdict.FALLBACK else None
        if not options.single_flight or loop is None:
            return await load(memo, key, args, kwargs, fallback=fallback)
        new = TaskFlight(loop)
        flight = board(memo._flights, key, new)
        mine = flight is new
        if mine:
            # Another thread may have ended a flight between the look into the cache and the beginning of this one.
            stored, verdict = memo._look(key)
            if verdict is Verdict.FRESH:
                _give_up(memo, key, flight)
                return hit(memo, stored)
        elif flight.is_lost():
            _give_up(memo, key, flight)
            continue
        caller = loop.create_future()
        flight.callers.add(caller)
        if mine:
            _start(memo, key, args, kwargs, flight, fallback)
        chain = _chain.get()
        for own in chain:
            own.awaited.append(flight.load)
        try:
            if not mine and flight.load.leads_to(chain):
                flight.callers.discard(caller)
                return await load(memo, key, args, kwargs, fallback=fallback)
            await _landing(memo, key, flight, caller, None if mine else options.wait_timeout)
            if flight.was_abandoned:
                continue
            if not mine:
                memo._count_hit()
            return flight.result()
        finally:
            for own in chain:
                own.awaited.remove(flight.load)
            del flight, new  # an exception would refer to itself through them


async def load(
    memo: Memoized[..., Any],
    key: Hashable,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    flight: TaskFlight | None = None,
    fallback: Entry | None = None,
    keep_errors: bool = True,
) -> Any:  # noqa: ANN401 - whatever the function returns
    """Run the function, keep its result, and end the flight; see `threads.load`."""
    memo._count_miss()
    forgets = memo._forgets
    start = perf_counter()
    try:
        value, ttl = unwrap(memo._options, await memo.__wrapped__(*args, **kwargs))
    except BaseException as error:
        keep_errors = keep_errors and memo._is_wanted(key, flight, forgets)
        if fail(memo, key, error, perf_counter() - start, flight, fallback, keep_errors=keep_errors):
            return fallback.value  # type: ignore[union-attr]
        del flight  # the exception would refer to itself through it
        raise
    seconds = perf_counter() - start
    memo._count_load(seconds)
    finish(memo, key, value, ttl, seconds, flight, forgets)
    return value


def _running_loop() -> AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # driven by something else: computed without waiting
        return None


def _start(
    memo: Memoized[..., Any],
    key: Hashable,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    flight: TaskFlight,
    fallback: Entry | None,
) -> None:
    coroutine = _lead(memo, key, args, kwargs, flight, fallback)
    try:
        flight.task = flight.loop.create_task(coroutine, name=f"memoize {memo._name}")
    except BaseException:
        coroutine.close()
        _give_up(memo, key, flight)
        raise
    # The task may be cancelled before its first step, and then runs nothing of `_lead`.
    flight.task.add_done_callback(partial(_give_up, memo, key, flight))


async def _lead(
    memo: Memoized[..., Any],
    key: Hashable,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    flight: TaskFlight,
    fallback: Entry | None,
) -> None:
    """Run a load: the task of a flight."""
    _chain.set((*_chain.get(), flight.load))
    try:
        await load(memo, key, args, kwargs, flight=flight, fallback=fallback, keep_errors=flight not in flight.callers)
    except Exception:  # noqa: BLE001 - raised by those who wait
        if flight.callers <= {flight}:  # nobody does: the old result stays until it expires
            logger().warning("%s() could not be refreshed in the background", memo._name, exc_info=True)
    except BaseException:
        if flight.was_abandoned or flight.callers <= {flight}:
            raise


def _give_up(memo: Memoized[..., Any], key: Hashable, flight: TaskFlight, _task: object = None) -> None:
    if not flight.landed:
        memo._land(key, flight)
        flight.abandon()


async def _landing(
    memo: Memoized[..., Any], key: Hashable, flight: TaskFlight, caller: Future[None], timeout: float | None
) -> None:
    """Wait until a flight has landed."""
    loop = caller.get_loop()
    waker = partial(_wake, loop, caller)
    flight.call_when_landed(waker)
    try:
        if timeout is None and flight.loop is loop:
            await caller
            return
        deadline = None if timeout is None else loop.time() + timeout
        while not caller.done():
            left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - loop.time())
            if left <= 0:
                raise WaitTimeout(f"{memo._name}() is being computed by another call for more than {timeout:g} s")
            await asyncio.wait([caller], timeout=left)
            if flight.is_lost():
                _give_up(memo, key, flight)
    except asyncio.CancelledError:
        task = _leave(memo, key, flight, caller)
        if task is not None and flight.loop is loop:
            await asyncio.wait([task])  # as if this call had run the function itself
        raise
    except GeneratorExit:  # closed, so it may not wait
        _leave(memo, key, flight, caller)
        raise
    finally:
        flight.forget(waker)
        flight.callers.discard(caller)


def _leave(memo: Memoized[..., Any], key: Hashable, flight: TaskFlight, caller: Future[None]) -> Task[None] | None:
    """Give up waiting; cancel the load, and return its task, if nobody waits for it any more."""
    flight.callers.discard(caller)
    task = flight.task
    if flight.callers or flight.landed or task is None:
        return None
    memo._land(key, flight)  # whoever asks from now on begins a new one
    if flight.loop is caller.get_loop():
        task.cancel()
    else:
        try:
            flight.loop.call_soon_threadsafe(task.cancel)
        except RuntimeError:  # that loop is closed, and so the task ended
            flight.abandon()
    return task


def _wake(loop: AbstractEventLoop, caller: Future[None]) -> None:
    """End the wait of a call, from any thread."""
    if _running_loop() is loop:
        _set(caller)
        return
    try:
        loop.call_soon_threadsafe(_set, caller)
    except RuntimeError:
        return  # that loop is closed: nobody waits in it


def _set(caller: Future[None]) -> None:
    if not caller.done():
        caller.set_result(None)


def _refresh_in_background(
    memo: Memoized[..., Any], key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any], loop: AbstractEventLoop
) -> None:
    """Compute a result anew in a task, unless that is being done."""
    new = TaskFlight(loop)
    if board(memo._flights, key, new) is new:
        new.callers.add(new)  # so that it is not cancelled with those who come to wait for it
        _start(memo, key, args, kwargs, new, None)
