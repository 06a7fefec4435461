"""What meets at a bad moment: each test is one schedule, held by events."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from overdrive import TieredCache
from overdrive.testing import FakeClock
from tests.tiers.contract.conftest import Kind
from tests.tiers.servers import eventually

PATIENCE = 10.0


class Gate:
    """A loader that says when it has begun, and returns when it may."""

    def __init__(self, *values: Any) -> None:
        self.values = list(values)
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.calls = 0

    def __call__(self, _key: Any) -> Any:
        self.calls += 1
        value = self.values.pop(0)
        if self.calls == 1:
            self.begun.set()
            assert self.go_on.wait(PATIENCE)
        return value


@pytest.fixture
def threads() -> Iterator[Callable[..., Future[Any]]]:
    """Run functions in threads of their own."""
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


# --- a load that is overtaken ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["key", "tag", "clear", "set"])
def test_who_asks_after_an_invalidation_does_not_get_what_was_loaded_before_it(
    make: Callable[..., TieredCache], threads: Callable[..., Future[Any]], how: str
) -> None:
    cache = make()
    load = Gate("old", "new")
    before = threads(cache.get_or_load, "k", load, tags="t")
    assert load.begun.wait(PATIENCE)
    change = {
        "key": lambda: cache.invalidate("k"),
        "tag": lambda: cache.invalidate_tags("t"),
        "clear": cache.clear,
        "set": lambda: cache.set("k", "new"),
    }
    change[how]()  # type: ignore[no-untyped-call]
    after = threads(cache.get_or_load, "k", load, tags="t")
    threading.Timer(0.05, load.go_on.set).start()
    assert before.result(PATIENCE) == "old"
    assert after.result(PATIENCE) == "new"
    assert cache.get("k") == "new"
    assert not cache._flights


def test_a_task_that_asks_after_an_invalidation_does_not_get_what_was_loaded_before_it(
    make: Callable[..., TieredCache],
) -> None:
    cache = make()

    async def scenario() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()
        values = ["old", "new"]

        async def load(_key: str) -> str:
            value = values.pop(0)
            if value == "old":
                begun.set()
                await go_on.wait()
            return value

        before = asyncio.create_task(cache.aget_or_load("k", load))
        await begun.wait()
        await cache.ainvalidate("k")
        after = asyncio.create_task(cache.aget_or_load("k", load))
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        assert await before == "old"
        assert await after == "new"
        assert await cache.aget("k") == "new"
        assert not cache._task_flights

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["own", "named"])
def test_a_call_after_an_invalidation_does_not_join_one_from_before(
    make: Callable[..., TieredCache], threads: Callable[..., Future[Any]], how: str
) -> None:
    cache = make()
    load = Gate("old", "new")

    @cache.cached(key="k" if how == "named" else None)
    def function() -> Any:
        return load(None)

    before = threads(function)
    assert load.begun.wait(PATIENCE)
    function.invalidate()
    after = threads(function)
    threading.Timer(0.05, load.go_on.set).start()
    assert before.result(PATIENCE) == "old"
    assert after.result(PATIENCE) == "new"
    assert function() == "new"


def test_a_refresh_that_is_overtaken_by_an_invalidation_is_not_kept(
    make: Callable[..., TieredCache], threads: Callable[..., Future[Any]]
) -> None:
    cache, other = make(), None
    load = Gate("old", "new", "newest")

    @cache.cached(key="k")
    def function() -> Any:
        return load(None)

    before = threads(function.refresh)
    assert load.begun.wait(PATIENCE)
    cache.invalidate("k")
    load.go_on.set()
    assert before.result(PATIENCE) == "old"
    assert cache.get("k") is None
    assert function() == "new"
    assert other is None


def test_a_refresh_is_not_kept_if_another_instance_invalidates_meanwhile(
    make: Callable[..., TieredCache], threads: Callable[..., Future[Any]], kind: Kind
) -> None:
    if not kind.has_redis:
        pytest.skip("needs two instances")
    cache, other = make(), make(folder="other")
    load = Gate("old", "new")

    @cache.cached(key="k", tags="t")
    def function() -> Any:
        return load(None)

    before = threads(function.refresh)
    assert load.begun.wait(PATIENCE)
    other.invalidate_tags("t")
    load.go_on.set()
    assert before.result(PATIENCE) == "old"
    assert other.barrier(PATIENCE)
    assert cache.barrier(PATIENCE)
    assert other.get("k") is None
    assert function() == "new"


# --- the disk -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["key", "tag", "clear", "set"])
def test_what_is_read_from_the_disk_while_it_is_removed_there_is_not_kept(
    make: Callable[..., TieredCache], kind: Kind, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is slow to forget, and a reader comes by in between."""
    if not kind.has_disk:
        pytest.skip("needs a disk")
    cache = make()
    cache.set("k", "old", tags="t")
    assert cache.flush(PATIENCE)
    cache.l1.clear()
    if kind.has_redis:  # which has lost it
        server_forgets(cache, "k")
    disk: Any = cache._tiers.disk
    set_by = "delete" if kind.has_redis else "put"  # without Redis the disk is where a value is safe
    name = {"key": "delete_many", "tag": "delete_tags", "clear": "clear", "set": set_by}[how]
    remove = getattr(disk, name)
    seen: list[Any] = []

    def late(*args: Any, **options: Any) -> Any:
        seen.append(cache.get("k"))
        return remove(*args, **options)

    monkeypatch.setattr(disk, name, late)
    change: dict[str, Callable[[], None]] = {
        "key": lambda: cache.invalidate("k"),
        "tag": lambda: cache.invalidate_tags("t"),
        "clear": cache.clear,
        "set": lambda: cache.set("k", "new"),
    }
    change[how]()
    assert len(seen) == 1
    assert cache.get("k") == ("new" if how == "set" else None)


