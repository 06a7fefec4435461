"""Scenarios of tasks and event loops in one process, run by `test_single_flight`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import signal
import sys
import weakref
from contextvars import ContextVar
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

from overdrive import WaitTimeout, memoize
from tests.decorators.concurrency import PATIENCE, Call, play
from tests.memoize.thread_scenarios import until

if TYPE_CHECKING:
    from collections.abc import Coroutine

LIMIT = PATIENCE / 2


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine; nothing may be logged, as exceptions are that nobody retrieved."""
    records: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Handler(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        asyncio.run(asyncio.wait_for(main, PATIENCE))
        gc.collect()
    finally:
        logging.getLogger().removeHandler(handler)
    assert records == [], [record.getMessage() for record in records]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Gated:
    """A coroutine function that does not return before it is told to."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.runs = 0
        self.cleaned_up = 0
        self.error: BaseException | None = None

    async def function(self, n: int) -> int:
        self.runs += 1
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            return n
        finally:
            await asyncio.sleep(0)  # a cleanup that takes time
            self.cleaned_up += 1


# --- one key ----------------------------------------------------------------------------------


def ten_thousand_callers_load_a_cold_key_once() -> None:
    async def main() -> None:
        gated = Gated()
        function = memoize(gated.function)
        calls = [asyncio.create_task(function(1)) for _ in range(10_000)]
        await asyncio.sleep(0)
        gated.gate.set()
        assert set(await asyncio.gather(*calls)) == {1}
        info = function.cache_info()
        assert (gated.runs, info.hits, info.misses) == (1, 9_999, 1)
        assert function._flights == {}

    run(main())


def cancelled_callers_disturb_nobody() -> None:
    chance = random.Random(0)

    async def main() -> None:
        gated = Gated()
        function = memoize(gated.function)
        calls = [asyncio.create_task(function(1)) for _ in range(10_000)]
        await settle()
        doomed = set(chance.sample(range(10_000), 100)) | {0}
        for n in doomed:
            calls[n].cancel()
        await settle()
        gated.gate.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        for n, result in enumerate(results):
            assert isinstance(result, asyncio.CancelledError) if n in doomed else result == 1
        assert gated.runs == 1

    run(main())


def threads_with_event_loops_load_a_cold_key_once(size: int = 4) -> None:
    runs: list[int] = []
    begun = Barrier(size)

    @memoize
    async def function(n: int) -> int:
        runs.append(n)
        await asyncio.sleep(0.05)  # gives the others time to come
        return n

    async def main() -> int:
        begun.wait(PATIENCE)
        return sum(await asyncio.gather(*[function(1) for _ in range(100)]))

    assert [call.result() for call in [Call(asyncio.run, main()) for _ in range(size)]] == [100] * size
    assert runs == [1]


def many_threads_with_event_loops_load_a_cold_key_once() -> None:
    threads_with_event_loops_load_a_cold_key_once(64)


def load_is_cancelled_with_its_last_caller_and_has_cleaned_up() -> None:
    async def main() -> None:
        gated = Gated()
        function = memoize(gated.function)
        calls = [asyncio.create_task(function(1)) for _ in range(3)]
        await settle()
        for call in calls[:2]:
            call.cancel()
            await asyncio.wait([call])
        assert gated.cleaned_up == 0
        calls[2].cancel()
        await asyncio.wait([calls[2]])
        assert calls[2].cancelled()
        assert gated.cleaned_up == 1
        gated.gate.set()
        assert await function(1) == 1
        assert gated.runs == 2

    run(main())


def timeouts_end_calls_and_not_the_load() -> None:
    async def main() -> None:
        gated = Gated()
        function = memoize(gated.function)
        patient = None
        for leads in (True, False):
            try:
                async with asyncio.timeout(0.01):
                    await function(1)
            except TimeoutError:
                pass
            else:
                raise AssertionError("no timeout")
            assert gated.cleaned_up == 1
            if leads:
                patient = asyncio.create_task(function(1))
                await settle()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(function(1), 0.01)
        gated.gate.set()
        assert await patient == 1  # type: ignore[misc]
        assert gated.runs == 2

    run(main())


def waiter_gives_up_after_its_time() -> None:
    async def main() -> None:
        gated = Gated()
        function = memoize(wait_timeout=0.01)(gated.function)
        leader = asyncio.create_task(function(1))
        await settle()
        try:
            await function(1)
        except WaitTimeout:
            pass
        else:
            raise AssertionError("no timeout")
        gated.gate.set()
        assert await leader == 1

    run(main())


def error_is_raised_in_each_caller_and_not_kept() -> None:
    async def main() -> None:
        gated = Gated()
        gated.error = LookupError()
        function = memoize(gated.function)
        calls = [asyncio.create_task(function(1)) for _ in range(10)]
        await settle()
        gated.gate.set()
        assert await asyncio.gather(*calls, return_exceptions=True) == [gated.error] * 10
        gated.error = None
        assert await function(1) == 1
        assert gated.runs == 2

    run(main())


def function_that_is_cancelled_from_within_is_not_run_again_and_again() -> None:
    """As one that awaits a task or a future that somebody else has cancelled."""
    runs = 0

    @memoize
    async def function(n: int) -> int:
        nonlocal runs
        runs += 1
        assert runs < 10
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        return await future  # type: ignore[no-any-return]

    async def main() -> None:
        try:
            await function(1)
        except asyncio.CancelledError:
            assert runs == 1
        else:
            raise AssertionError("no error")

    run(main())


def function_that_raises_no_mere_exception_is_not_run_again_and_again() -> None:
    class Stop(BaseException):
        pass

    runs = 0

    @memoize
    async def function(n: int) -> int:
        nonlocal runs
        runs += 1
        if runs > 9:
            return 0
        raise Stop

    async def main() -> None:
        try:
            await function(1)
        except Stop:
            assert runs == 1
        else:
            raise AssertionError("no error")

    run(main())


def exit_inside_of_a_load_ends_the_program() -> None:
    @memoize
    async def function(n: int) -> int:
        sys.exit(0)

    async def main() -> None:
        await function(1)

    asyncio.run(main())
    raise AssertionError("did not exit")


def load_that_is_cancelled_before_it_begins_leaves_nobody_waiting() -> None:
    async def main() -> None:
        @memoize
        async def function(n: int) -> int:
            return n

        call = asyncio.create_task(function(1))
        await asyncio.sleep(0)
        me = asyncio.current_task()
        for task in asyncio.all_tasks() - {call, me}:
            if task.get_name().startswith("memoize"):
                task.cancel()
        done, _ = await asyncio.wait([call], timeout=LIMIT)
        assert done, "the call never returned"

    run(main())


def cancelled_callers_leave_nothing_with_a_load_that_hangs() -> None:
    async def main() -> None:
        gated = Gated()
        function = memoize(gated.function)
        leader = asyncio.create_task(function(1))
        await settle()
        for _ in range(100):
            call = asyncio.create_task(function(1))
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
        [flight] = function._flights.values()
        assert len(flight._wakers) <= 1
        gated.gate.set()
        await leader

    run(main())


def result_invalidated_during_its_load_is_not_kept() -> None:
    async def main() -> None:
        for act in ("invalidate", "cache_clear", "put"):
            gated = Gated()
            function = memoize(gated.function)
            calls = [asyncio.create_task(function(1)) for _ in range(2)]
            await settle()
            if act == "put":
                function.put(7, 1)
            elif act == "invalidate":
                function.invalidate(1)
            else:
                function.cache_clear()
            gated.gate.set()
            assert await asyncio.gather(*calls) == [1, 1]
            assert function.peek(1) == (7 if act == "put" else None), act

    run(main())


# --- contexts and calls within calls ----------------------------------------------------------


def load_sees_the_context_of_the_first_caller() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    @memoize
    async def function(n: int) -> str:
        return variable.get()

    async def main() -> None:
        variable.set("caller")
        assert await function(1) == "caller"

    run(main())


def loads_may_ask_for_each_others_keys() -> None:
    async def ask(how: str, function: Any, n: int) -> int:
        if how == "await":
            return await function(n)  # type: ignore[no-any-return]
        if how == "task":
            return await asyncio.create_task(function(n))
        return sum(await asyncio.gather(function(n)))

    async def main() -> None:
        for how in ("await", "task", "gather"):
            for size in (1, 2, 3):
                runs = 0

                @memoize
                async def function(n: int, how: str = how, size: int = size) -> int:
                    nonlocal runs
                    runs += 1
                    if runs > size:
                        return 100
                    await settle()
                    return await ask(how, function, (n + 1) % size) + 1

                results = await asyncio.wait_for(asyncio.gather(*[function(n) for n in range(size)]), LIMIT)
                assert all(101 <= result <= 100 + size for result in results), (how, size, results)
                assert size < runs <= 2 * size

    run(main())


def tasks_that_a_load_leaves_behind_do_not_keep_its_result() -> None:
    class Value:
        pass

    async def main() -> None:
        stop = asyncio.Event()
        left: list[asyncio.Task[Any]] = []

        @memoize(1)
        async def function(n: int) -> Value:
            left.append(asyncio.create_task(stop.wait()))
            return Value()

        value = weakref.ref(await function(1))
        function.cache_clear()
        await settle()
        gc.collect()
        assert value() is None
        stop.set()
        await asyncio.gather(*left)

    run(main())


# --- event loops that end ---------------------------------------------------------------------


def end(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop as `asyncio.run` does."""
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks))
    loop.close()


