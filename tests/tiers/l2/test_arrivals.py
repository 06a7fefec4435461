"""Waiting for entries, without a server."""

from __future__ import annotations

import asyncio
import threading

from overdrive._tiers.l2.arrivals import Arrivals
from overdrive._tiers.l2.positions import StreamId


def test_what_was_applied_is_not_waited_for() -> None:
    arrivals = Arrivals()
    arrivals.advance(StreamId(5, 1))
    assert arrivals.wait(StreamId(5, 1), 0)
    assert arrivals.wait(StreamId(4, 9), 0)
    assert not arrivals.wait(StreamId(5, 2), 0)
    assert not arrivals.waiting()


def test_threads_are_woken_by_what_they_wait_for_and_by_a_release() -> None:
    arrivals = Arrivals()
    outcomes: dict[int, bool] = {}

    def wait(seq: int) -> None:
        outcomes[seq] = arrivals.wait(StreamId(5, seq), 10)

    threads = [threading.Thread(target=wait, args=(seq,)) for seq in (1, 2, 3)]
    for thread in threads:
        thread.start()
    while len(arrivals.waiting()) < 3:
        pass
    arrivals.advance(StreamId(5, 2))
    threads[0].join(10)
    threads[1].join(10)
    assert outcomes == {1: True, 2: True}
    arrivals.advance(StreamId(1, 0))  # another stream, whose ids are lower
    assert len(arrivals.waiting()) == 1
    arrivals.release(arrivals.waiting())
    threads[2].join(10)
    assert outcomes[3]


def test_tasks_are_woken_and_withdraw_when_they_are_cancelled() -> None:
    arrivals = Arrivals()

    async def main() -> None:
        first = asyncio.create_task(arrivals.wait_async(StreamId(5, 1), 10))
        second = asyncio.create_task(arrivals.wait_async(StreamId(5, 2), 10))
        while len(arrivals.waiting()) < 2:
            await asyncio.sleep(0)
        threading.Thread(target=arrivals.advance, args=(StreamId(5, 1),)).start()
        assert await first
        second.cancel()
        assert (await asyncio.gather(second, return_exceptions=True))[0].__class__ is asyncio.CancelledError
        assert not arrivals.waiting()
        assert not await arrivals.wait_async(StreamId(5, 2), 0)
        assert not arrivals.waiting()

    asyncio.run(main())