def server_forgets(cache: TieredCache, key: str) -> None:
    backplane: Any = cache._tiers.backplane
    from overdrive._tiers.l2.step import Step

    backplane.redis.call(Step("del", lambda reply: reply, ("DEL", backplane.steps.values + key.encode())))


def test_what_is_read_from_the_disk_while_a_notice_removes_it_is_not_kept(
    make: Callable[..., TieredCache], kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (kind.has_disk and kind.has_redis):
        pytest.skip("needs Redis and a disk")
    cache, other = make(), make(folder="other")
    cache.set("k", "old")
    assert cache.flush(PATIENCE)
    cache.l1.clear()
    listener: Any = cache._tiers.backplane.listener  # type: ignore[union-attr]
    delivery = listener._delivery
    hooks = delivery._hooks
    seen: list[Any] = []

    def late(keys: tuple[bytes, ...]) -> None:
        seen.append(cache.get("k"))
        hooks.on_keys(keys)

    monkeypatch.setattr(delivery, "_hooks", hooks._replace(on_keys=late))
    other.invalidate("k")
    assert cache.barrier(PATIENCE)
    assert seen
    assert cache.get("k") is None


# --- several at once ------------------------------------------------------------------------------------


def test_of_two_that_set_at_once_one_stays(
    make: Callable[..., TieredCache], threads: Callable[..., Future[Any]], kind: Kind
) -> None:
    cache = make()
    for turn in range(50):
        both = threading.Barrier(2)

        def work(value: int, both: threading.Barrier = both) -> None:
            both.wait(PATIENCE)
            cache.set("k", value)

        for done in [threads(work, turn * 2), threads(work, turn * 2 + 1)]:
            done.result(PATIENCE)
        assert cache.get("k") in (turn * 2, turn * 2 + 1)
    assert kind


# --- an old value to fall back on -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["key", "tag", "clear"])
def test_an_old_value_is_not_returned_for_a_failed_load_if_it_was_invalidated_meanwhile(
    make: Callable[..., TieredCache], clock: FakeClock, how: str
) -> None:
    cache = make(clock=clock, stale_if_error=60, ttl=10)
    cache.set("k", "old", tags="t")
    clock.advance(20)

    def load(_key: str) -> str:
        {"key": lambda: cache.invalidate("k"), "tag": lambda: cache.invalidate_tags("t"), "clear": cache.clear}[how]()
        raise LookupError

    with pytest.raises(LookupError):
        cache.get_or_load("k", load)


def test_an_old_value_is_not_returned_for_a_slow_load_if_its_tag_was_invalidated_meanwhile(
    make: Callable[..., TieredCache], clock: FakeClock
) -> None:
    cache = make(clock=clock, stale_if_error=60, ttl=10, soft_timeout=0.05)
    cache.set("k", "old", tags="t")
    clock.advance(20)
    invalidated = threading.Event()

    def load(_key: str) -> str:
        cache.invalidate_tags("t")
        invalidated.set()
        return "new" if not threading.Event().wait(0.2) else ""

    assert cache.get_or_load("k", load) == "new"
    assert invalidated.is_set()


# --- endings --------------------------------------------------------------------------------------------


def lease_is_held(cache: TieredCache, key: str) -> bool:
    from overdrive._tiers.l2.step import Step

    backplane: Any = cache._tiers.backplane
    return bool(backplane.redis.call(Step("x", bool, ("EXISTS", backplane.steps.leases + key.encode()))))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_loader_that_raises_leaves_no_lease(
    make: Callable[..., TieredCache], kind: Kind, error: type[BaseException]
) -> None:
    cache = make()

    def load(_key: str) -> str:
        raise error

    with pytest.raises(error):
        cache.get_or_load("k", load)
    assert not cache._flights
    if kind.has_redis:
        assert not lease_is_held(cache, "k")
    assert cache.get_or_load("k", lambda _: "value") == "value"


def test_a_task_that_is_cancelled_in_its_loader_leaves_no_lease(make: Callable[..., TieredCache], kind: Kind) -> None:
    cache = make()

    async def scenario() -> None:
        begun = asyncio.Event()

        async def load(_key: str) -> str:
            begun.set()
            await asyncio.sleep(3600)
            return ""

        task = asyncio.create_task(cache.aget_or_load("k", load))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not cache._task_flights

    asyncio.run(scenario())
    if kind.has_redis:
        eventually(lambda: not lease_is_held(cache, "k"), "the lease is given back")


def test_a_task_that_is_cancelled_while_it_takes_the_lease_leaves_none(
    make: Callable[..., TieredCache], kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kind.has_redis:
        pytest.skip("needs Redis")
    cache = make(lease=60)
    redis: Any = cache._tiers.backplane.redis  # type: ignore[union-attr]
    acall = redis.acall

    async def scenario() -> None:
        granted = asyncio.Event()

        async def slow(step: Any) -> Any:
            reply = await acall(step)
            if step.name == "lease":
                granted.set()
                await asyncio.sleep(3600)
            return reply

        class Slow:
            def __getattr__(self, name: str) -> Any:
                return slow if name == "acall" else getattr(redis, name)

        monkeypatch.setattr(cache._tiers.backplane, "redis", Slow())
        task = asyncio.create_task(cache.aget_or_load("k", lambda _: asyncio.sleep(0, "value")))
        await granted.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        monkeypatch.setattr(cache._tiers.backplane, "redis", redis)
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while lease_is_held(cache, "k"):
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.005)

    asyncio.run(scenario())


def test_what_goes_wrong_in_the_background_is_logged_once_and_nothing_is_left(
    make: Callable[..., TieredCache], caplog: pytest.LogCaptureFixture
) -> None:
    """The caller is cancelled while it waits for a load that fails then, and another load is cancelled by the loop."""
    cache = make(hard_timeout=30)
    complaints: list[dict[str, Any]] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        begun, fail = asyncio.Event(), asyncio.Event()

        async def load(_key: str) -> str:
            begun.set()
            await fail.wait()
            raise LookupError("nobody waits for this")

        async def hang(_key: str) -> str:
            await asyncio.sleep(3600)
            return ""

        task = asyncio.create_task(cache.aget_or_load("k", load))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        fail.set()
        await asyncio.sleep(0.01)
        with pytest.raises(Exception, match="takes longer"):
            await cache.aget_or_load("l", hang, hard_timeout=0.01)
        for left in asyncio.all_tasks() - {asyncio.current_task()}:
            left.cancel()
        await asyncio.sleep(0.05)
        import gc

        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(scenario())
    import gc

    gc.collect()
    assert complaints == []
    assert not cache._task_flights


def test_a_loader_may_use_the_cache(make: Callable[..., TieredCache]) -> None:
    cache = make()

    def load(key: str) -> str:
        if len(key) > 3:
            return key
        cache.get(key)
        cache.set(f"{key}side", "side")
        cache.invalidate("other")
        return cache.get_or_load(f"{key}x", load)

    assert cache.get_or_load("k", load) == "kxxx"
    assert cache.get("k") == "kxxx"
    assert cache.get("kside") == "side"


def test_a_loader_that_asks_for_its_own_key_does_not_wait_for_itself(make: Callable[..., TieredCache]) -> None:
    cache = make(wait_timeout=0.2)
    depth = 0

    def load(key: str) -> int:
        nonlocal depth
        depth += 1
        mine = depth
        if mine < 3:
            cache.get_or_load(key, load)
        return mine

    assert cache.get_or_load("k", load) == 1
    assert not cache._flights


def test_a_loader_that_sets_its_own_key_does_not_undo_that(make: Callable[..., TieredCache]) -> None:
    cache = make()

    def load(key: str) -> str:
        cache.set(key, "set")
        return "loaded"

    assert cache.get_or_load("k", load) == "loaded"
    assert cache.get("k") == "set"


def test_a_coroutine_function_is_refused_where_a_function_is_needed(make: Callable[..., TieredCache]) -> None:
    cache = make()

    async def load(_key: str) -> str:
        return "value"

    loader: Any = load
    with pytest.raises(TypeError, match="aget_or_load"):
        cache.get_or_load("k", loader)
    assert cache.get("k") is None
