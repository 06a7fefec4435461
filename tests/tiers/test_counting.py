"""What a cache counts: each counter moves when, and only when, it says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from overdrive import LoadContext, LoadTimeout, PrefetchStats, TieredCache
from overdrive.testing import FakeClock
from tests.tiers.servers import Server, eventually


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., TieredCache]]:
    """Make caches, on the disk in `tmp_path / "disk"` if it is told, and close them."""
    caches: list[TieredCache] = []

    def make(size: float = 1000, *, on_disk: bool = False, **options: Any) -> TieredCache:
        cache = TieredCache(size, l3=tmp_path / "disk" if on_disk else None, **{"jitter": 0.0} | options)
        caches.append(cache)
        return cache

    yield make
    for cache in caches:
        cache.close()


def plain(cache: TieredCache) -> dict[str, float]:
    """Return what was counted that is not of one tier, without what is 0."""
    counts = {name: value for name, value in cache.stats().as_dict().items() if not isinstance(value, dict)}
    counts.pop("load_seconds")
    return {name: value for name, value in counts.items() if value}


def test_memory(make: Callable[..., TieredCache]) -> None:
    cache = make()
    cache.get("a")
    cache.set("a", 1)
    cache.get("a")
    cache.get_or_load("a", str)
    cache.get_or_load("b", str)
    cache.invalidate("a", "b")
    memory = cache.stats().l1
    assert (memory.hits, memory.misses, memory.sets, memory.deletes) == (2, 2, 2, 2)
    assert plain(cache) == {"loads": 1, "invalidations": 2}


def test_the_disk(make: Callable[..., TieredCache]) -> None:
    cache = make(on_disk=True)
    cache.get("a")
    cache.set("a", 1)
    assert cache.flush()
    cache.close()
    cache = make(on_disk=True)
    cache.get("a")
    cache.get("none")
    cache.set("a", 2)
    assert cache.flush()
    cache.delete("a")
    disk = cache.stats().l3
    assert (disk.hits, disk.misses, disk.sets, disk.deletes) == (1, 1, 1, 1)
    assert (disk.misses_by_reason, disk.errors) == ({}, {})


def test_why_the_disk_did_not_answer(make: Callable[..., TieredCache]) -> None:
    clock = FakeClock()
    cache = make(on_disk=True, clock=clock, ttl=60, stale_if_error=600)
    cache.set("a", 1)
    cache.flush()
    cache.close()
    clock.advance(100)
    cache = make(on_disk=True, clock=clock)
    assert cache.get("a") is None
    assert (cache.stats().l3.misses, cache.stats().l3.misses_by_reason) == (1, {"stale": 1})
    cache.close()
    cache = make(on_disk=True, clock=clock, version=2)
    assert cache.get("a") is None
    assert (cache.stats().l3.misses, cache.stats().l3.misses_by_reason) == (1, {"schema": 1})


def test_loads(make: Callable[..., TieredCache]) -> None:
    cache = make()

    def fails(_key: object) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        cache.get_or_load("a", fails)
    cache.get_or_load("a", str)
    assert plain(cache) == {"loads": 1, "load_errors": 1}
    assert cache.stats().load_seconds > 0


def test_old_values(make: Callable[..., TieredCache]) -> None:
    clock = FakeClock()
    cache = make(clock=clock, ttl=10, stale=20, stale_if_error=1000)
    cache.get_or_load("a", str)
    clock.advance(15)
    assert cache.get_or_load("a", lambda key: "new") == "a"
    eventually(lambda: cache.stats().loads == 2, "it is loaded anew")
    assert plain(cache) == {"loads": 2, "stale_served": 1}

    def fails(_key: object) -> None:
        raise ConnectionError

    clock.advance(100)
    assert cache.get_or_load("a", fails) == "new"
    assert plain(cache) == {"loads": 2, "load_errors": 1, "stale_served": 2}


def test_values_that_are_still_right(make: Callable[..., TieredCache]) -> None:
    clock = FakeClock()
    cache = make(clock=clock, ttl=10, stale_if_error=1000)
    cache.get_or_load("a", str)
    clock.advance(20)

    def load(_key: object, ctx: LoadContext[Any]) -> Any:
        return ctx.not_modified()

    assert cache.get_or_load("a", load) == "a"
    assert plain(cache) == {"loads": 2, "not_modified": 1}


def test_loads_before_the_time(make: Callable[..., TieredCache]) -> None:
    clock = FakeClock()
    cache = make(clock=clock, ttl=100, early=1e6)

    def load(key: object) -> object:
        clock.advance(1)  # a load takes a second; with such a beta the next one is due at once
        return key

    cache.get_or_load("a", load)
    cache.get_or_load("a", load)
    eventually(lambda: cache.stats().loads == 2, "it is loaded ahead")
    assert plain(cache) == {"loads": 2, "early_refreshes": 1}


def test_callers_that_wait(make: Callable[..., TieredCache]) -> None:
    cache = make()
    begun, go_on = threading.Event(), threading.Event()

    def load(key: object) -> object:
        begun.set()
        go_on.wait(10)
        return key

    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(cache.get_or_load, "a", load)
        begun.wait(10)
        flight = cache._flights["a"]
        others = [threads.submit(cache.get_or_load, "a", load) for _ in range(3)]
        eventually(lambda: sum(other.running() for other in others) == 3 and flight, "they have come")
        # They may not have got as far as the flight; who has not finds the value in memory.
        go_on.set()
        assert {first.result(), *[other.result() for other in others]} == {"a"}
    stats = cache.stats()
    assert stats.loads == 1
    assert stats.stampede_waits + stats.l1.hits == 3


def test_tasks_that_wait(make: Callable[..., TieredCache]) -> None:
    cache = make()

    async def load(key: object) -> object:
        await asyncio.sleep(0.01)
        return key

    async def main() -> None:
        await asyncio.gather(*[cache.aget_or_load("a", load) for _ in range(4)])

    asyncio.run(main())
    assert plain(cache) == {"loads": 1, "stampede_waits": 3}
    assert (cache.stats().l1.hits, cache.stats().l1.misses) == (0, 4)


def test_functions_are_counted_too(make: Callable[..., TieredCache]) -> None:
    cache = make()

    @cache.cached()
    def double(number: int) -> int:
        return 2 * number

    for number in (1, 1, 2):
        double(number)
    assert (cache.stats().l1.hits, cache.stats().l1.misses, cache.stats().loads) == (1, 2, 2)
    assert double.cache_info().hits == 1


def test_callers_that_give_up(make: Callable[..., TieredCache]) -> None:
    cache = make()
    go_on = threading.Event()
    with pytest.raises(LoadTimeout):
        cache.get_or_load("a", lambda key: go_on.wait(10), hard_timeout=0.01)
    assert plain(cache) == {"timeouts": 1}
    go_on.set()
    eventually(lambda: cache.stats().loads == 1, "the load goes on")


def test_prefetching(make: Callable[..., TieredCache]) -> None:
    assert make().stats().prefetch == PrefetchStats()
    cache = make(prefetch=True)
    for key in "abc":
        cache.get_or_load(key, str)
    assert cache.stats().prefetch.observed == 3
    assert cache.stats().as_dict()["prefetch"]["observed"] == 3


def test_redis(make: Callable[..., TieredCache], redis_server: Server) -> None:
    options: dict[str, Any] = {"l2": redis_server.url, "budget": 2.0}
    cache, other = make(**options), make(**options)
    eventually(lambda: cache.health().coherent and other.health().coherent, "they listen")
    cache.set("a", 1, tags=["t"])
    assert other.get("a") == 1
    assert other.get("none") is None
    cache.invalidate_tags("t")
    assert other.barrier(5)
    assert other.get("a") is None
    cache.invalidate("a")
    assert (cache.stats().l2.sets, cache.stats().l2.deletes) == (1, 1)
    redis = other.stats().l2
    assert (redis.hits, redis.misses, redis.misses_by_reason) == (1, 2, {"tag": 1})
    redis_server.kill()
    eventually(lambda: other.get("b") is None and other.stats().l2.errors, "it notices")
    assert set(other.stats().l2.errors) <= {"refused", "reset", "open", "timeout"}


def test_suspects(make: Callable[..., TieredCache], redis_server: Server) -> None:
    cache = make(l2=redis_server.url, budget=2.0)
    eventually(lambda: cache.health().coherent, "it listens")
    cache.set("a", 1)
    redis_server.command("DEL", "{default}:inv")  # what was in there is missed
    listener = cache._tiers.backplane.listener  # type: ignore[union-attr]
    eventually(lambda: listener.health().attaches == 2 and cache.health().coherent, "it attaches anew")
    assert cache.get("a") == 1
    assert plain(cache) == {"suspects": 1, "revalidations": 1}


def test_what_moves_between_tiers(make: Callable[..., TieredCache], redis_server: Server) -> None:
    writer = make(l2=redis_server.url, budget=2.0)
    cache = make(2, l2=redis_server.url, budget=2.0, on_disk=True, policy="lru")
    eventually(lambda: writer.health().coherent and cache.health().coherent, "they listen")
    for key in "abc":
        writer.set(key, key)
    assert cache.barrier(10)
    for key in "abc":
        assert cache.get(key) == key  # from Redis, so that the disk does not have it
    assert plain(cache) == {"demotions": 1}
    assert cache.flush()
    redis_server.command("DEL", "{default}:v:a")
    for _ in range(2):
        cache.l1.clear()
        assert cache.get("a") == "a"
    eventually(lambda: cache.stats().promotions, "it is in Redis again")
    assert redis_server.command("EXISTS", "{default}:v:a") == 1
    assert (cache.stats().l3.hits, plain(cache)) == (2, {"demotions": 1, "promotions": 1})
