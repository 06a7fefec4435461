"""A child process that uses a cache in the middle of whatever the cache does.

`python -m tests.tiers.finalizers <finalizers|signals> <url> <directory> <seconds>`: the collector runs at nearly every
allocation, or signals arrive at nearly every bytecode that may be interrupted.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import signal
import sys
import time
from itertools import count
from typing import ClassVar

import overdrive

KEYS = 20


class Reentrant:
    """Uses the cache as it is collected, or as a signal arrives, in each way in turn."""

    turns = count()
    raised: ClassVar[list[BaseException]] = []
    is_inside = False

    def __init__(self, cache: overdrive.TieredCache) -> None:
        self.cache = cache
        self.circle = self  # so that the collector, at a time of its own, ends it

    def __del__(self) -> None:
        use(self.cache)


def use(cache: overdrive.TieredCache) -> None:
    """Use the cache, unless that is done already further out."""
    if Reentrant.is_inside:
        return
    Reentrant.is_inside = True
    turn = next(Reentrant.turns)
    key = f"key{turn % KEYS}"
    try:
        match turn % 8:
            case 0:
                cache.set(key, key)
            case 1:
                cache.invalidate(key)
            case 2:
                cache.get_or_load(key, str, tags=["tag"])
            case 3:
                cache.stats()
            case 4:
                cache.health()
            case 5:
                cache.invalidate_tags("tag")
            case 6:
                cache.get_many([key, "key0"])
            case _:
                cache.get(key)
    except BaseException as error:  # noqa: BLE001 - nobody else would see it
        Reentrant.raised.append(error)
    finally:
        Reentrant.is_inside = False


def blocking(cache: overdrive.TieredCache, seconds: float) -> int:
    """Use the cache, with finalizers in between; returns how often."""
    end = time.monotonic() + seconds
    for turn in count():
        key = f"key{turn % KEYS}"
        Reentrant(cache)
        assert cache.get_or_load(key, lambda key: key, tags=["tag"], ttl=60) == key
        assert cache.get(key) in (None, key)
        cache.set(key, key)
        if turn % 5 == 0:
            cache.invalidate(key)
        if time.monotonic() > end:
            return turn
    raise AssertionError


async def tasks(cache: overdrive.TieredCache, seconds: float) -> int:
    """The same, as a task."""
    end = time.monotonic() + seconds

    async def load(key: str) -> str:
        return key

    for turn in count():
        key = f"key{turn % KEYS}"
        Reentrant(cache)
        assert await cache.aget_or_load(key, load, tags=["tag"], ttl=60) == key
        assert await cache.aget(key) in (None, key)
        await cache.aset(key, key)
        if time.monotonic() > end:
            return turn
    raise AssertionError


def main(how: str, url: str, folder: str, seconds: str) -> None:
    """Print how much was done."""
    faulthandler.enable()
    faulthandler.dump_traceback_later(float(seconds) * 2 + 20, exit=True)
    cache = overdrive.TieredCache(8, l2=None if url == "-" else url, l3=None if folder == "-" else folder)
    if how == "signals":
        signal.signal(signal.SIGALRM, lambda *_: use(cache))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
    else:
        gc.set_threshold(3)
    done = blocking(cache, float(seconds)), asyncio.run(tasks(cache, float(seconds)))
    if how == "signals":
        signal.setitimer(signal.ITIMER_REAL, 0)
    gc.set_threshold(700)
    gc.collect()
    cache.close()
    assert not Reentrant.raised, Reentrant.raised[:3]
    print(*done, next(Reentrant.turns))


if __name__ == "__main__":
    main(*sys.argv[1:])
