"""Who asks for a key that is being loaded waits for that load, unless it is older than an invalidation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from overdrive import LoadContext, TieredCache
from tests.tiers.servers import eventually


@pytest.fixture
def cache() -> Iterator[TieredCache]:
    with TieredCache(jitter=0) as cache:
        yield cache


INVALIDATIONS: dict[str, Callable[[TieredCache], None]] = {
    "key": lambda cache: cache.invalidate("key"),
    "tag": lambda cache: cache.invalidate_tags("tag"),
    "set": lambda cache: cache.set("key", "set", tags="tag"),
    "clear": lambda cache: cache.clear(),
}


class Loads:
    """A loader whose first run waits until it is told to go on."""

    def __init__(self) -> None:
        self.runs = 0
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, _key: object) -> int:
        self.runs += 1
        run = self.runs
        if run == 1:
            self.begun.set()
            assert self.go_on.wait(10)
        return run


@pytest.mark.parametrize("how", INVALIDATIONS)
def test_call_after_an_invalidation_does_not_get_what_an_older_load_returns(cache: TieredCache, how: str) -> None:
    loads = Loads()
    first: list[int] = []
    thread = threading.Thread(target=lambda: first.append(cache.get_or_load("key", loads, tags="tag")))
    thread.start()
    assert loads.begun.wait(10)
    INVALIDATIONS[how](cache)
    expected: Any = "set" if how == "set" else 2
    assert cache.get_or_load("key", loads, tags="tag") == expected
    loads.go_on.set()
    thread.join(10)
    assert first == [1]  # who asked before it gets what was being loaded
    assert cache.get("key") == expected


async def _of_tasks(how: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    runs = 0

    async def load(_key: object) -> int:
        nonlocal runs
        runs += 1
        run = runs
        if run == 1:
            begun.set()
            await go_on.wait()
        return run

    async with TieredCache(jitter=0) as cache:
        first = asyncio.create_task(cache.aget_or_load("key", load, tags="tag"))
        await begun.wait()
        INVALIDATIONS[how](cache)
        expected: Any = "set" if how == "set" else 2
        assert await cache.aget_or_load("key", load, tags="tag") == expected
        go_on.set()
        assert await first == 1
        assert await cache.aget("key") == expected


@pytest.mark.parametrize("how", INVALIDATIONS)
def test_task_after_an_invalidation_does_not_get_what_an_older_load_returns(how: str) -> None:
    asyncio.run(asyncio.wait_for(_of_tasks(how), 10))


def test_decorated_function_after_an_invalidation_does_not_get_what_an_older_load_returns(cache: TieredCache) -> None:
    loads = Loads()
    cached = cache.cached(key="key", tags="tag")(loads.__call__)
    first: list[int] = []
    thread = threading.Thread(target=lambda: first.append(cached("key")))
    thread.start()
    assert loads.begun.wait(10)
    cache.invalidate("key")
    assert cached("key") == 2
    loads.go_on.set()
    thread.join(10)
    assert first == [1]
    assert cached("key") == 2


def test_calls_without_an_invalidation_between_them_share_a_load(cache: TieredCache) -> None:
    loads = Loads()
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(cache.get_or_load("key", loads))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert loads.begun.wait(10)
    cache.invalidate("another")
    loads.go_on.set()
    for thread in threads:
        thread.join(10)
    assert results == [1] * 8


@pytest.mark.parametrize("by", ["context", "function"])
def test_who_asks_after_a_tag_was_invalidated_that_only_the_loader_knows_gets_what_is_loaded_after_that(
    cache: TieredCache, by: str
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    loads: list[int] = []

    def load(key: str, ctx: LoadContext[int]) -> int:
        loads.append(len(loads))
        if by == "context":
            ctx.tags.add("tag")
        if len(loads) == 1:
            begun.set()
            assert go_on.wait(10)
        return len(loads)

    def ask() -> int:
        tags: Any = (lambda key: ["tag"]) if by == "function" else None
        return cache.get_or_load("key", load, tags=tags)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(ask)
        assert begun.wait(10)
        cache.invalidate_tags("tag")
        second = threads.submit(ask)
        eventually(lambda: second.running(), "the second call has begun")
        go_on.set()
        assert first.result(10) == 1
        assert second.result(10) == 2
