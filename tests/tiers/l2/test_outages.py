"""A server that is away, silent, slow or cuts connections: what calls cost and come to, and how they recover."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from overdrive._tiers.l2.reasons import RedisUnavailable
from overdrive._tiers.l2.scripts import Steps
from overdrive._tiers.l2.step import Step
from overdrive._tiers.l2.tier import RedisTier
from tests.tiers.proxy import Proxy
from tests.tiers.servers import Server, eventually, free_port

BUDGET = 0.15
#: A call may take its budget, and what a busy machine adds.
BOUND = BUDGET * 1.2 + 0.05
STEPS = Steps("app", origin=b"me")
GET = STEPS.get(b"k")


class Clock:
    """Runs as real time does, and can be set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Caller:
    """A tier that is used from blocking code, or from an event loop that stays the same."""

    def __init__(self, url: str, *, looping: bool, **options: Any) -> None:
        self.clock = Clock()
        self.tier = RedisTier(url, **{"namespace": "app", "budget": BUDGET, "clock": self.clock, **options})
        self.looping = looping
        self.runner = asyncio.Runner()

    def run(self, step: Step[Any]) -> Any:
        if not self.looping:
            return self.tier.call(step)

        async def call() -> Any:
            return await self.tier.acall(step)

        return self.runner.run(call())

    def timed(self, step: Step[Any] = GET) -> tuple[str, float]:
        """Return the reason of the failure, or "ok", and how many seconds the call took."""
        start = time.perf_counter()
        try:
            self.run(step)
        except RedisUnavailable as error:
            return error.reason, time.perf_counter() - start
        return "ok", time.perf_counter() - start

    def close(self) -> None:
        self.runner.run(self.tier.aclose())
        self.runner.close()


@pytest.fixture(params=[False, True], ids=["call", "acall"])
def make_caller(request: pytest.FixtureRequest) -> Iterator[Callable[..., Caller]]:
    callers: list[Caller] = []

    def make(url: str, **options: Any) -> Caller:
        callers.append(Caller(url, looping=request.param, **options))
        return callers[-1]

    yield make
    for caller in callers:
        caller.close()


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[Proxy]:
    with Proxy(redis_server.port) as running:
        yield running


