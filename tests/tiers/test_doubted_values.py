"""What may have been invalidated unheard stands in for a new value only where old values are asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from overdrive import TieredCache
from tests.tiers.servers import Server, eventually


@pytest.fixture(params=["memory", "disk"])
def doubting(request: pytest.FixtureRequest, redis_server: Server, tmp_path: Path) -> Iterator[TieredCache]:
    """A cache that has an old value of "key", in memory or on the disk, and cannot know whether it was invalidated."""
    on_disk = request.param == "disk"
    with TieredCache(100, l2=redis_server.url, l3=tmp_path if on_disk else None, max_staleness=0.2) as cache:
        eventually(lambda: cache.barrier(), "attached")
        cache.set("key", "old")
        if on_disk:
            assert cache.flush()
            cache.l1.clear()
        redis_server.command("FLUSHALL")
        attaches = cache._tiers.backplane.listener.health().attaches  # type: ignore[union-attr]
        eventually(lambda: cache._tiers.backplane.listener.health().attaches > attaches, "attached anew")  # type: ignore[union-attr]
        eventually(lambda: cache.health().coherent, "trusted")
        yield cache


def test_it_is_not_returned_while_another_instance_loads(
    doubting: TieredCache, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, go_on = threading.Event(), threading.Event()

    def load(key: str) -> str:
        loading.set()
        assert go_on.wait(10)
        return "new"

    backplane = doubting._tiers.backplane
    assert backplane is not None
    lease, leases = backplane.steps.lease, []

    def counted(*arguments: Any) -> Any:
        leases.append(arguments)
        return lease(*arguments)

    monkeypatch.setattr(backplane.steps, "lease", counted)
    with TieredCache(l2=redis_server.url) as other, ThreadPoolExecutor() as pool:
        first = pool.submit(other.get_or_load, "key", load)
        assert loading.wait(10)
        second = pool.submit(doubting.get_or_load, "key", lambda key: "a second load")
        eventually(lambda: second.done() or len(leases) > 1, "it waits for the other instance")
        go_on.set()

        assert [first.result(10), second.result(10)] == ["new", "new"]


def test_it_does_not_hide_an_error(doubting: TieredCache) -> None:
    with pytest.raises(ZeroDivisionError):
        doubting.get_or_load("key", lambda key: 1 / 0)


def test_it_is_returned_where_stale_values_are_asked_for(doubting: TieredCache) -> None:
    result = doubting.get_result("key", lambda key: 1 / 0, stale_if_error=60)

    assert result is not None
    assert (result.value, result.stale) == ("old", True)


def test_a_loader_may_say_that_it_is_right(doubting: TieredCache) -> None:
    assert doubting.get_or_load("key", lambda key, ctx: ctx.not_modified() if ctx.has_stale else "none") == "old"
    assert doubting.is_remembered("key")
