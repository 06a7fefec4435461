"""Redis answers, and refuses: no memory, a replica, loading, no rights, no password, no certificate."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from overdrive import ConfigError, TieredCache
from tests.tiers.faults.calls import LATER_CALLS, Calls, LogLines, Origin
from tests.tiers.servers import Server, eventually, free_port

LARGE = "x" * 200_000


def test_server_without_memory_is_read_and_not_written(
    make_cache: Callable[..., Calls], way: str, origin: Origin, log: LogLines, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url, way=way, compression=None, l1=1).until_coherent()
    calls.set("kept", "value")
    redis_server.command("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
    redis_server.command("CONFIG", "SET", "maxmemory", "1")
    # What is there is read; what is not is loaded, and returned.
    assert calls.load("other", origin) == "other:0"
    assert calls.get("kept") == "value"
    calls.set("set", "here")
    assert calls.cache.stats().l2.errors["oom"] >= 1
    assert calls.cache.health().l2.state == "up"
    assert not log.of("unavailable")
    redis_server.command("CONFIG", "SET", "maxmemory", "0")
    calls.until_healed(origin)
    calls.set("again", "value")
    calls.set("another", "to evict it from memory")
    assert calls.get("again") == "value"


def test_invalidation_that_a_full_server_refuses_is_delivered_later(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url, way=way).until_coherent()
    other = make_cache(redis_server.url).until_coherent()
    assert [calls.load("key", origin), other.load("key", origin)] == ["key:0", "key:0"]
    redis_server.command("CONFIG", "SET", "maxmemory", "1")
    origin.change("key")
    calls.invalidate("key")
    # This instance does not return what it has invalidated, whatever Redis has.
    assert calls.load("key", origin) == "key:1"
    redis_server.command("CONFIG", "SET", "maxmemory", "0")
    calls.until_healed(origin)
    eventually(lambda: other.load("key", origin) == "key:1", "the other one has heard of it")


def test_replica_is_read_and_not_written(
    make_cache: Callable[..., Calls],
    origin: Origin,
    redis_server: Server,
    start_server: Callable[..., Server],
) -> None:
    writer = make_cache(redis_server.url).until_coherent()
    writer.set("kept", "value")
    replica = start_server(replicaof=f"127.0.0.1 {redis_server.port}", repl_diskless_sync_delay=0)
    eventually(lambda: replica.command("INFO", "replication")["master_link_status"] == "up", "replicating")
    calls = make_cache(replica.url)
    assert calls.get("kept") == "value"
    assert calls.load("other", origin) == "other:0"
    calls.invalidate("other")
    assert calls.cache.stats().l2.errors["readonly"] >= 2
    assert calls.cache.health().pending_invalidations == 1
    # It is made the primary: all is well without anybody's doing.
    replica.command("REPLICAOF", "NO", "ONE")
    calls.until_healed(origin)


def test_server_that_loads_its_data_is_done_without(
    make_cache: Callable[..., Calls], way: str, origin: Origin, log: LogLines, start_server: Callable[..., Server]
) -> None:
    # Each key is read slowly, so that it answers -LOADING meanwhile.
    server = start_server(key_load_delay=0)
    server.command("CONFIG", "SET", "save", "")
    with server.client() as client, client.pipeline(transaction=False) as pipeline:
        for index in range(3000):
            pipeline.set(f"filler{index}", "x")
        pipeline.execute()
    server.command("SAVE")
    server.kill()
    # 3,000 keys of 500 µs; what it has loaded is looked at after each megabyte by default.
    server.options = {"key_load_delay": 500, "loading_process_events_interval_bytes": 1024}
    server.start(wait=False)
    eventually(lambda: _is_loading(server), "it loads")
    calls = make_cache(server.url, way=way)
    assert calls.load("key", origin) == "key:0"
    calls.invalidate("key")
    assert calls.cache.stats().l2.errors["loading"] >= 1
    calls.until_healed(origin)
    assert not log.of("denied")


def _is_loading(server: Server) -> bool:
    try:
        with server.client(retry=Retry(NoBackoff(), 0)) as client:
            client.get("x")
    except redis.BusyLoadingError:
        return True
    except redis.ConnectionError:
        return False
    return False


def test_wrong_password_is_an_error_at_start_for_who_asks(start_server: Callable[..., Server]) -> None:
    server = start_server(requirepass="right")
    with TieredCache(l2=server.url.replace("//", "//:wrong@")) as cache:
        backplane = cache._tiers.backplane
        assert backplane is not None
        with pytest.raises(ConfigError, match="password"):
            backplane.redis.check()


@pytest.mark.parametrize("password", ["", ":wrong@"])
def test_server_that_wants_a_password_is_not_stormed(
    make_cache: Callable[..., Calls],
    origin: Origin,
    log: LogLines,
    start_server: Callable[..., Server],
    password: str,
) -> None:
    server = start_server(requirepass="right")
    calls = make_cache(server.url.replace("//", f"//{password}"), way="tasks" if password else "blocking")
    for index in range(50):
        assert calls.load(f"key{index}", origin) == f"key{index}:0"
    seconds = sorted(calls.timed(calls.load, f"later{index}", origin)[1] for index in range(100))
    assert seconds[95] <= LATER_CALLS
    health = calls.cache.health()
    assert health.l2.state == "down"
    assert "does not let us in" in health.l2.reason
    assert len(log.of("redis tier")) == 1
    assert len(log.of("redis tier", "does not let us in")) == 1
    with server.client(password="right") as client:
        received = int(client.info("stats")["total_connections_received"])
        assert received < 60
        # Somebody corrects it.
        client.config_set("requirepass", password.strip(":@"))
    calls.until_healed(origin)


def test_user_who_lacks_a_right_is_told_of(
    make_cache: Callable[..., Calls], way: str, origin: Origin, log: LogLines, redis_server: Server
) -> None:
    redis_server.command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-@scripting")
    calls = make_cache(redis_server.url.replace("//", "//app:pw@"), way=way)
    for index in range(20):
        assert calls.load(f"key{index}", origin) == f"key{index}:0"
    assert calls.cache.stats().l2.errors["denied"] >= 1
    assert calls.cache.health().l2.state == "down"
    assert len(log.of("redis tier", "lacks a right")) == 1
    redis_server.command("ACL", "SETUSER", "app", "+@scripting")
    calls.until_healed(origin)
    assert len(log.of("redis tier", "allowed again")) == 1


def test_server_without_tls_is_no_crash(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url.replace("redis:", "rediss:"), way=way)
    for index in range(10):
        assert calls.load(f"key{index}", origin) == f"key{index}:0"
    assert calls.cache.health().l2.state == "down"


def test_port_of_something_else_is_no_crash(make_cache: Callable[..., Calls], way: str, origin: Origin) -> None:
    import socketserver
    import threading

    class Web(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", free_port()), Web) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        calls = make_cache(f"redis://127.0.0.1:{web.server_address[1]}", way=way)
        for index in range(10):
            assert calls.load(f"key{index}", origin) == f"key{index}:0"
        assert calls.cache.health().l2.state == "down"
        calls.close()
        web.shutdown()
        thread.join(10)
