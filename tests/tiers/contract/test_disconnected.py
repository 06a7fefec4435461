"""What is returned while Redis does not answer, and that it is over when it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from overdrive import TieredCache
from overdrive.exceptions import TierUnavailable
from overdrive.testing import FakeClock
from tests.tiers.contract.conftest import Kind
from tests.tiers.servers import eventually


@contextmanager
def cut_off(cache: TieredCache, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have Redis not answer, and the listener hear nothing."""
    backplane: Any = cache._tiers.backplane

    class Silent:
        def __getattr__(self, name: str) -> Any:
            return getattr(redis, name)

        def call(self, _step: Any) -> Any:
            raise TierUnavailable("cut off")

        async def acall(self, _step: Any) -> Any:
            raise TierUnavailable("cut off")

    redis = backplane.redis
    with monkeypatch.context() as patch:
        patch.setattr(backplane, "redis", Silent())
        backplane.listener.hold("cut off")
        yield
    backplane.listener.release("cut off")


@pytest.fixture
def cache_of(make: Callable[..., TieredCache], kind: Kind, clock: FakeClock) -> Callable[..., TieredCache]:
    """Make a cache with Redis, and `clock`."""
    if not kind.has_redis:
        pytest.skip("needs Redis")
    return lambda **options: make(clock=clock, ttl=1000, **options)


def test_what_cannot_be_vouched_for_is_not_returned(
    cache_of: Callable[..., TieredCache], monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    cache = cache_of(stale=3600)
    cache.set("k", "old")
    with cut_off(cache, monkeypatch):
        assert cache.get("k") is None
        assert cache.get_or_load("k", lambda _: "loaded") == "loaded"
        assert cache.get("k") == "loaded"
        clock.advance(1.01)  # H, although the terms would let it be returned as stale
        assert cache.get("k") is None
        assert cache.get_or_load("k", lambda _: "again") == "again"
    eventually(lambda: cache.health().coherent, "heard again")
    assert cache.get("k") in ("old", "again")


def test_on_request_it_is_returned_as_stale_until_redis_is_back(
    cache_of: Callable[..., TieredCache], monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    cache = cache_of(on_disconnect="stale")
    cache.set("k", "old")
    with cut_off(cache, monkeypatch):
        for _ in range(3):
            result = cache.get_result("k")
            assert result is not None
            assert (result.value, result.stale) == ("old", True)
            assert cache.get_or_load("k", lambda _: "loaded") == "old"
            clock.advance(100)
    clock.advance(1.01)
    eventually(lambda: cache.health().coherent, "heard again")
    result = cache.get_result("k")
    assert result is not None
    assert (result.value, result.stale) == ("old", False)
    clock.advance(1000)
    with cut_off(cache, monkeypatch):
        assert cache.get("k") is None


@pytest.mark.parametrize("how", ["set", "invalidate", "tags", "clear"])
def test_what_changes_here_meanwhile_is_never_undone_here_and_told_later(
    cache_of: Callable[..., TieredCache],
    make: Callable[..., TieredCache],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    cache = cache_of(on_disconnect="stale")
    other = make(folder="other")
    cache.set("k", "old", tags="t")
    assert other.get("k") == "old"
    changes: dict[str, Callable[[], None]] = {
        "set": lambda: cache.set("k", "new"),
        "invalidate": lambda: cache.invalidate("k"),
        "tags": lambda: cache.invalidate_tags("t"),
        "clear": cache.clear,
    }
    expected = ("new",) if how == "set" else (None,)
    with cut_off(cache, monkeypatch):
        changes[how]()
        assert cache.get("k") in expected
        cache.l1.clear()
        assert cache.get("k") is None
    assert cache.get("k") is None  # what Redis has is old until it is told
    eventually(lambda: cache.health().pending_invalidations == 0, "told")
    assert other.barrier(10)
    assert other.get("k") is None
    assert cache.get("k") is None