def load_of_a_loop_that_ends_is_taken_over_by_another_loop() -> None:
    for stop in ("stop", "close"):
        begun = Event()
        runs: list[int] = []

        @memoize
        async def function(n: int, begun: Event = begun, runs: list[int] = runs) -> int:
            runs.append(n)
            if len(runs) == 1:
                begun.set()
                await asyncio.get_running_loop().create_future()
            return n

        loop = asyncio.new_event_loop()

        def lead(loop: Any = loop, function: Any = function, stop: str = stop) -> None:
            loop.create_task(function(1))
            loop.run_forever()
            if stop == "close":
                end(loop)

        leader = Call(lead)
        assert begun.wait(PATIENCE)
        waiter = Call(asyncio.run, asyncio.wait_for(function(1), LIMIT))
        until(lambda: any(len(flight.callers) == 2 for flight in function._flights.values()))
        loop.call_soon_threadsafe(loop.stop)
        leader.result()
        assert waiter.result() == 1
        assert runs == [1, 1]
        if stop == "stop":
            end(loop)


def function_serves_one_loop_after_the_other() -> None:
    runs = 0

    @memoize
    async def function(n: int) -> int:
        nonlocal runs
        runs += 1
        return n

    for _ in range(50):
        assert asyncio.run(function(1)) == 1
    assert runs == 1
    for n in range(2, 50):
        assert asyncio.run(function(n)) == n


