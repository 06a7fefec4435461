"""What a value from Redis costs through a `TieredCache`, compared with redis-py on the same server.

Memory is too small to answer, so every call goes to Redis, and its value is checked, decoded and kept. Contenders take
turns; ratios are formed within each turn, and the median of them is shown. Both clients have hiredis.

    python benches/python/tiers.py [--rounds 15] [--check]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import redis
import redis.asyncio

import overdrive
from redis_tier import free_port

VALUE = b"v" * 100
KEYS = [f"key:{number}" for number in range(2000)]
TASKS = 100
BLOCKING_LIMIT = 1.15
TASKS_LIMIT = 0.25


class Turn(NamedTuple):
    """Microseconds a call: of redis-py, and of the cache."""

    theirs: float
    ours: float


def blocking_turn(get: Callable[[str], object]) -> float:
    start = time.perf_counter()
    for key in KEYS:
        get(key)
    return (time.perf_counter() - start) / len(KEYS) * 1e6


async def tasks_turn(get: Callable[[str], Awaitable[object]]) -> float:
    async def some(first: int) -> None:
        for key in KEYS[first::TASKS]:
            await get(key)

    start = time.perf_counter()
    await asyncio.gather(*[some(first) for first in range(TASKS)])
    return (time.perf_counter() - start) / len(KEYS) * 1e6


def compare_blocking(cache: overdrive.TieredCache, port: int, rounds: int) -> list[Turn]:
    with redis.Redis(port=port, protocol=2) as client:
        return [Turn(blocking_turn(client.get), blocking_turn(cache.get)) for _ in range(rounds)]


async def compare_tasks(cache: overdrive.TieredCache, port: int, rounds: int) -> list[Turn]:
    client = redis.asyncio.Redis(port=port, protocol=2, max_connections=2 * TASKS)
    turns = [Turn(await tasks_turn(client.get), await tasks_turn(cache.aget)) for _ in range(rounds)]
    await client.aclose()
    await cache.aclose()
    return turns


def told(what: str, turns: Sequence[Turn], limit: float) -> bool:
    ratio = statistics.median(turn.ours / turn.theirs for turn in turns)
    theirs, ours = (statistics.median(times) for times in zip(*turns, strict=True))
    verdict = "PASS" if ratio <= limit else "FAIL"
    print(f"{verdict}  {what:34} redis-py {theirs:6.1f} us, cache {ours:6.1f} us: {ratio:.2f}, limit {limit}")
    return ratio <= limit


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contender")
    parser.add_argument("--server", default="redis-server", help="the program to start")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is exceeded")
    options = parser.parse_args(arguments)
    logging.getLogger("overdrive").setLevel(logging.ERROR)
    program = shutil.which(options.server)
    if program is None:
        print(f"{options.server} is not installed", file=sys.stderr)
        return 2
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [program, "--port", str(port), "--save", "", "--dir", str(Path(folder))], stdout=subprocess.DEVNULL
        )
        try:
            return compare(port, options)
        finally:
            server.kill()
            server.wait()


def compare(port: int, options: argparse.Namespace) -> int:
    cache = overdrive.TieredCache(1, l2=f"redis://127.0.0.1:{port}", namespace="bench", max_staleness=5)
    while not cache.barrier():
        time.sleep(0.05)
    for key in KEYS:
        cache.set(key, VALUE)
    with redis.Redis(port=port, protocol=2) as client:
        client.mset(dict.fromkeys(KEYS, VALUE))
    print(f"GET of {len(VALUE)} bytes, redis-py {redis.__version__}")
    blocking = told("blocking", compare_blocking(cache, port, options.rounds), BLOCKING_LIMIT)
    tasks = asyncio.run(compare_tasks(cache, port, options.rounds))
    kept = told(f"{TASKS} tasks", tasks, TASKS_LIMIT) and blocking
    return int(options.check and not kept)


if __name__ == "__main__":
    sys.exit(main())
