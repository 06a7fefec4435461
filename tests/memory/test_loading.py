"""`get_or_load` and `aget_or_load`: one load for all who ask, and no load overwrites what is newer."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from overdrive import MemoryCache, WithTTL
from overdrive.exceptions import WaitTimeout
from overdrive.testing import FakeClock

Make = Callable[..., MemoryCache[Any, Any]]


def in_threads(count: int, function: Callable[[], object]) -> list[object]:
    """Run a function in several threads; return what each returned or raised."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001 - it is the result
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


def test_loads_what_is_absent_and_keeps_it(make: Make, clock: FakeClock) -> None:
    cache = make(clock=clock)
    assert cache.get_or_load("a", lambda key: key * 2, ttl=5, tags=iter(["x"])) == "aa"
    assert cache.get_or_load("a", pytest.fail) == "aa"
    assert (cache.remaining_ttl("a"), cache.tags("a")) == (5, ("x",))
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.loads, stats.load_errors) == (1, 1, 1, 0)


def test_none_is_a_value(make: Make) -> None:
    cache = make()
    assert cache.get_or_load("a", lambda key: None) is None
    assert cache.get_or_load("a", pytest.fail) is None


def test_a_loader_may_say_how_long(make: Make, clock: FakeClock) -> None:
    cache = make(ttl=100, clock=clock)
    assert cache.get_or_load("a", lambda key: WithTTL(1, 7), ttl=50) == 1
    assert cache.remaining_ttl("a") == 7
    assert cache.get_or_load("b", lambda key: WithTTL(1, math.inf), ttl=50) == 1
    assert cache.remaining_ttl("b") == math.inf


def test_one_load_for_all_threads(make: Make) -> None:
    cache = make()
    begun, go = threading.Event(), threading.Event()
    calls = []

    def loader(key: str) -> object:
        calls.append(key)
        begun.set()
        go.wait(20)
        return object()

    threads: list[object] = []
    runner = threading.Thread(target=lambda: threads.extend(in_threads(64, lambda: cache.get_or_load("a", loader))))
    runner.start()
    begun.wait(20)
    go.set()
    runner.join(30)
    assert len(threads) == 64
    assert len(set(threads)) == 1
    assert calls == ["a"]


def test_an_exception_is_raised_and_nothing_kept(make: Make) -> None:
    cache = make()

    def fail(key: str) -> None:
        raise LookupError(key)

    with pytest.raises(LookupError, match="a"):
        cache.get_or_load("a", fail)
    assert len(cache) == 0
    assert cache.stats().load_errors == 1
    assert cache.get_or_load("a", lambda key: 1) == 1


@pytest.mark.parametrize(
    "outdate",
    [
        lambda cache: cache.pop("a", None),
        lambda cache: cache.delete("a"),
        lambda cache: cache.clear(),
        lambda cache: cache.invalidate_tag("x"),
        lambda cache: cache.delete_many(["a"]),
        lambda cache: cache.set("a", 9) or cache.delete("a"),
    ],
)
def test_what_was_invalidated_during_a_load_is_not_stored(make: Make, outdate: Callable[[Any], object]) -> None:
    cache = make()

    def loader(key: str) -> int:
        outdate(cache)
        return 1

    assert cache.get_or_load("a", loader, tags=("y", "x")) == 1
    assert "a" not in cache
    assert cache.get_or_load("a", lambda key: 2) == 2
    assert cache["a"] == 2


def test_what_was_set_during_a_load_stays(make: Make) -> None:
    cache = make()

    def loader(key: str) -> int:
        cache["a"] = "newer"
        return 1

    assert cache.get_or_load("a", loader) == 1
    assert cache["a"] == "newer"


def test_a_loader_that_asks_for_its_own_key_runs_again(make: Make) -> None:
    cache = make()
    depth = 0

    def loader(key: str) -> int:
        nonlocal depth
        depth += 1
        return 1 if depth == 3 else cache.get_or_load(key, loader) + 1

    assert cache.get_or_load("a", loader) == 3
    cache._check()