def child_of_a_fork_inside_of_a_loop_does_not_wait_for_that_loop() -> None:
    parent = os.getpid()

    async def main() -> None:
        gate = asyncio.Event()

        @memoize
        async def function(n: int) -> int:
            if os.getpid() == parent:
                await gate.wait()
            return n

        call = asyncio.create_task(function(7))
        await settle()
        child = os.fork()
        if child == 0:
            signal.alarm(PATIENCE)
            try:
                os._exit(asyncio.run(asyncio.wait_for(function(7), LIMIT)))
            finally:
                os._exit(99)
        gate.set()
        assert await call == 7
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

    run(main())


# --- the awaitable of a hit -------------------------------------------------------------------


def awaitable_of_a_hit_is_used_like_a_coroutine() -> None:
    async def main() -> None:
        for value in (1, None, (1, 2), LookupError(), StopIteration(3)):

            @memoize
            async def function(value: Any = value) -> Any:
                return value

            assert await function() is value
            assert await function() is value
            assert await asyncio.create_task(function()) is value
            assert list(await asyncio.gather(function(), function())) == [value, value]
            assert await asyncio.wait_for(function(), 1) is value
            assert await asyncio.shield(function()) is value
            _ = function()  # dropped without a warning
            del _
            function().close()
            once = function()
            await once
            try:
                await once
            except RuntimeError as error:
                assert "already awaited" in str(error)
            else:
                raise AssertionError("no error")
            thrown = function()
            with contextlib.suppress(KeyError):
                thrown.throw(KeyError("k"))

    run(main())
    asyncio.run(asyncio.wait_for(memoize(asyncio.sleep)(0), 1))


def awaitables_of_hits_are_not_leaked() -> None:
    class Value:
        pass

    async def main() -> None:
        value = Value()

        @memoize
        async def function() -> Value:
            return value

        await function()
        before = sys.getrefcount(value)
        for _ in range(1000):
            await function()
            function().close()
            await asyncio.create_task(function())
        assert sys.getrefcount(value) <= before + 2  # the last task may still be there

    run(main())


def eager_tasks_work() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        runs = 0

        @memoize
        async def function(n: int) -> int:
            nonlocal runs
            runs += 1
            if n:
                await asyncio.sleep(0)
            return n

        for n in (0, 1):
            assert await asyncio.gather(*[asyncio.create_task(function(n)) for _ in range(10)]) == [n] * 10
        assert runs == 2

    run(main())


if __name__ == "__main__":
    play(globals())
