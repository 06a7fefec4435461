"""Clocks jump, and those of hosts differ."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from overdrive.testing import FakeClock
from tests.tiers.faults.calls import Calls, LogLines, Origin
from tests.tiers.servers import Server

NOW = 1_800_000_000.0


@pytest.mark.parametrize("jump", [-86_400.0, -5.0, 5.0])
def test_clock_on_the_wall_that_jumps_makes_nothing_wrong(
    make_cache: Callable[..., Calls], origin: Origin, redis_server: Server, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    offset = 0.0
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + offset)
    calls = make_cache(redis_server.url, ttl=60).until_coherent()
    assert calls.load("key", origin) == "key:0"
    offset = jump
    assert calls.load("key", origin) == "key:0"
    assert origin.loads["key"] == 1  # memory goes by a clock that does not jump
    origin.change("key")
    calls.invalidate("key")
    assert calls.load("key", origin) == "key:1"
    origin.change("key")
    calls.set("key", "key:2")
    assert calls.get("key") == "key:2"
    result = calls.result("key")
    assert result is not None
    assert result.age >= 0


@pytest.mark.parametrize("skew", [-3600.0, -30.0, 30.0, 3600.0])
def test_hosts_whose_clocks_differ_invalidate_each_other(
    make_cache: Callable[..., Calls], origin: Origin, redis_server: Server, skew: float
) -> None:
    here = make_cache(redis_server.url, ttl=7200).until_coherent()
    there = make_cache(redis_server.url, ttl=7200).until_coherent()
    there.cache._tiers.wall = lambda: time.time() + skew
    for turn in range(5):
        one, other = (here, there) if turn % 2 else (there, here)
        origin.change("key")
        one.invalidate("key")
        assert one.load("key", origin) == origin.value("key")
        assert other.cache.barrier()
        assert other.load("key", origin) == origin.value("key")
        origin.change("key")
        other.set("key", origin.value("key"))
        assert one.cache.barrier()
        assert one.load("key", origin) == origin.value("key")


def test_value_of_a_host_that_is_ahead_expires_by_its_own_age(
    make_cache: Callable[..., Calls], origin: Origin, log: LogLines, redis_server: Server
) -> None:
    ahead = make_cache(redis_server.url, ttl=60).until_coherent()
    ahead.cache._tiers.wall = lambda: time.time() + 3600
    behind = make_cache(redis_server.url, ttl=60).until_coherent()
    assert ahead.load("key", origin) == "key:0"
    result = behind.result("key", origin)
    assert result is not None
    assert (result.value, result.tier, result.stale) == ("key:0", "l2", False)
    assert 0 <= result.age < 1
    ahead.load("another", origin)
    assert behind.get("another") == "another:0"
    assert len(log.of("3600 s in the future")) == 1
    # Redis counts down by a clock of its own: it is gone after the time to live, whoever's clock says what.
    key = redis_server.command("KEYS", "*:v:*")[0]
    assert 0 < redis_server.command("PTTL", key) <= 60_000


def test_injected_clock_decides_what_is_fresh(make_cache: Callable[..., Calls], way: str, origin: Origin) -> None:
    clock = FakeClock(NOW)
    calls = make_cache(way=way, clock=clock, ttl=10)
    assert calls.load("key", origin) == "key:0"
    clock.advance(9.9)
    assert calls.load("key", origin) == "key:0"
    assert origin.loads["key"] == 1
    origin.change("key")
    clock.advance(0.2)
    assert calls.load("key", origin) == "key:1"