def test_what_does_not_fit_is_returned_all_the_same(make: Make) -> None:
    cache = make(10, weigher=lambda key, value: value)
    assert cache.get_or_load("a", lambda key: 11) == 11
    cache["b"] = 10
    cache.pin("b")
    assert cache.get_or_load("a", lambda key: 1) == 1
    assert dict(cache) == {"b": 10}
    small = make(10, max_bytes=200)
    assert len(small.get_or_load("a", lambda key: bytes(1000))) == 1000
    assert small.get_or_load("a", lambda key: 1) == 1
    assert small["a"] == 1


def test_what_the_weigher_raises_is_passed_on(make: Make) -> None:
    def weigher(key: object, value: object) -> int:
        raise ValueError("of the weigher")

    cache = make(10, weigher=weigher)
    with pytest.raises(ValueError, match="of the weigher"):
        cache.get_or_load("a", lambda key: 1)
    assert len(cache) == 0


def test_waiting_has_a_limit(make: Make) -> None:
    cache = make()
    begun, go = threading.Event(), threading.Event()

    def loader(key: str) -> int:
        begun.set()
        go.wait(20)
        return 1

    thread = threading.Thread(target=cache.get_or_load, args=("a", loader))
    thread.start()
    begun.wait(20)
    with pytest.raises(WaitTimeout):
        cache.get_or_load("a", loader, wait_timeout=0.001)
    go.set()
    thread.join(20)
    assert cache["a"] == 1


def test_unhashable_keys_are_refused(make: Make) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        make().get_or_load([], pytest.fail)


def test_one_load_for_all_tasks(make: Make) -> None:
    cache = make()
    calls = 0

    async def loader(key: str) -> object:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return object()

    async def main() -> list[object]:
        return await asyncio.gather(*(cache.aget_or_load("a", loader, tags="x") for _ in range(1000)))

    assert len(set(asyncio.run(main()))) == 1
    assert calls == 1
    assert cache.tags("a") == ("x",)


def test_an_exception_is_raised_by_all_tasks(make: Make) -> None:
    cache = make()

    async def fail(key: str) -> None:
        await asyncio.sleep(0)
        raise LookupError(key)

    async def main() -> list[Any]:
        return await asyncio.gather(*(cache.aget_or_load("a", fail) for _ in range(10)), return_exceptions=True)

    assert [type(result) for result in asyncio.run(main())] == [LookupError] * 10
    assert (len(cache), cache.stats().load_errors) == (0, 1)


def test_a_cancelled_load_leaves_nothing_behind(make: Make) -> None:
    cache = make()

    async def main() -> int:
        never = asyncio.Event()

        async def loader(key: str) -> int:
            await never.wait()
            return 1

        async def other(key: str) -> int:
            return 2

        task = asyncio.create_task(cache.aget_or_load("a", loader))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        loaded: int = await cache.aget_or_load("a", other)
        return loaded

    assert asyncio.run(main()) == 2
    assert cache["a"] == 2
    assert not cache._task_flights


def test_invalidation_during_an_async_load(make: Make) -> None:
    cache = make()

    async def loader(key: str) -> int:
        await asyncio.sleep(0)
        cache.invalidate_tag("x")
        return 1

    assert asyncio.run(cache.aget_or_load("a", loader, tags=["x"])) == 1
    assert "a" not in cache


def test_event_loops_share_a_load(make: Make) -> None:
    cache = make()
    barrier = threading.Barrier(4)
    begun: list[int] = []
    calls = []

    async def loader(key: str) -> object:
        calls.append(key)
        while len(begun) < 4:
            await asyncio.sleep(0)
        return object()

    async def ask() -> object:
        task = asyncio.create_task(cache.aget_or_load("a", loader))
        for _ in range(3):
            await asyncio.sleep(0)
        begun.append(1)
        return await task

    def run() -> object:
        barrier.wait(20)
        return asyncio.run(ask())

    assert len(set(in_threads(4, run))) == len(calls) == 1
