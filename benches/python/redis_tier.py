"""Compare the Redis tier with redis-py on the same server, which is started for it.

Contenders take turns; ratios are formed within each turn, and the median of them is shown. Both clients have hiredis.

    python benches/python/redis_tier.py [--tcp] [--rounds 40] [--check]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import redis
import redis.asyncio

from overdrive._tiers.l2.reasons import RedisUnavailable
from overdrive._tiers.l2.scripts import Steps
from overdrive._tiers.l2.tier import RedisTier
from overdrive._tiers.l2.url import parse_url

VALUE = b"v" * 100
CALLS = 300  # in one turn of one contender
TASKS = 100
WAVES = 6
SYNC_LIMIT = 1.15
ASYNC_LIMIT = 0.25
OPEN_LIMIT_US = 10.0


@dataclass(slots=True)
class Times:
    """The times of one contender: of single calls in microseconds, and of turns in microseconds a call."""

    name: str
    calls: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)

    def line(self) -> str:
        """One row of the table."""
        calls = sorted(self.calls)
        p50, p99 = calls[len(calls) // 2], calls[len(calls) * 99 // 100]
        return f"  {self.name:34} {statistics.median(self.turns):8.1f} {p50:8.1f} {p99:8.1f}"


def ratio(one: Times, other: Times) -> float:
    return statistics.median(a / b for a, b in zip(one.turns, other.turns, strict=True))


def turn(times: Times, call: Callable[[], object]) -> None:
    clock = time.perf_counter
    start = before = clock()
    for _ in range(CALLS):
        call()
        now = clock()
        times.calls.append((now - before) * 1e6)
        before = now
    times.turns.append((before - start) / CALLS * 1e6)


async def wave_turn(times: Times, call: Callable[[], Awaitable[object]]) -> None:
    async def timed() -> None:
        before = time.perf_counter()
        await call()
        times.calls.append((time.perf_counter() - before) * 1e6)

    start = time.perf_counter()
    for _ in range(WAVES):
        await asyncio.gather(*[timed() for _ in range(TASKS)])
    times.turns.append((time.perf_counter() - start) / (WAVES * TASKS) * 1e6)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def measure_sync(tier: RedisTier, client: redis.Redis, steps: Steps, rounds: int) -> tuple[Times, Times]:
    ours, theirs = Times("tier.call(get)"), Times("redis.Redis.get")
    key = steps.values + b"k"
    for _ in range(rounds):
        turn(ours, lambda: tier.call(steps.get(b"k")))
        turn(theirs, lambda: client.get(key))
    return ours, theirs


async def measure_async(tier: RedisTier, client: redis.asyncio.Redis, steps: Steps, rounds: int) -> tuple[Times, Times]:
    ours, theirs = Times(f"tier.acall(get), {TASKS} tasks"), Times(f"redis.asyncio get, {TASKS} tasks")
    key = steps.values + b"k"
    for _ in range(rounds):
        await wave_turn(ours, lambda: tier.acall(steps.get(b"k")))
        await wave_turn(theirs, lambda: client.get(key))
    await tier.aclose()
    await client.aclose()
    return ours, theirs


def measure_open(rounds: int) -> Times:
    """The cost of a call while the breaker is open."""
    tier = RedisTier("redis://127.0.0.1:1", namespace="bench", clock=lambda: 0.0)
    step = Steps("bench").get(b"k")

    def call() -> None:
        try:
            tier.call(step)
        except RedisUnavailable:
            return

    for _ in range(10):
        call()
    times = Times("tier.call, breaker open")
    for _ in range(rounds):
        turn(times, call)
    return times


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tcp", action="store_true", help="a port instead of a Unix socket")
    parser.add_argument("--rounds", type=int, default=40, help="turns of each contender")
    parser.add_argument("--server", default="redis-server", help="the program to start")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar is missed")
    options = parser.parse_args(arguments)
    logging.getLogger("overdrive").setLevel(logging.ERROR)
    program = shutil.which(options.server)
    if program is None:
        print(f"{options.server} is not installed", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "s")
        port = free_port()
        where = ["--port", str(port)] if options.tcp else ["--port", "0", "--unixsocket", str(path)]
        server = subprocess.Popen([program, *where, "--save", "", "--dir", directory], stdout=subprocess.DEVNULL)
        try:
            return compare(f"redis://127.0.0.1:{port}" if options.tcp else f"unix://{path}", options)
        finally:
            server.kill()
            server.wait()


def compare(url: str, options: argparse.Namespace) -> int:
    steps = Steps("bench")
    tier = RedisTier(url, namespace="bench", budget=5)
    while True:
        try:
            tier.call(steps.write(b"k", VALUE, 0))
            break
        except RedisUnavailable:
            time.sleep(0.05)
    address = parse_url(url).addresses[0]
    where = {"port": address.port} if options.tcp else {"unix_socket_path": address.host}
    with redis.Redis(protocol=2, **where) as client:
        sync = measure_sync(tier, client, steps, options.rounds)
    pooled = redis.asyncio.Redis(protocol=2, max_connections=2 * TASKS, **where)
    looping = asyncio.run(measure_async(tier, pooled, steps, options.rounds))
    opened = measure_open(options.rounds)
    print(f"GET of {len(VALUE)} bytes, {url.partition(':')[0]}, redis-py {redis.__version__}; microseconds a call")
    print(f"  {'':34} {'median':>8} {'p50':>8} {'p99':>8}")
    for times in (*sync, *looping, opened):
        print(times.line())
    verdicts = [
        (f"blocking <= {SYNC_LIMIT} x redis-py", ratio(*sync), SYNC_LIMIT),
        (f"async <= {ASYNC_LIMIT} x redis.asyncio", ratio(*looping), ASYNC_LIMIT),
        (f"breaker open < {OPEN_LIMIT_US:g} us", statistics.median(opened.turns), OPEN_LIMIT_US),
    ]
    for label, value, limit in verdicts:
        print(f"{'PASS' if value <= limit else 'FAIL'}  {label}: {value:.2f}")
    return int(options.check and any(value > limit for _, value, limit in verdicts))


if __name__ == "__main__":
    sys.exit(main())