def assert_an_outage_is_cheap(caller: Caller, reasons: set[str]) -> None:
    """Five calls of at most the budget, then none that takes any time."""
    first = [caller.timed() for _ in range(5)]
    assert {reason for reason, _ in first} <= reasons
    # One of them may have had to wait for a processor.
    assert sorted(seconds for _, seconds in first)[-2] < BOUND
    assert caller.tier.breaker.state == "open"
    rest = sorted(caller.timed() for _ in range(300))
    assert {reason for reason, _ in rest} == {"open"}
    assert rest[len(rest) // 2][1] < 0.001
    assert caller.tier.health().state == "degraded"


def assert_it_heals(caller: Caller) -> None:
    caller.clock.ahead += 40
    assert eventually(lambda: caller.timed()[0] == "ok", "calls succeed again")
    assert caller.tier.health() == ("ok", "", 0.0)


def test_a_server_that_is_away_and_comes(
    make_caller: Callable[..., Caller], start_server: Callable[..., Server]
) -> None:
    server = start_server()
    server.kill()
    caller = make_caller(server.url)
    assert_an_outage_is_cheap(caller, {"refused"})
    server.start()
    assert_it_heals(caller)


def test_no_server_at_that_socket(make_caller: Callable[..., Caller], tmp_path: Any) -> None:
    assert_an_outage_is_cheap(make_caller(f"unix://{tmp_path}/none"), {"refused"})


def test_a_host_that_does_not_exist(make_caller: Callable[..., Caller]) -> None:
    caller = make_caller(f"redis://nowhere.invalid:{free_port()}")
    assert caller.timed()[0] in ("refused", "timeout")


def test_a_server_that_is_killed_while_in_use(make_caller: Callable[..., Caller], server: Server) -> None:
    caller = make_caller(server.url)
    caller.run(STEPS.write(b"k", b"v", 0))
    server.kill()
    assert_an_outage_is_cheap(caller, {"refused", "reset"})
    server.start()
    assert_it_heals(caller)


def test_a_server_that_is_frozen(make_caller: Callable[..., Caller], server: Server) -> None:
    caller = make_caller(server.url)
    caller.run(STEPS.write(b"k", b"v", 0))
    server.stop()
    assert_an_outage_is_cheap(caller, {"timeout"})
    server.resume()
    assert_it_heals(caller)
    assert caller.run(STEPS.get(b"k")) == b"v"


@pytest.mark.parametrize("mode", ["blackhole", "blackhole_down"])
@pytest.mark.parametrize("connected", [False, True])
def test_a_network_that_swallows_everything(
    make_caller: Callable[..., Caller], proxy: Proxy, mode: Any, connected: bool
) -> None:
    caller = make_caller(proxy.url)
    if connected:
        caller.run(STEPS.ping())
    proxy.mode = mode
    assert_an_outage_is_cheap(caller, {"timeout"})
    proxy.heal()
    assert_it_heals(caller)


def test_connections_that_are_reset_at_once(make_caller: Callable[..., Caller], proxy: Proxy) -> None:
    caller = make_caller(proxy.url)
    caller.run(STEPS.ping())
    proxy.refuse()
    assert_an_outage_is_cheap(caller, {"reset", "refused"})
    proxy.heal()
    assert_it_heals(caller)


def test_a_network_slower_than_the_budget(make_caller: Callable[..., Caller], proxy: Proxy) -> None:
    caller = make_caller(proxy.url)
    proxy.delay = BUDGET
    assert_an_outage_is_cheap(caller, {"timeout"})
    proxy.heal()
    assert_it_heals(caller)


def test_a_network_within_the_budget_is_no_outage(make_caller: Callable[..., Caller], proxy: Proxy) -> None:
    caller = make_caller(proxy.url)
    proxy.delay = BUDGET / 5
    assert [caller.timed()[0] for _ in range(8)] == ["ok"] * 8


def test_a_connection_that_died_idle_is_not_seen(make_caller: Callable[..., Caller], proxy: Proxy) -> None:
    caller = make_caller(proxy.url)
    caller.run(STEPS.write(b"k", b"v", 0))
    for _ in range(10):
        proxy.reset_all()
        assert caller.run(STEPS.get(b"k")) == b"v"
    assert caller.tier.stats().errors == {}
    assert caller.tier.stats().breaker.failures == 0


def test_a_server_that_restarts_between_two_calls_is_not_seen(
    make_caller: Callable[..., Caller], redis_server: Server
) -> None:
    caller = make_caller(redis_server.url, budget=1)
    caller.run(STEPS.ping())
    redis_server.restart()
    caller.run(STEPS.write(b"k", b"v", 0))
    assert caller.run(STEPS.get(b"k")) == b"v"
    assert caller.tier.stats().errors == {}


def test_what_may_not_be_repeated_is_not(make_caller: Callable[..., Caller], proxy: Proxy) -> None:
    caller = make_caller(proxy.url)
    caller.run(STEPS.ping())
    proxy.cut_after = 0
    proxy.reset_all()
    once = STEPS.write(b"k", b"v", 0)._replace(idempotent=False)
    assert caller.timed(once)[0] == "reset"
    assert caller.tier.stats().retries == 0


def test_a_reply_that_breaks_off_is_asked_for_again(make_caller: Callable[..., Caller], proxy: Proxy) -> None:
    caller = make_caller(proxy.url, budget=1)
    value = b"v" * 200_000
    caller.run(STEPS.write(b"k", value, 0))
    # The connection has passed a few bytes of replies; this one and its successor break within the value.
    proxy.cut_after = 100_000
    before = proxy.accepted
    reason, _ = caller.timed(STEPS.get(b"k"))
    assert reason in ("reset", "refused"), "the second connection broke, too"
    assert proxy.accepted == before + 1
    assert caller.tier.stats().retries == 1
    proxy.heal()
    assert caller.run(STEPS.get(b"k")) == value


def test_one_line_a_change_of_state(
    make_caller: Callable[..., Caller], redis_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caller = make_caller(redis_server.url)
    with caplog.at_level(logging.DEBUG, "overdrive"):
        caller.run(STEPS.ping())
        redis_server.kill()
        for _ in range(20):
            caller.timed()
        for _ in range(3):
            caller.clock.ahead += 40
            assert caller.timed()[0] == "refused", "a probe"
        redis_server.start()
        caller.clock.ahead += 40
        assert caller.timed()[0] == "ok"
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "overdrive"]
    assert [level for level, _ in lines] == ["WARNING", "INFO"]
    assert "unavailable" in lines[0][1]
    assert f"127.0.0.1:{redis_server.port}" in lines[0][1]
    assert "available again" in lines[1][1]


def test_replies_are_never_mixed_up_by_faults(make_caller: Callable[..., Caller], proxy: Proxy) -> None:
    caller = make_caller(proxy.url, budget=0.05, max_connections=3)
    keys = [b"%d" % number for number in range(50)]
    for key in keys:
        while caller.timed(STEPS.write(key, b"=" + key, 0))[0] != "ok":
            caller.clock.ahead += 40
    ended = threading.Event()

    def make_trouble() -> None:
        while not ended.wait(0.02):
            proxy.reset_all()
            proxy.delay = 0.06
            if not ended.wait(0.01):
                proxy.delay = 0.0

    trouble = threading.Thread(target=make_trouble)
    trouble.start()
    good = 0
    end = time.monotonic() + 1.5
    try:
        while time.monotonic() < end:
            caller.clock.ahead += 40
            for key in keys:
                try:
                    value = caller.run(STEPS.get(key))
                except RedisUnavailable:
                    continue
                assert value == b"=" + key
                good += 1
    finally:
        ended.set()
        trouble.join()
    assert good > 10
