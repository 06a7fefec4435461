"""Tasks, event loops, threads and forked processes that share one tier."""

from __future__ import annotations

import asyncio
import gc
import os
import random
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
from tests.tiers.servers import Server, eventually

STEPS = Steps("app", origin=b"me")
KEYS = [b"%d" % number for number in range(100)]


@pytest.fixture
def tier(redis_server: Server) -> Iterator[RedisTier]:
    made = RedisTier(redis_server.url, namespace="app", budget=2.0)
    for key in KEYS:
        made.call(STEPS.write(key, b"=" * 56 + key, 0))
    yield made
    made.close()


def commands(server: Server, name: str) -> int:
    stats = server.command("INFO", "commandstats").get(f"cmdstat_{name}")
    return int(stats["calls"]) if stats else 0


async def read_all(tier: RedisTier) -> list[bytes | None]:
    return await asyncio.gather(*[tier.acall(STEPS.get(key)) for key in KEYS])


def test_a_hundred_tasks_share_one_connection_and_one_command(tier: RedisTier, redis_server: Server) -> None:
    before = redis_server.clients()

    async def scenario() -> None:
        for _ in range(3):
            assert await read_all(tier) == [b"=" * 56 + key for key in KEYS]
        assert redis_server.clients() == before + 1

    asyncio.run(scenario())
    assert commands(redis_server, "mget") == 3
    assert commands(redis_server, "get") == 0
    assert tier.stats().calls["get"] == 300


def test_steps_of_all_kinds_travel_together_and_keep_their_order(tier: RedisTier) -> None:
    tier.call(STEPS.invalidate([b"0"]))  # now the server knows the script

    async def scenario() -> None:
        steps: list[Step[Any]] = [
            STEPS.get(b"1"),
            STEPS.write(b"1", b"new", 0),
            STEPS.get(b"1"),
            STEPS.get(b"2"),
            STEPS.invalidate([b"2"]),
            STEPS.get(b"2"),
            STEPS.ping(),
        ]
        results = await asyncio.gather(*map(tier.acall, steps))
        assert (results[0], results[2], results[3], results[5], results[6]) == (
            b"=" * 56 + b"1",
            b"new",
            b"=" * 56 + b"2",
            None,
            True,
        )

    asyncio.run(scenario())


def test_scripts_that_the_server_forgot_are_sent_again_for_each_task(tier: RedisTier, redis_server: Server) -> None:
    redis_server.command("SCRIPT", "FLUSH")

    async def scenario() -> None:
        await asyncio.gather(*[tier.acall(STEPS.write(key, b"new" + key, 0)) for key in KEYS])
        assert await read_all(tier) == [b"new" + key for key in KEYS]

    asyncio.run(scenario())
    assert tier.stats().errors == {}


def test_a_key_that_is_not_ours_is_an_error_for_its_reader_at_most(tier: RedisTier, redis_server: Server) -> None:
    redis_server.command("DEL", "{app}:v:1")
    redis_server.command("LPUSH", "{app}:v:1", "x")

    async def scenario() -> None:
        values = await read_all(tier)
        assert values[1] is None
        assert values[2:] == [b"=" * 56 + key for key in KEYS[2:]]

    asyncio.run(scenario())


def test_an_error_in_what_a_step_makes_of_its_reply_is_its_callers(tier: RedisTier) -> None:
    def parse(reply: object) -> bytes | None:
        raise ZeroDivisionError

    broken = STEPS.get(b"1")._replace(parse=parse)

    async def scenario() -> None:
        results = await asyncio.gather(
            tier.acall(STEPS.get(b"0")), tier.acall(broken), tier.acall(STEPS.get(b"2")), return_exceptions=True
        )
        assert (results[0], results[2]) == (b"=" * 56 + b"0", b"=" * 56 + b"2")
        assert isinstance(results[1], ZeroDivisionError)

    asyncio.run(scenario())


def test_cancelled_tasks_disturb_no_other(tier: RedisTier) -> None:
    chance = random.Random(1)

    async def read(key: bytes) -> None:
        for _ in range(5):
            assert await tier.acall(STEPS.get(key)) == b"=" * 56 + key
            assert (await tier.acall(STEPS.lease(key, b"t", 1000))).value == b"=" * 56 + key

    async def scenario() -> None:
        for _ in range(30):
            tasks = [asyncio.create_task(read(key)) for key in KEYS]
            while not all(task.done() for task in tasks):
                for task in chance.sample(tasks, 5):
                    task.cancel()
                await asyncio.sleep(chance.choice((0, 0, 0.001)))
            for task in tasks:
                assert task.cancelled() or task.exception() is None
        assert await read_all(tier) == [b"=" * 56 + key for key in KEYS]
        assert tier.stats().connections == 2

    asyncio.run(scenario())
    assert tier.stats().errors == {}


def test_a_deadline_of_the_callers_own(tier: RedisTier, redis_server: Server) -> None:
    async def scenario() -> None:
        await tier.acall(STEPS.ping())
        redis_server.stop()
        slow = asyncio.create_task(tier.acall(STEPS.get(b"1")))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await tier.acall(STEPS.get(b"2"))
        redis_server.resume()
        assert await slow == b"=" * 56 + b"1"

    asyncio.run(scenario())


