"""Running the same logic for callers that block and for callers that await.

What a tiered cache does is written once, as coroutines on an `IO`. For blocking callers the `IO` never suspends:
each of its steps returns when it is done, so one `send` runs a coroutine from the beginning to the end. For tasks it
is an ordinary coroutine.
"""

from __future__ import annotations

import os
import time
from _thread import RLock
from inspect import isawaitable
from types import CoroutineType
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from overdrive._tiers.log import logger

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Awaitable, Callable, Coroutine
    from concurrent.futures import Future, ThreadPoolExecutor
    from typing import Any, ClassVar

    from overdrive._tiers.l2.step import Step
    from overdrive._tiers.l2.tier import RedisTier

__all__ = ("BLOCKING", "IO", "LOOPING", "Background", "log_failure", "pool", "run")

T = TypeVar("T")


class Background(Protocol):
    """Something that goes on while its starter does not wait for it any more."""

    def done(self) -> bool:
        """Return whether it has ended."""

    def result(self) -> Any:
        """Return what it returned, or raise what it raised, if it is done."""

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""

    def exception(self) -> BaseException | None:
        """Return what it raised, if it is done and was not cancelled."""

    def add_done_callback(self, callback: Callable[[Any], object], /) -> object:
        """Have `callback` called with it when it is done."""


class IO(Protocol):
    """What the logic cannot do without its caller's way of waiting."""

    is_blocking: ClassVar[bool]

    def redis(self, tier: RedisTier, step: Step[T]) -> Awaitable[T]:
        """Have Redis do a step."""

    async def disk(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function that writes to the disk."""

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of the user's, and await what it returns if that is awaitable."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Background:
        """Have a coroutine run on its own."""

    async def wait(self, background: Background, timeout: float | None) -> bool:
        """Wait for what was started; return whether it is done."""

    def place(self) -> object:
        """Return what is the same for those who can wait for what one of them has started."""


class _Blocking:
    """For callers that block."""

    is_blocking: ClassVar = True

    async def redis(self, tier: RedisTier, step: Step[T]) -> T:
        return tier.call(step)

    async def disk(self, function: Callable[..., T], *args: Any) -> T:
        return function(*args)

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if type(result) is CoroutineType:
            result.close()
            raise TypeError(
                f"{function!r} is a coroutine function: await the twin of this method, such as aget_or_load"
            )
        return result

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Background:
        # Not in a pool: functions that hang would take all its threads. And a daemon: they must not keep the
        # interpreter from ending.
        from concurrent.futures import Future
        from contextvars import copy_context
        from threading import Thread

        future: Future[T] = Future()

        def work() -> None:
            try:
                result = run(coroutine)
            except BaseException as error:  # noqa: BLE001 - raised by who asks for the result
                future.set_exception(error)
            else:
                future.set_result(result)

        try:
            Thread(target=copy_context().run, args=(work,), name="overdrive load", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            coroutine.close()
            raise
        return future

    async def wait(self, background: Background, timeout: float | None) -> bool:
        from concurrent.futures import wait

        wait([cast("Future[Any]", background)], timeout)
        return background.done()

    def place(self) -> object:
        return os.getpid()


class _Looping:
    """For tasks of an event loop."""

    is_blocking: ClassVar = False

    def __init__(self) -> None:
        # The loop refers to its tasks weakly.
        self._running: set[Task[Any]] = set()

    def redis(self, tier: RedisTier, step: Step[T]) -> Awaitable[T]:
        return tier.acall(step)

    async def disk(self, function: Callable[..., T], *args: Any) -> T:
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(pool(), function, *args)

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return await result if isawaitable(result) else result

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Background:
        import asyncio

        task = asyncio.get_running_loop().create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def wait(self, background: Background, timeout: float | None) -> bool:
        import asyncio

        await asyncio.wait([background], timeout=timeout)  # type: ignore[type-var]  # a task: see `start`
        return background.done()

    def place(self) -> object:
        import asyncio

        return asyncio.get_running_loop()


BLOCKING: IO = _Blocking()
LOOPING: IO = _Looping()


def log_failure(background: Background) -> None:
    """Log what something raised that nobody waits for any more."""
    error = None if background.cancelled() else background.exception()
    if error is not None:
        logger().warning("what nobody waited for any more has failed", exc_info=error)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on `BLOCKING` to its end."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise RuntimeError("something that was to block has suspended: a coroutine function was given to a blocking call")


def running_loop() -> AbstractEventLoop | None:
    """Return the event loop that this thread runs, if it runs one."""
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_executor: ThreadPoolExecutor | None = None
_lock = RLock()


def pool() -> ThreadPoolExecutor:
    """Return the threads for what goes on in the background; they are started when first needed."""
    global _executor
    executor = _executor
    if executor is None:
        from concurrent.futures import ThreadPoolExecutor

        with _lock:
            executor = _executor
            if executor is None:
                workers = min(32, (os.cpu_count() or 1) + 4)
                executor = _executor = ThreadPoolExecutor(workers, thread_name_prefix="overdrive-tiers")
    return executor


def _after_fork_in_child() -> None:
    global _executor, _lock
    _executor, _lock = None, RLock()  # its threads belong to the parent


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
