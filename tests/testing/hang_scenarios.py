"""Stampedes that hang: each scenario runs in a process of its own, see `tests.decorators.concurrency`."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

from overdrive import cached, memoize
from overdrive.testing import StampedeReport, astampede, stampede
from tests.decorators.concurrency import PATIENCE, play

TIMEOUT = 0.3  # seconds; what does not hang has long ended


def run(function: Any, **options: Any) -> StampedeReport[Any]:
    return asyncio.run(astampede(function, timeout=TIMEOUT, **options))


def threads_that_hang_are_reported() -> None:
    lock = threading.Lock()
    calls: list[int] = []

    def wait_for_ever() -> str:
        with lock:
            calls.append(1)
            number = len(calls)
        if number in (2, 3):
            threading.Event().wait()
        return "ended"

    report = stampede(wait_for_ever, callers=4, threads=4, timeout=TIMEOUT)
    assert report.results == ["ended"] * 2
    assert len(report.hung) == 2
    for place in report.hung.values():
        assert "in wait_for_ever" in place
    assert TIMEOUT / 2 < report.seconds < PATIENCE


def callers_behind_one_that_hangs_are_reported() -> None:
    release = threading.Event()
    calls: list[int] = []

    def wait() -> None:
        calls.append(1)
        if len(calls) == 2:
            release.wait()

    report = stampede(wait, callers=5, threads=1, timeout=TIMEOUT)
    assert len(report.results) == 1
    assert list(report.hung) == [1, 2, 3, 4]
    assert "in wait" in report.hung[1]
    assert report.hung[3] == "behind caller 1, in its thread"
    # It is over: what hung goes on no further.
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "stampede 0"]
    release.set()
    thread.join(PATIENCE)
    assert len(calls) == 2


def time_is_shared_by_all_threads() -> None:
    report = stampede(threading.Event().wait, callers=10, threads=10, timeout=TIMEOUT)
    assert list(report.hung) == list(range(10))
    assert report.seconds < 10 * TIMEOUT


def tasks_that_hang_are_reported_and_cancelled() -> None:
    cancelled: list[int] = []

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    async def wait() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    async def stampede_and_look(loops: int) -> tuple[StampedeReport[None], int]:
        report = await astampede(wait, callers=3, loops=loops, timeout=TIMEOUT)
        return report, len(cancelled)  # before the end of this event loop cancels what is left

    for loops in (1, 2):
        cancelled.clear()
        report, cancellations = asyncio.run(stampede_and_look(loops))
        assert cancellations == 3
        assert list(report.hung) == [0, 1, 2]
        assert (report.results, report.errors, report.cancelled) == ([], [], [])
        for place in report.hung.values():
            assert "in wait" in place
            assert "in forever" in place
            assert "<Future pending" in place


def tasks_that_refuse_to_end_are_left_behind() -> None:
    stubborn = True

    async def refuse() -> None:
        while stubborn:
            with suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()

    async def scenario() -> None:
        nonlocal stubborn
        report = await astampede(refuse, callers=2, timeout=TIMEOUT)
        assert list(report.hung) == [0, 1]
        stubborn = False  # so that the end of this event loop, which waits for its tasks, does not hang

    asyncio.run(scenario())
    stubborn = True
    report = run(refuse, callers=4, loops=2)
    assert list(report.hung) == [0, 1, 2, 3]


def blocked_event_loops_are_reported() -> None:
    lock = threading.Lock()
    blocked: list[int] = []

    async def block_one() -> str:
        with lock:
            blocks = not blocked
            if blocks:
                blocked.append(threading.get_ident())
        if blocks:
            threading.Event().wait()
        elif threading.get_ident() in blocked:
            raise AssertionError("a blocked event loop ran")
        return "ended"

    report = run(block_one, callers=6, loops=3)
    assert report.results == ["ended"] * 4
    assert len(report.hung) == 2
    assert report.hung.keys() <= {0, 3} or report.hung.keys() <= {1, 4} or report.hung.keys() <= {2, 5}
    for place in report.hung.values():
        assert "in block_one" in place


def loads_until_the_timeout_are_counted() -> None:
    @memoize
    def wait(n: int) -> None:
        threading.Event().wait()

    @memoize
    async def await_for_ever(n: int) -> None:
        await asyncio.get_running_loop().create_future()

    report = stampede(wait, 1, callers=3, threads=3, timeout=TIMEOUT)
    assert (report.loads, len(report.hung)) == (1, 3)
    report = asyncio.run(astampede(await_for_ever, 1, callers=3, timeout=TIMEOUT))
    assert (report.loads, len(report.hung)) == (1, 3)


def statistics_that_hang_too_are_done_without() -> None:
    class Stuck(dict[Any, Any]):
        def __getitem__(self, key: object) -> None:
            threading.Event().wait()

    lock = threading.Lock()
    report = stampede(cached(Stuck(), lock=lock, info=True)(abs), 1, callers=2, threads=2, timeout=TIMEOUT)
    assert (report.loads, list(report.hung)) == (None, [0, 1])
    assert lock.locked()


if __name__ == "__main__":
    play(globals())