def test_each_batch_has_its_own_deadline(redis_server: Server) -> None:
    tier = RedisTier(redis_server.url, namespace="app", budget=0.3)

    async def timed() -> float:
        start = time.monotonic()
        with pytest.raises(RedisUnavailable, match="within the budget"):
            await tier.acall(STEPS.ping())
        return time.monotonic() - start

    async def scenario() -> None:
        await tier.acall(STEPS.ping())
        redis_server.stop()
        first = asyncio.create_task(timed())
        await asyncio.sleep(0.15)
        second = asyncio.create_task(timed())
        await first
        assert not second.done()
        assert 0.29 < await second < 0.5
        redis_server.resume()
        assert await tier.acall(STEPS.ping())
        assert tier.stats().connections == 1
        await tier.aclose()

    asyncio.run(scenario())
    assert tier.stats().breaker.failures == 2


def test_a_batch_in_time_is_answered_although_an_older_one_was_not(redis_server: Server) -> None:
    tier = RedisTier(redis_server.url, namespace="app", budget=0.3)

    async def scenario() -> None:
        await tier.acall(STEPS.ping())
        redis_server.stop()
        first = asyncio.create_task(tier.acall(STEPS.ping()))
        await asyncio.sleep(0.2)
        second = asyncio.create_task(tier.acall(STEPS.ping()))
        with pytest.raises(RedisUnavailable):
            await first
        redis_server.resume()
        assert await second
        await tier.aclose()

    asyncio.run(scenario())


def test_connections_end_with_their_loop(tier: RedisTier, redis_server: Server) -> None:
    before = redis_server.clients()

    async def scenario() -> None:
        await tier.acall(STEPS.ping())
        assert redis_server.clients() == before + 1

    for _ in range(3):
        asyncio.run(scenario())
        gc.collect()  # would warn of what was left open
    eventually(lambda: redis_server.clients() == before, "the connections are closed")


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_was_closed_without_a_word(tier: RedisTier) -> None:
    for _ in range(3):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(tier.acall(STEPS.get(b"1"))) == b"=" * 56 + b"1"
        loop.close()
    tier.close()
    gc.collect()


def test_loops_in_threads_at_the_same_time(tier: RedisTier) -> None:
    problems: list[BaseException] = []

    async def scenario() -> None:
        for _ in range(20):
            assert await read_all(tier) == [b"=" * 56 + key for key in KEYS]
            assert tier.call(STEPS.get(b"7")) == b"=" * 56 + b"7"

    def run() -> None:
        try:
            asyncio.run(scenario())
        except BaseException as error:  # noqa: BLE001 - reported by the main thread
            problems.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_close_from_another_thread(tier: RedisTier, redis_server: Server) -> None:
    async def scenario() -> None:
        await tier.acall(STEPS.ping())
        redis_server.stop()
        waiting = asyncio.create_task(tier.acall(STEPS.ping()))
        await asyncio.sleep(0)
        await asyncio.to_thread(tier.close)
        with pytest.raises(RedisUnavailable):
            await waiting
        redis_server.resume()

    asyncio.run(scenario())


def in_child(work: Callable[[], Any]) -> None:
    """Run `work` in a forked process, and fail if it does."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_forked_process_uses_connections_of_its_own(tier: RedisTier) -> None:
    def work() -> None:
        for key in KEYS:
            assert tier.call(STEPS.get(key)) == b"=" * 56 + key
        assert asyncio.run(read_all(tier)) == [b"=" * 56 + key for key in KEYS]

    def contend() -> None:
        for _ in range(20):
            for key in KEYS:
                assert tier.call(STEPS.get(key)) == b"=" * 56 + key

    tier.call(STEPS.ping())
    thread = threading.Thread(target=contend)
    thread.start()
    for _ in range(5):
        in_child(work)
    thread.join()
    contend()


def test_a_process_that_was_forked_while_a_loop_ran(tier: RedisTier) -> None:
    async def scenario() -> None:
        await tier.acall(STEPS.ping())
        in_child(lambda: tier.call(STEPS.get(b"1")))
        assert await read_all(tier) == [b"=" * 56 + key for key in KEYS]

    asyncio.run(scenario())


def test_connections_that_die_under_a_hundred_tasks(redis_server: Server) -> None:
    async def read(tier: RedisTier, key: bytes, end: float) -> int:
        good = 0
        while time.monotonic() < end:
            try:
                assert await tier.acall(STEPS.get(key)) == b"=" * 56 + key
                assert (await tier.acall(STEPS.lease(key, b"t", 1000))).value == b"=" * 56 + key
                good += 1
            except RedisUnavailable:
                await asyncio.sleep(0.001)
        return good

    async def scenario(proxy: Proxy) -> None:
        # A breaker whose clock races, so that its pauses pass at once.
        tier = RedisTier(proxy.url, namespace="app", budget=0.5, clock=lambda: time.monotonic() * 1000)
        await asyncio.gather(*[tier.acall(STEPS.write(key, b"=" * 56 + key, 0)) for key in KEYS])
        readers = [asyncio.create_task(read(tier, key, time.monotonic() + 1)) for key in KEYS]
        while not all(reader.done() for reader in readers):
            await asyncio.sleep(0.02)
            await asyncio.to_thread(proxy.reset_all)
        assert min([await reader for reader in readers]) > 0
        assert tier.stats().retries > 0
        await tier.aclose()

    with Proxy(redis_server.port) as proxy:
        asyncio.run(scenario(proxy))
