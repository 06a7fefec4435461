"""Redis is away, silent, slow, busy or cuts connections: what callers see, what is logged, and how it heals."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from time import monotonic, sleep

import pytest

from tests.tiers.faults.calls import BUDGET, FIRST_CALLS, LATER_CALLS, TRIED, Calls, LogLines, Origin
from tests.tiers.proxy import Proxy
from tests.tiers.servers import Server, eventually, free_port


def assert_an_outage_is_cheap(calls: Calls, origin: Origin, log: LogLines) -> None:
    """The first calls take their budget at most, the others next to nothing; one line says so."""
    first = [calls.timed(calls.load, f"first{index}", origin) for index in range(TRIED)]
    assert [value for value, _ in first] == [origin.value(f"first{index}") for index in range(TRIED)]
    assert max(seconds for _, seconds in first) <= FIRST_CALLS
    later = sorted(calls.timed(calls.load, f"later{index}", origin)[1] for index in range(100))
    assert later[95] <= LATER_CALLS
    start = monotonic()
    calls.invalidate("first0")
    calls.set("later0", "set")
    assert calls.get("later0") == "set"
    assert monotonic() - start <= 2 * FIRST_CALLS
    health = calls.cache.health()
    assert (health.state, health.l2.state, health.coherent) == ("down", "down", False)
    assert health.l2.reason
    assert health.pending_invalidations == 2
    assert sum(calls.cache.stats().l2.errors.values()) >= 100
    assert len(log.of("unavailable")) == 1


def assert_it_has_healed(calls: Calls, origin: Origin, log: LogLines) -> None:
    """Values are shared again, and one line says that Redis is there."""
    calls.until_healed(origin)
    before = calls.cache.stats().l2.sets
    calls.set("shared", "value")
    assert calls.cache.stats().l2.sets == before + 1
    assert len(log.of("unavailable")) == 1
    assert len(log.of("available again")) == 1


def test_app_starts_without_redis_and_it_joins_later(
    make_cache: Callable[..., Calls],
    way: str,
    origin: Origin,
    log: LogLines,
    start_server: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    calls = make_cache(f"redis://127.0.0.1:{port}", way=way)
    assert_an_outage_is_cheap(calls, origin, log)
    monkeypatch.setattr("tests.tiers.servers.free_port", lambda: port)
    start_server()
    assert_it_has_healed(calls, origin, log)


def test_redis_is_killed_and_comes_back(
    make_cache: Callable[..., Calls], way: str, origin: Origin, log: LogLines, server: Server
) -> None:
    calls = make_cache(server.url, way=way).until_coherent()
    assert calls.load("before", origin) == "before:0"
    server.kill()
    # What is in memory may be up to H old: it is answered from there for so long.
    assert calls.load("before", origin) == "before:0"
    assert origin.loads["before"] == 1
    eventually(lambda: not calls.cache.health().coherent, "it knows that it hears nothing")
    assert_an_outage_is_cheap(calls, origin, log)
    server.start()
    assert_it_has_healed(calls, origin, log)
    assert len(log.of("listener", "lost the stream")) == 1


def test_network_swallows_everything(
    make_cache: Callable[..., Calls], way: str, origin: Origin, log: LogLines, proxy: Proxy
) -> None:
    calls = make_cache(proxy.url, way=way).until_coherent()
    proxy.mode = "blackhole"
    eventually(lambda: not calls.cache.health().coherent, "it knows that it hears nothing")
    assert_an_outage_is_cheap(calls, origin, log)
    proxy.heal()
    assert_it_has_healed(calls, origin, log)


def test_redis_is_frozen(
    make_cache: Callable[..., Calls], way: str, origin: Origin, log: LogLines, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url, way=way).until_coherent()
    redis_server.stop()
    eventually(lambda: not calls.cache.health().coherent, "it knows that it hears nothing")
    assert_an_outage_is_cheap(calls, origin, log)
    redis_server.resume()
    assert_it_has_healed(calls, origin, log)


def test_redis_slower_than_the_budget_is_not_waited_for(
    make_cache: Callable[..., Calls], way: str, origin: Origin, log: LogLines, proxy: Proxy
) -> None:
    calls = make_cache(proxy.url, way=way).until_coherent()
    proxy.delay = BUDGET
    value, seconds = calls.timed(calls.load, "key", origin)
    assert value == "key:0"
    assert seconds <= FIRST_CALLS
    assert calls.cache.stats().l2.errors == {"timeout": 1}
    # One slow answer is no outage.
    assert calls.cache.health().l2.state == "up"
    assert not log.of("unavailable")


def test_redis_slow_within_the_budget_is_waited_for(
    make_cache: Callable[..., Calls], way: str, origin: Origin, proxy: Proxy
) -> None:
    calls = make_cache(proxy.url, way=way).until_coherent()
    proxy.delay = BUDGET / 5
    for index in range(10):
        assert calls.load(f"key{index}", origin) == f"key{index}:0"
    assert calls.cache.stats().l2.errors == {}
    assert calls.cache.stats().l2.sets == 10


def test_callers_that_outnumber_connections_open_no_breaker(
    make_cache: Callable[..., Calls], way: str, origin: Origin, log: LogLines, proxy: Proxy
) -> None:
    calls = make_cache(proxy.url, way=way).until_coherent()
    proxy.delay = BUDGET / 8  # so that 16 connections cannot serve 300 calls in time
    keys = [f"key{index}" for index in range(300)]
    start = monotonic()
    assert calls.at_once(keys, origin) == [origin.value(key) for key in keys]
    # Each step has a budget; they are: look, take the lease, fill.
    assert monotonic() - start <= 3 * FIRST_CALLS + 2.0
    proxy.heal()
    assert calls.cache.health().l2.state == "up"
    assert not log.of("unavailable")
    assert set(calls.cache.stats().l2.errors) <= {"busy", "timeout"}
    if way == "blocking":
        assert calls.cache.stats().l2.errors["busy"] > 0
    assert calls.load("after", origin) == "after:0"
    assert calls.get("after") == "after:0"


def test_connection_is_reset_in_the_middle_of_a_reply(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server, proxy: Proxy
) -> None:
    large = "x" * 100_000
    writer = make_cache(redis_server.url, compression=None)
    keys = [f"key{index}" for index in range(10)]
    for key in keys:
        writer.set(key, key + large)
    calls = make_cache(proxy.url, way=way).until_coherent()
    assert calls.get("key0") == "key0" + large
    proxy.cut_after = 50_000
    for key in keys[1:5]:
        # Half a value is none: it is loaded, or asked for again.
        assert calls.load(key, origin) in (key + large, f"{key}:0")
    proxy.heal()
    calls.until_healed(origin)
    for key in keys[5:]:
        assert calls.get(key) == key + large


def test_replies_are_not_mixed_up_by_resets(
    make_cache: Callable[..., Calls], way: str, origin: Origin, proxy: Proxy
) -> None:
    calls = make_cache(proxy.url, l1=1, way=way).until_coherent()
    generator = random.Random(7)
    for turn in range(12):
        keys = [f"key{generator.randrange(40)}" for _ in range(24)]
        if turn % 3 == 1:
            proxy.reset_all()
        assert calls.at_once(keys, origin) == [origin.value(key) for key in keys]


def test_cancelled_calls_leave_nothing_behind_that_others_read(make_cache: Callable[..., Calls], proxy: Proxy) -> None:
    calls = make_cache(proxy.url, l1=1, way="tasks").until_coherent()
    proxy.delay = 0.005
    generator = random.Random(7)

    async def load(key: str) -> str:
        await asyncio.sleep(0.002)
        return f"of {key}"

    async def one(key: str) -> str:
        return await calls.cache.aget_or_load(key, load)

    async def main() -> dict[str, str]:
        tasks = [asyncio.ensure_future(one(f"key{generator.randrange(50)}")) for _ in range(400)]
        for task in generator.sample(tasks, 250):
            await asyncio.sleep(0.0002)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        keys = [f"key{index}" for index in range(50)]
        return dict(zip(keys, await asyncio.gather(*map(one, keys)), strict=True))

    values = calls.run(main())
    assert values == {key: f"of {key}" for key in values}
    assert calls.cache.health().l2.state == "up"


def test_nothing_waits_for_redis_while_a_stale_value_may_be_returned(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url, way=way, on_disconnect="stale").until_coherent()
    assert calls.load("key", origin) == "key:0"
    redis_server.kill()
    eventually(lambda: not calls.cache.health().coherent, "it knows that it hears nothing")
    origin.change("key")
    result = calls.result("key", origin)
    assert result is not None
    assert (result.value, result.stale) == ("key:0", True)
    assert origin.loads["key"] == 1
    assert calls.cache.stats().stale_served >= 1


def test_value_is_at_most_h_old_where_redis_cannot_be_reached(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server, proxy: Proxy
) -> None:
    cut_off = make_cache(proxy.url, way=way).until_coherent()
    other = make_cache(redis_server.url).until_coherent()
    assert cut_off.load("key", origin) == "key:0"
    proxy.mode = "blackhole"
    origin.change("key")
    other.invalidate("key")
    acknowledged = monotonic()
    worst = 0.0
    while monotonic() < acknowledged + 1.5:
        began = monotonic()
        if cut_off.load("key", origin) == "key:0":
            worst = began - acknowledged
        sleep(0.002)
    assert worst <= 0.5 + 0.1
    assert cut_off.load("key", origin) == "key:1"
