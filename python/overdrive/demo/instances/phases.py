"""What happens to the processes and to Redis while pages are asked for."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import monotonic

from overdrive._progress import Advance
from overdrive.demo.instances.children import Instance, RedisServer
from overdrive.demo.instances.ledger import Ledger
from overdrive.demo.instances.load import Load
from overdrive.demo.instances.results import Outcome, PhaseRow, Restart
from overdrive.demo.instances.settings import Settings
from overdrive.demo.instances.store import PricedShop, build

__all__ = ("record",)

MAX_STALENESS = 0.5  # seconds: what the processes are told, and what is promised of them


def record(
    folder: Path,
    requests: Sequence[int],
    *,
    pages: int,
    seconds: float,
    redis_program: str | None,
    advance: Advance = lambda _: None,
) -> Outcome:
    """Have two processes serve pages while prices change and things fail, and say what was seen.

    Args:
        folder: for all files; must be empty.
        requests: products, in the order in which they are asked for.
        pages: how many pages each process holds in memory.
        seconds: for how long pages are asked for, in all.
        redis_program: the Redis to start; None for none.
        advance: told what share is done.

    Raises:
        ChildError: a process does not start.
    """
    database = folder / "shop.sqlite"
    build(database, max(requests) + 1)
    with closing(PricedShop(database)) as shop:
        ledger = Ledger([shop.article(product)[0] for product in range(max(requests) + 1)])
    with _ending_as_by_ctrl_c():
        return asyncio.run(_Story(folder, database, redis_program, pages).tell(requests, ledger, seconds, advance))


class _Story:
    """Two processes, a Redis or none, and what becomes of them."""

    def __init__(self, folder: Path, database: Path, redis_program: str | None, pages: int) -> None:
        self._redis = None if redis_program is None else RedisServer(redis_program, folder)
        self._instances = [
            Instance(
                f"process {number}",
                folder,
                Settings(
                    database=str(database),
                    pages=pages,
                    redis=None if self._redis is None else self._redis.url,
                    # As on two hosts, if they have Redis; else they must share the disk, as the workers of one.
                    disk=str(folder / (f"disk-{number}" if self._redis else "disk")),
                    max_staleness=MAX_STALENESS,
                ),
            )
            for number in (1, 2)
        ]

    async def tell(self, requests: Sequence[int], ledger: Ledger, seconds: float, advance: Advance) -> Outcome:
        load = Load(self._instances, requests, ledger, bound=MAX_STALENESS)
        with ExitStack() as running:
            for child in (*self._instances, self._redis):
                if child is not None:
                    running.callback(child.end)
            if self._redis is not None:
                await self._redis.start()
            await asyncio.gather(*(instance.start() for instance in self._instances))
            load.begin("cold")
            asking = asyncio.create_task(load.run())
            try:
                restart = await self._unfold(load, asking, seconds, advance)
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        return Outcome(
            rows=[PhaseRow.of(tally) for tally in load.tallies],
            bound_ms=MAX_STALENESS * 1000,
            has_redis=self._redis is not None,
            restart=restart,
        )

    async def _unfold(self, load: Load, asking: asyncio.Task[None], seconds: float, advance: Advance) -> Restart:
        phases = 5 if self._redis else 3
        done = 0

        async def last(began: float) -> None:
            """Let a phase last for its share of the time."""
            nonlocal done
            until = began + seconds / phases
            while (left := until - monotonic()) > 0:
                advance((done + 1 - left * phases / seconds) / phases)
                ended, _ = await asyncio.wait([asking], timeout=min(left, 0.1))
                for task in ended:
                    task.result()  # raises what went wrong
            done += 1

        await last(monotonic())
        load.begin("warm")
        await last(monotonic())
        began = monotonic()
        load.begin("killed, restarted")
        victim = self._instances[0]
        victim.kill()
        await victim.start()
        restart = Restart(down_s=monotonic() - began)
        await last(began)
        if self._redis is not None:
            load.begin("Redis down")
            self._redis.kill()
            await last(monotonic())
            load.begin("Redis back")
            await self._redis.start()
            await last(monotonic())
        return restart


@contextmanager
def _ending_as_by_ctrl_c() -> Iterator[None]:
    """Have a request to end, as `kill` sends it, end the processes too, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
