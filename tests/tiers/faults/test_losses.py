"""Redis loses data, or what it tells is lost on its way: nobody returns anything old for long, and no herd loads."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from time import monotonic

import pytest

from tests.tiers.faults.calls import Calls, LogLines, Origin, in_threads
from tests.tiers.proxy import Proxy
from tests.tiers.servers import Sentinels, Server, eventually

H = 0.5
KEYS = [f"key{index}" for index in range(20)]


@pytest.mark.parametrize("how", ["FLUSHALL", "restart"])
def test_redis_that_lost_everything_is_filled_by_one_load_per_key(
    make_cache: Callable[..., Calls], origin: Origin, log: LogLines, server: Server, how: str
) -> None:
    nodes = [make_cache(server.url, way=way).until_coherent() for way in ("blocking", "tasks", "blocking")]
    for node in nodes:
        assert node.at_once(KEYS, origin) == [origin.value(key) for key in KEYS]
    assert set(origin.loads.values()) == {1}
    if how == "restart":
        server.restart()
    else:
        server.command("FLUSHALL")
    # All have noticed: what they have is suspect, and they go on without anybody's doing.
    eventually(lambda: len(log.of("memory is suspect")) == 2 * len(nodes), "all are suspicious")
    for node in nodes:
        node.until_healed(origin)
    origin.loads.clear()
    for loaded in in_threads(lambda node: node.at_once(KEYS * 3, origin), nodes):
        assert loaded == [origin.value(key) for key in KEYS * 3]
    assert origin.loads == Counter(KEYS)
    if how == "FLUSHALL":
        assert not log.of("unavailable")


def test_failover_that_loses_an_invalidation_makes_memory_suspect(
    make_cache: Callable[..., Calls], origin: Origin, sentinels: Sentinels
) -> None:
    node, other = (make_cache(sentinels.url, way=way).until_coherent() for way in ("tasks", "blocking"))
    assert [node.load("key", origin), other.load("key", origin)] == ["key:0", "key:0"]
    # The replica hears nothing more; the primary acknowledges, and dies.
    sentinels.replica.command("CLIENT", "KILL", "TYPE", "master")
    os.kill(sentinels.replica.pid, signal.SIGSTOP)
    origin.change("key")
    other.invalidate("key")
    assert other.load("key", origin) == "key:1"
    sentinels.primary.kill()
    lost = monotonic()
    os.kill(sentinels.replica.pid, signal.SIGCONT)
    for calls in (node, other):
        calls.until_healed(origin)
    assert monotonic() - lost < 10
    # Redis has the old value again, from before the invalidation; the time to live bounds that. Memory is suspect:
    # whatever is done now is heard of.
    origin.change("key")
    other.invalidate("key")
    eventually(lambda: node.load("key", origin) == "key:2", "the other node is told by the new primary", patience=2)


def test_listener_alone_is_cut_off(
    make_cache: Callable[..., Calls], way: str, origin: Origin, log: LogLines, redis_server: Server, proxy: Proxy
) -> None:
    node = make_cache(proxy.url, way=way).until_coherent()
    other = make_cache(redis_server.url).until_coherent()
    assert node.load("key", origin) == "key:0"
    proxy.only = b"XREAD"
    proxy.mode = "blackhole"
    origin.change("key")
    other.invalidate("key")
    acknowledged = monotonic()
    assert other.load("key", origin) == "key:1"
    eventually(lambda: node.load("key", origin) == "key:1", "it asks Redis")
    assert monotonic() - acknowledged <= H + 0.1
    # From now on Redis answers, not memory; nothing is loaded again.
    hits = node.cache.stats().l2.hits + node.cache.stats().revalidations
    for _ in range(10):
        assert node.load("key", origin) == "key:1"
    assert node.cache.stats().l2.hits + node.cache.stats().revalidations == hits + 10
    assert origin.loads["key"] == 2
    health = node.cache.health()
    assert (health.l2.state, health.coherent, health.state) == ("up", False, "degraded")
    eventually(lambda: log.of("lost the stream"), "the listener has noticed")
    proxy.heal()
    node.until_healed(origin)
    assert len(log.of("lost the stream")) == 1
    # What was told meanwhile was replayed: it listens without a gap.
    assert len(log.of("connected again")) == 1
    assert len(log.of("memory is suspect")) == 2  # of both nodes, when they started


def test_stream_that_was_trimmed_past_a_listener_makes_memory_suspect(
    make_cache: Callable[..., Calls], origin: Origin, log: LogLines, redis_server: Server, proxy: Proxy
) -> None:
    node = make_cache(proxy.url).until_coherent()
    other = make_cache(redis_server.url).until_coherent()
    for key in KEYS:
        assert node.load(key, origin) == f"{key}:0"
    proxy.only = b"XREAD"
    proxy.mode = "blackhole"
    for key in KEYS[:10]:
        origin.change(key)
    other.invalidate(*KEYS[:10])
    for _ in range(100):
        other.invalidate("unrelated")
    redis_server.command("XTRIM", "{default}:inv", "MAXLEN", 10)
    proxy.reset_all()  # what was on its way is lost, not late
    proxy.heal()
    eventually(lambda: len(log.of("memory is suspect")) == 3, "it listens again, and has noticed")
    eventually(lambda: node.cache.health().coherent, "it is trusted")
    assert [node.load(key, origin) for key in KEYS] == [origin.value(key) for key in KEYS]
    # What was not invalidated is not loaded again: Redis says that it is right.
    assert [origin.loads[key] for key in KEYS] == [2] * 10 + [1] * 10


def test_foreign_writer_is_noticed_with_tracking(
    make_cache: Callable[..., Calls], way: str, origin: Origin, server: Server
) -> None:
    node = make_cache(server.url, way=way, tracking=True).until_coherent()
    assert node.load("key", origin) == "key:0"
    value_key = _value_key(server, "key")
    origin.change("key")
    deleted = monotonic()
    server.command("DEL", value_key)
    eventually(lambda: node.load("key", origin) == "key:1", "it has noticed")
    assert monotonic() - deleted < H
    server.command("SET", value_key, b"of somebody else")
    origin.change("key")
    eventually(lambda: node.load("key", origin) == "key:2", "it has noticed, and does not believe what is there")


def test_foreign_writer_is_not_noticed_without_tracking(
    make_cache: Callable[..., Calls], origin: Origin, redis_server: Server
) -> None:
    node = make_cache(redis_server.url, ttl=0.8).until_coherent()
    assert node.load("key", origin) == "key:0"
    origin.change("key")
    redis_server.command("DEL", _value_key(redis_server, "key"))
    assert node.load("key", origin) == "key:0"  # as documented
    eventually(lambda: node.load("key", origin) == "key:1", "its time to live is over", patience=2)


def _value_key(server: Server, key: str) -> bytes:
    keys = [name for name in server.command("KEYS", "*:v:*") if key.encode() in name]
    assert len(keys) == 1
    return bytes(keys[0])
