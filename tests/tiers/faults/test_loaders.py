"""A loader raises, hangs, or returns nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from time import monotonic

import pytest

from overdrive import LoadTimeout
from overdrive.testing import FakeClock
from tests.tiers.faults.calls import Calls, Origin
from tests.tiers.servers import Server, eventually


class Down(Exception):
    """What a loader raises when what it loads from is down."""


def test_error_of_a_loader_is_raised_and_not_kept(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url, way=way).until_coherent()
    origin.error = Down("down")
    for _ in range(2):
        with pytest.raises(Down):
            calls.load("key", origin)
    assert origin.loads["key"] == 2
    assert calls.cache.stats().load_errors == 2
    origin.error = None
    # No lease is left behind: nobody waits for who failed.
    start = monotonic()
    assert calls.load("key", origin) == "key:0"
    assert monotonic() - start < 1.0


def test_old_value_stands_in_for_a_loader_that_raises(
    make_cache: Callable[..., Calls], way: str, origin: Origin
) -> None:
    clock = FakeClock(1_800_000_000.0)
    calls = make_cache(way=way, clock=clock, ttl=10, stale_if_error=1000)
    assert calls.load("key", origin) == "key:0"
    clock.advance(11)
    origin.error = Down("down")
    for _ in range(20):
        result = calls.result("key", origin)
        assert result is not None
        assert (result.value, result.stale) == ("key:0", True)
    # It is not tried again at each call.
    assert origin.loads["key"] == 2
    assert calls.cache.stats().stale_served >= 1
    clock.advance(31)
    origin.error = None
    origin.change("key")
    assert calls.load("key", origin) == "key:1"


def test_old_value_does_not_stand_in_for_what_was_invalidated(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url, way=way, stale_if_error=1000).until_coherent()
    assert calls.load("key", origin) == "key:0"
    calls.invalidate("key")
    origin.error = Down("down")
    with pytest.raises(Down):
        calls.load("key", origin)


def test_loader_that_hangs_is_given_up_and_what_comes_of_it_is_kept(
    make_cache: Callable[..., Calls], origin: Origin, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url).until_coherent()
    go_on = threading.Event()

    def hang(key: str) -> str:
        assert go_on.wait(10)
        return origin(key)

    start = monotonic()
    with pytest.raises(LoadTimeout):
        calls.cache.get_or_load("key", hang, hard_timeout=0.1)
    assert monotonic() - start < 1.0
    assert calls.cache.stats().timeouts == 1
    for _ in range(5):  # who asks meanwhile waits for the same load
        with pytest.raises(LoadTimeout):
            calls.cache.get_or_load("key", hang, hard_timeout=0.02)
    go_on.set()
    eventually(lambda: calls.cache.get("key") == "key:0", "it is kept")
    assert origin.loads["key"] == 1


def test_slow_loader_does_not_keep_callers_from_an_old_value(make_cache: Callable[..., Calls], origin: Origin) -> None:
    clock = FakeClock(1_800_000_000.0)
    calls = make_cache(clock=clock, ttl=10, stale_if_error=1000, soft_timeout=0.05)
    assert calls.load("key", origin) == "key:0"
    clock.advance(11)
    origin.change("key")
    go_on = threading.Event()

    def hang(key: str) -> str:
        assert go_on.wait(10)
        return origin(key)

    result = calls.cache.get_result("key", hang)
    assert result is not None
    assert (result.value, result.stale) == ("key:0", True)
    go_on.set()
    eventually(lambda: calls.load("key", origin) == "key:1", "the new one is kept")
    assert origin.loads["key"] == 2


def test_loader_that_hangs_in_a_task_is_run_once(make_cache: Callable[..., Calls], redis_server: Server) -> None:
    calls = make_cache(redis_server.url, way="tasks").until_coherent()
    loads: list[str] = []

    async def main() -> str:
        go_on = asyncio.Event()

        async def hang(key: str) -> str:
            loads.append(key)
            await go_on.wait()
            return "value"

        for _ in range(5):
            with pytest.raises(LoadTimeout):
                await calls.cache.aget_or_load("key", hang, hard_timeout=0.02)
        go_on.set()
        return await calls.cache.aget_or_load("key", hang, hard_timeout=5)

    assert calls.run(main()) == "value"
    assert loads == ["key"]


def test_nothing_is_kept_only_if_asked_for(make_cache: Callable[..., Calls], way: str, redis_server: Server) -> None:
    calls = make_cache(redis_server.url, way=way).until_coherent()
    loads: list[str] = []

    def nothing(key: str) -> None:
        loads.append(key)

    for _ in range(3):
        assert calls.load("key", nothing) is None
    assert loads == ["key"] * 3
    for _ in range(3):
        assert calls.load("other", nothing, negative_ttl=60) is None
    assert loads == ["key"] * 3 + ["other"]
    # Other instances know of it, too.
    other = make_cache(redis_server.url)
    assert other.load("other", nothing, negative_ttl=60) is None
    assert loads.count("other") == 1
