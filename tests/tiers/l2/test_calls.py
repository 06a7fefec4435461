"""Calls of a tier whose server is there: what they return, and what each refusal of the server comes to."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from overdrive import ConfigError, TierUnavailable
from overdrive._tiers.l2.reasons import RedisUnavailable
from overdrive._tiers.l2.scripts import Steps
from overdrive._tiers.l2.step import Step
from overdrive._tiers.l2.tier import RedisTier
from overdrive._tiers.l2.url import Tls
from tests.tiers.servers import Server, eventually, free_port

STEPS = Steps("app", origin=b"me")
Make = Callable[..., RedisTier]


@pytest.fixture
def make_tier() -> Iterator[Make]:
    tiers: list[RedisTier] = []

    def make(url: str, **options: Any) -> RedisTier:
        tiers.append(RedisTier(url, **{"namespace": "app", "budget": 1.0, **options}))
        return tiers[-1]

    yield make
    for tier in tiers:
        tier.close()


@pytest.fixture(params=["call", "acall"])
def how(request: pytest.FixtureRequest) -> Callable[[RedisTier, Step[Any]], Any]:
    """Run a step in blocking code, and on an event loop."""

    async def acall(tier: RedisTier, step: Step[Any]) -> Any:
        return await tier.acall(step)

    if request.param == "call":
        return lambda tier, step: tier.call(step)
    return lambda tier, step: asyncio.run(acall(tier, step))


def reason_of(call: Callable[[], Any]) -> str:
    with pytest.raises(TierUnavailable) as caught:
        call()
    assert isinstance(caught.value, RedisUnavailable)
    assert isinstance(caught.value, ConnectionError)
    return caught.value.reason


@pytest.mark.parametrize("unix", [False, True])
def test_steps_are_run(
    family: str, unix: bool, start_server: Callable[..., Server], make_tier: Make, how: Callable[..., Any]
) -> None:
    tier = make_tier(start_server(family, unix=unix).url)
    assert how(tier, STEPS.get(b"k")) is None
    position = how(tier, STEPS.write(b"k", b"v", 1000))
    assert how(tier, STEPS.get(b"k")) == b"v"
    assert how(tier, STEPS.position()) == position
    assert how(tier, STEPS.lease(b"l", b"t", 1000)).state == "granted"
    assert tier.stats().calls == {"get": 2, "write": 1, "position": 1, "lease": 1}
    assert tier.stats().errors == {}
    assert tier.health() == ("ok", "", 0.0)


def test_a_database_and_a_user_of_the_url(redis_server: Server, make_tier: Make, how: Callable[..., Any]) -> None:
    redis_server.command("ACL", "SETUSER", "ann", "on", ">s3cret/", "~*", "+@all")
    tier = make_tier(f"redis://ann:s3cret%2F@127.0.0.1:{redis_server.port}/3")
    how(tier, STEPS.write(b"k", b"v", 0))
    with redis_server.client(db=3) as client:
        assert client.get("{app}:v:k") == b"v"
    assert "s3cret" not in repr(tier)


def test_the_connection_has_a_name(redis_server: Server, make_tier: Make) -> None:
    tier = make_tier(redis_server.url)
    tier.call(STEPS.ping())
    assert "overdrive:app" in redis_server.command("CLIENT", "LIST").decode()


def test_scripts_that_the_server_forgot_are_sent_again(
    server: Server, make_tier: Make, how: Callable[..., Any]
) -> None:
    tier = make_tier(server.url)
    how(tier, STEPS.write(b"k", b"1", 0))
    server.command("SCRIPT", "FLUSH")
    how(tier, STEPS.write(b"k", b"2", 0))
    assert how(tier, STEPS.get(b"k")) == b"2"
    assert tier.stats().errors == {}


def test_what_is_too_large_is_not_sent(redis_server: Server, make_tier: Make, how: Callable[..., Any]) -> None:
    tier = make_tier(redis_server.url, max_request=2000)
    how(tier, STEPS.write(b"k", b"v" * 1000, 0))
    assert reason_of(lambda: how(tier, STEPS.write(b"k", b"v" * 2000, 0))) == "too large"
    assert how(tier, STEPS.get(b"k")) == b"v" * 1000
    assert tier.stats().breaker.failures == 0


def test_large_values_come_back_whole(redis_server: Server, make_tier: Make, how: Callable[..., Any]) -> None:
    tier = make_tier(redis_server.url, budget=10)
    value = bytes(range(256)) * 40_000
    how(tier, STEPS.write(b"k", value, 0))
    assert how(tier, STEPS.get(b"k")) == value


def test_three_hundred_calls_on_two_connections(redis_server: Server, make_tier: Make) -> None:
    tier = make_tier(redis_server.url, max_connections=2, budget=10)
    tier.call(STEPS.write(b"k", b"v", 0))
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(tier.call(STEPS.get(b"k")))) for _ in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [b"v"] * 300
    assert tier.stats().connections <= 2


def test_no_free_connection_is_busy_and_opens_no_breaker(redis_server: Server, make_tier: Make) -> None:
    tier = make_tier(redis_server.url, max_connections=1, budget=0.05)
    taken = tier._pool.take(time.monotonic() + 1)
    reasons = [reason_of(lambda: tier.call(STEPS.ping())) for _ in range(8)]
    assert reasons == ["busy"] * 8
    assert tier.breaker.state == "closed"
    tier._pool.give(taken)
    assert tier.call(STEPS.ping())
    assert tier.stats().errors == {"busy": 8}


def test_without_memory_reads_and_invalidations_go_on(server: Server, make_tier: Make, how: Callable[..., Any]) -> None:
    tier = make_tier(server.url)
    how(tier, STEPS.write(b"k", b"v", 0))
    server.command("CONFIG", "SET", "maxmemory", "1")
    for _ in range(6):
        assert reason_of(lambda: how(tier, STEPS.write(b"l", b"v", 0))) == "oom"
        assert reason_of(lambda: how(tier, STEPS.lease(b"m", b"t", 1000))) == "oom"
    assert how(tier, STEPS.get(b"k")) == b"v"
    how(tier, STEPS.invalidate([b"k"]))
    assert how(tier, STEPS.get(b"k")) is None
    assert tier.health().state == "ok"


def test_a_replica_takes_reads_only(
    family: str, start_server: Callable[..., Server], make_tier: Make, how: Callable[..., Any]
) -> None:
    primary = start_server(family, repl_diskless_sync_delay=0)
    replica = start_server(family, replicaof=f"127.0.0.1 {primary.port}", repl_diskless_sync_delay=0)
    eventually(lambda: replica.command("INFO", "replication")["master_link_status"] == "up", "replicating")
    tier = make_tier(replica.url)
    for _ in range(6):
        assert reason_of(lambda: how(tier, STEPS.write(b"k", b"v", 0))) == "readonly"
    assert how(tier, STEPS.get(b"k")) is None
    assert tier.breaker.state == "closed"
    replica.command("REPLICAOF", "NO", "ONE")
    how(tier, STEPS.write(b"k", b"v", 0))


def test_a_replica_that_lost_its_primary(
    family: str, start_server: Callable[..., Server], make_tier: Make, how: Callable[..., Any]
) -> None:
    options = {"replica_serve_stale_data": "no", "replicaof": f"127.0.0.1 {free_port()}"}
    tier = make_tier(start_server(family, **options).url)
    for _ in range(6):
        assert reason_of(lambda: how(tier, STEPS.get(b"k"))) == "masterdown"
    assert tier.breaker.state == "closed"


def test_a_wrong_password_is_one_line_and_no_storm(
    redis_server: Server, make_tier: Make, how: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    redis_server.command("CONFIG", "SET", "requirepass", "right")
    tier = make_tier(f"redis://:wrong@127.0.0.1:{redis_server.port}")
    with caplog.at_level(logging.ERROR, "overdrive"):
        reasons = [reason_of(lambda: how(tier, STEPS.ping())) for _ in range(50)]
    assert reasons == ["denied"] * 5 + ["open"] * 45
    assert tier.health().state == "denied"
    assert "WRONGPASS" in tier.health().reason
    assert len(caplog.records) == 1
    assert "wrong" not in caplog.text.replace("WRONGPASS", "")
    with redis_server.client(password="right") as client:
        assert client.info("stats")["total_connections_received"] < 20


def test_no_password_is_denied(redis_server: Server, make_tier: Make, how: Callable[..., Any]) -> None:
    redis_server.command("CONFIG", "SET", "requirepass", "right")
    tier = make_tier(redis_server.url)
    assert reason_of(lambda: how(tier, STEPS.get(b"k"))) == "denied"
    assert tier.health().state == "denied"
    with pytest.raises(ConfigError, match="NOAUTH"):
        tier.check()


RIGHTS = "+get +mget +set +del +unlink +getrange +evalsha +eval +xadd +xrevrange +time +ping"
MORE_RIGHTS = "+pexpire +zadd +zrem +zcard +zpopmin +zrange +client|setname"


def test_the_rights_that_the_documentation_names_are_enough(server: Server, make_tier: Make) -> None:
    server.command("ACL", "SETUSER", "ann", "on", ">pw", "resetkeys", "~{app}:*", *RIGHTS.split(), *MORE_RIGHTS.split())
    tier = make_tier(f"redis://ann:pw@127.0.0.1:{server.port}")
    assert tier.check() == ("ok", "", 0.0)
    steps = Steps("app", limit=1, tag_ttl_ms=1000)
    tier.call(steps.write(b"a", b"v", 1000))
    tier.call(steps.write(b"b", b"v", 1000))
    tier.call(steps.invalidate([b"a"]))
    tier.call(steps.invalidate_tags([b"t"]))
    tier.call(steps.clear())
    tier.call(steps.tag_epochs([b"t"]))
    tier.call(steps.release(b"a", b"t"))
    assert tier.stats().errors == {}


@pytest.mark.parametrize("missing", ["get", "xadd", "evalsha", "getrange", "unlink"])
def test_a_missing_right_is_named(server: Server, make_tier: Make, missing: str) -> None:
    rights = (RIGHTS + " " + MORE_RIGHTS).replace(f"+{missing} ", "").split()
    server.command("ACL", "SETUSER", "ann", "on", ">pw", "resetkeys", "~{app}:*", *rights)
    tier = make_tier(f"redis://ann:pw@127.0.0.1:{server.port}")
    with pytest.raises(ConfigError, match="right"):
        tier.check()
    assert tier.breaker.state == "closed", "what is allowed goes on"
    assert tier.health().state == "denied"


def test_keys_of_another_namespace_are_denied(server: Server, make_tier: Make, how: Callable[..., Any]) -> None:
    server.command("ACL", "SETUSER", "ann", "on", ">pw", "resetkeys", "~{other}:*", "+@all")
    tier = make_tier(f"redis://ann:pw@127.0.0.1:{server.port}")
    assert reason_of(lambda: how(tier, STEPS.get(b"k"))) == "denied"
    assert reason_of(lambda: how(tier, STEPS.write(b"k", b"v", 0))) == "denied"


def test_a_key_that_is_not_ours(redis_server: Server, make_tier: Make, how: Callable[..., Any]) -> None:
    redis_server.command("LPUSH", "{app}:v:k", "x")
    tier = make_tier(redis_server.url)
    assert reason_of(lambda: how(tier, STEPS.get(b"k"))) == "wrongtype"
    how(tier, STEPS.invalidate([b"k"]))
    assert how(tier, STEPS.get(b"k")) is None


def test_another_service_is_no_redis(make_tier: Make, how: Callable[..., Any]) -> None:
    with web_server() as port:
        tier = make_tier(f"redis://127.0.0.1:{port}")
        assert reason_of(lambda: how(tier, STEPS.get(b"k"))) == "protocol"


class web_server:  # noqa: N801 - used as a function
    """Answers whatever it gets as a web server does."""

    def __enter__(self) -> int:
        import socket

        self.listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()
        port: int = self.listening.getsockname()[1]
        return port

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

    def __exit__(self, *_: object) -> None:
        import socket

        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


def certificate(directory: Path, *extra: str) -> tuple[Path, Path]:
    key, cert = directory / "key.pem", directory / "cert.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert)]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*request, *names, *extra], check=True, capture_output=True)
    return key, cert


def tls_server(start_server: Callable[..., Server], directory: Path) -> tuple[int, Path]:
    key, cert = certificate(directory)
    port = free_port()
    files = {"tls_cert_file": cert, "tls_key_file": key, "tls_ca_cert_file": cert}
    start_server(bind="127.0.0.1 127.0.0.2", tls_port=port, tls_auth_clients="no", **files)
    return port, cert


def test_tls(start_server: Callable[..., Server], tmp_path: Path, make_tier: Make, how: Callable[..., Any]) -> None:
    port, cert = tls_server(start_server, tmp_path)
    tier = make_tier(f"rediss://localhost:{port}?ssl_ca_certs={cert}")
    how(tier, STEPS.write(b"k", b"v" * 100_000, 0))
    assert how(tier, STEPS.get(b"k")) == b"v" * 100_000
    assert how(make_tier(f"rediss://localhost:{port}", tls=Tls(str(cert))), STEPS.ping())
    assert how(make_tier(f"rediss://localhost:{port}?ssl_cert_reqs=none"), STEPS.ping())


def test_certificates_that_are_not_trusted_are_denied(
    start_server: Callable[..., Server], tmp_path: Path, make_tier: Make, how: Callable[..., Any]
) -> None:
    port, _ = tls_server(start_server, tmp_path)
    tier = make_tier(f"rediss://localhost:{port}")
    assert reason_of(lambda: how(tier, STEPS.ping())) == "tls"
    assert tier.health().state == "denied"
    with pytest.raises(ConfigError, match="certificate"):
        tier.check()


def test_certificates_of_another_host_are_denied(
    start_server: Callable[..., Server], tmp_path: Path, make_tier: Make, how: Callable[..., Any]
) -> None:
    port, cert = tls_server(start_server, tmp_path)
    url = f"rediss://127.0.0.2:{port}?ssl_ca_certs={cert}"
    assert reason_of(lambda: how(make_tier(url), STEPS.ping())) == "tls"


def test_no_tls_on_the_other_side(redis_server: Server, make_tier: Make, how: Callable[..., Any]) -> None:
    tier = make_tier(f"rediss://127.0.0.1:{redis_server.port}", budget=0.3)
    assert reason_of(lambda: how(tier, STEPS.ping())) in ("tls", "reset", "timeout")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget is 0"),
        ({"budget": float("inf")}, "budget is inf"),
        ({"connect_timeout": 0}, "connect_timeout is 0"),
        ({"max_connections": 0}, "max_connections is 0"),
        ({"max_request": 0}, "max_request is 0"),
        ({"namespace": "a b"}, "namespace is 'a b'"),
        ({"url": "rediss://h?ssl_ca_certs=/no/such"}, "/no/such"),
        ({"url": "rediss://h", "tls": Tls(certfile="/no/such")}, "/no/such"),
    ],
)
def test_arguments_that_cannot_work(make_tier: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_tier(**{"url": "redis://h", **options})


def test_a_closed_tier_says_so(redis_server: Server, make_tier: Make, how: Callable[..., Any]) -> None:
    tier = make_tier(redis_server.url)
    how(tier, STEPS.ping())
    tier.close()
    tier.close()
    assert reason_of(lambda: how(tier, STEPS.ping())) == "closed"
    eventually(lambda: redis_server.clients() == 0, "no connection is left")
