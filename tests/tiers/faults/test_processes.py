"""Forks, spawned processes, other event loops: each has connections and handles of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from overdrive import TieredCache
from tests.tiers.faults.calls import Calls, Origin
from tests.tiers.servers import Server, eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")

FORKS = """
import os, sys
from overdrive import TieredCache

url, folder = sys.argv[1:]
cache = TieredCache(l2=url or None, l3=folder or None, max_staleness=0.5, jitter=0)
cache.set("before", "parent")
loads = []

def load(key):
    loads.append(key)
    return f"{key} {os.getpid()}"

mine = cache.get_or_load("mine", load)
child = os.fork()
if child == 0:
    assert cache.get("before") == "parent"
    assert cache.get_or_load("mine", load) == mine
    for index in range(50):
        assert cache.get_or_load(f"child{index}", load) == f"child{index} {os.getpid()}"
    cache.set("before", "child")
    assert cache.get("before") == "child"
    assert cache.barrier(5) or not url
    cache.close()
    os._exit(0)
for index in range(50):
    assert cache.get_or_load(f"parent{index}", load) == f"parent{index} {os.getpid()}"
_, status = os.waitpid(child, 0)
assert status == 0, status
assert cache.barrier(5) or not url
assert cache.get("before") == "child", cache.get("before")
assert cache.health().state == "up", cache.health()
cache.close()
print("fine")
"""


@pytest.mark.parametrize("tiers", ["memory", "redis", "disk", "redis and disk"])
def test_forked_child_has_connections_and_handles_of_its_own(
    start_server: Callable[..., Server], tmp_path: Path, tiers: str
) -> None:
    url = start_server().url if "redis" in tiers else ""
    folder = str(tmp_path / "disk") if "disk" in tiers else ""
    script = FORKS if tiers != "memory" else FORKS.replace('== "child", cache', '== "parent", cache')
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, url, folder], capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_cache_serves_one_event_loop_after_the_other(redis_server: Server) -> None:
    with TieredCache(l2=redis_server.url, max_staleness=0.5, l1=1) as cache:

        async def work(number: int) -> list[object]:
            await cache.aset(f"key{number}", number)
            return [await cache.aget(f"key{each}") for each in range(number + 1)]

        for number in range(4):
            assert asyncio.run(work(number)) == list(range(number + 1))
        assert cache.get("key3") == 3
        assert cache.health().l2.state == "up"
        assert cache.stats().l2.errors == {}


def test_cache_serves_several_event_loops_and_threads_at_once(
    make_cache: Callable[..., Calls], origin: Origin, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url, way="tasks").until_coherent()
    blocking = Calls(calls.cache, None)
    keys = [f"key{index}" for index in range(20)]

    async def load(key: str) -> str:
        return origin(key)

    async def work() -> list[str]:
        return list(await asyncio.gather(*(calls.cache.aget_or_load(key, load) for key in keys)))

    assert calls.at_once(keys, origin) == [origin.value(key) for key in keys]
    assert blocking.at_once(keys, origin) == [origin.value(key) for key in keys]
    assert asyncio.run(work()) == [origin.value(key) for key in keys]
    assert set(origin.loads.values()) == {1}


def test_loop_that_was_closed_in_the_middle_of_a_load_blocks_nobody(
    make_cache: Callable[..., Calls], origin: Origin, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url, lease=0.3).until_coherent()

    async def hang(_key: object) -> str:
        await asyncio.sleep(60)
        return "never"

    async def begin() -> None:
        task = asyncio.create_task(calls.cache.aget_or_load("key", hang))
        await asyncio.sleep(0.05)
        task.cancel()

    asyncio.run(begin())
    assert calls.load("key", origin) == "key:0"
    eventually(lambda: calls.cache.get("key") == "key:0", "it is kept")
