"""How long values live, by a clock that stands still until it is turned."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from overdrive import LoadContext, LoadTimeout, TieredCache, WithTTL
from overdrive.testing import FakeClock
from tests.tiers.contract.conftest import Kind
from tests.tiers.contract.faces import Face
from tests.tiers.servers import eventually


@pytest.fixture
def timed(
    make: Callable[..., TieredCache], face_of: Callable[[TieredCache], Face], clock: FakeClock
) -> Callable[..., Face]:
    """Make a cache whose clock is `clock`."""
    return lambda **options: face_of(make(clock=clock, **options))


class Counter:
    """A loader that counts, and fails if it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None

    def __call__(self, _key: Any) -> int:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.calls


def test_a_value_lives_for_its_ttl_in_every_tier(timed: Callable[..., Face], clock: FakeClock) -> None:
    cache = timed(ttl=100)
    cache.set("k", 1)
    cache.set("short", 1, ttl="50s")
    clock.advance(49)
    assert cache.get("short") == 1
    clock.advance(2)
    assert cache.get("short") is None
    cache.cache.l1.clear()
    assert cache.get("short") is None
    clock.advance(50)
    assert cache.get("k") is None
    cache.cache.l1.clear()
    assert cache.get("k") is None


def test_a_ttl_may_come_from_the_value_or_its_loader(timed: Callable[..., Face], clock: FakeClock) -> None:
    cache = timed(ttl=lambda value: 10 if value == "short" else None)
    cache.set("a", "short")
    cache.set("b", "long")
    cache.set("c", WithTTL("marked", 20))

    def load(_key: str, ctx: LoadContext[str]) -> str:
        ctx.ttl = 5
        return "loaded"

    assert cache.get_or_load("d", load) == "loaded"
    assert cache.get("c") == "marked"
    clock.advance(6)
    assert cache.get("d") is None
    clock.advance(5)
    assert cache.get_many("abc") == {"b": "long", "c": "marked"}
    clock.advance(10)
    assert cache.get_many("abc") == {"b": "long"}


def test_none_is_kept_only_if_that_is_wanted(timed: Callable[..., Face], clock: FakeClock) -> None:
    cache = timed(ttl=100)
    calls: list[str] = []

    def load(key: str) -> None:
        calls.append(key)

    for _ in range(2):
        assert cache.get_or_load("k", load) is None
    assert calls == ["k", "k"]
    for _ in range(2):
        assert cache.get_or_load("l", load, negative_ttl=10) is None
    assert calls == ["k", "k", "l"]
    assert cache.get("l", "default") is None
    cache.cache.flush(10)
    cache.cache.l1.clear()
    assert cache.get("l", "default") == (
        None if cache.cache._tiers.backplane is not None else cache.get("l", "default")
    )
    clock.advance(11)
    assert cache.get("l", "default") == "default"
    cache.set("m", None)
    assert cache.get("m", "default") is None


def test_what_is_not_to_be_stored_is_returned_and_not_kept(timed: Callable[..., Face]) -> None:
    cache = timed()
    calls: list[str] = []

    def load(key: str, ctx: LoadContext[str]) -> str:
        calls.append(key)
        ctx.no_store()
        return "value"

    assert [cache.get_or_load("k", load) for _ in range(2)] == ["value", "value"]
    assert calls == ["k", "k"]
    assert cache.get("k") is None


def test_not_modified_keeps_the_old_value_for_another_ttl(timed: Callable[..., Face], clock: FakeClock) -> None:
    cache = timed(ttl=10, stale_if_error=100)
    cache.set("k", "old")
    clock.advance(11)

    def load(_key: str, ctx: LoadContext[str]) -> str:
        assert ctx.has_stale
        assert ctx.stale == "old"
        return ctx.not_modified()

    assert cache.get_or_load("k", load) == "old"
    clock.advance(9)
    assert cache.get("k") == "old"


def test_a_stale_value_is_returned_while_it_is_loaded_anew(timed: Callable[..., Face], clock: FakeClock) -> None:
    cache = timed(ttl=10, stale=100)
    load = Counter()
    assert cache.get_or_load("k", load) == 1
    clock.advance(11)
    result = cache.get_result("k", load)
    assert result.value in (1, 2)  # if that was quicker
    eventually(lambda: (cache.get_or_load("k", load), cache.get("k"))[1] == 2, "loaded anew")
    assert load.calls == 2
    assert cache.get_result("k", load).stale is False
    clock.advance(200)
    assert cache.get_or_load("k", load) == 3


def test_a_stale_value_of_a_lower_tier_is_returned_while_it_is_loaded_anew(
    timed: Callable[..., Face], clock: FakeClock
) -> None:
    cache = timed(ttl=10, stale=100)
    if not cache.cache.has_lower_tiers:
        pytest.skip("has none")
    begun, go_on = Event(), Event()
    cache.set("k", "old")
    cache.cache.flush(10)
    cache.cache.l1.clear()
    clock.advance(11)

    def load(_key: str) -> str:
        begun.set()
        assert go_on.wait(10)
        return "new"

    if cache.kind == "async":
        go_on.set()
    result = cache.get_result("k", load)
    assert (result.value, result.stale) == ("old", True)
    if cache.kind == "sync":
        assert begun.wait(10)
    go_on.set()
    eventually(lambda: (cache.get_or_load("k", load), cache.get("k"))[1] == "new", "loaded anew")


def test_an_old_value_is_returned_if_its_load_fails_and_for_a_while_it_is_not_tried_again(
    timed: Callable[..., Face], clock: FakeClock
) -> None:
    cache = timed(ttl=10, stale_if_error=100)
    load = Counter()
    assert cache.get_or_load("k", load) == 1
    load.error = LookupError("the origin is down")
    clock.advance(11)
    for _ in range(3):
        result = cache.get_result("k", load)
        assert (result.value, result.stale) == (1, True)
    assert load.calls == 2
    clock.advance(31)
    assert cache.get_or_load("k", load) == 1
    assert load.calls == 3
    load.error = None
    clock.advance(31)
    assert cache.get_or_load("k", load) == 4
    load.error = LookupError("the origin is down")
    clock.advance(111)
    with pytest.raises(LookupError):
        cache.get_or_load("k", load)


def test_an_invalidated_value_is_not_returned_for_a_failed_load(timed: Callable[..., Face], clock: FakeClock) -> None:
    cache = timed(ttl=10, stale=50, stale_if_error=100)
    load = Counter()
    cache.get_or_load("k", load)
    clock.advance(11)
    cache.invalidate("k")
    load.error = LookupError()
    with pytest.raises(LookupError):
        cache.get_or_load("k", load)


def test_a_ttl_is_shortened_by_jitter(timed: Callable[..., Face], clock: FakeClock) -> None:
    cache = timed(ttl=100, jitter=0.5)
    for number in range(50):
        cache.set(number, number)
    clock.advance(49)
    assert len(cache.get_many(range(50))) == 50
    clock.advance(26)
    assert 1 <= len(cache.get_many(range(50))) <= 49
    clock.advance(26)
    assert cache.get_many(range(50)) == {}


def test_a_load_that_takes_too_long_raises_and_is_kept_all_the_same(make: Callable[..., TieredCache]) -> None:
    cache, go_on = make(), Event()

    def load(_key: str) -> str:
        assert go_on.wait(10)
        return "late"

    with pytest.raises(LoadTimeout):
        cache.get_or_load("k", load, hard_timeout=0.02)
    go_on.set()
    eventually(lambda: cache.get("k") == "late", "kept")


def test_a_load_that_takes_long_yields_to_the_old_value(
    make: Callable[..., TieredCache], clock: FakeClock, kind: Kind
) -> None:
    cache, go_on = make(clock=clock, ttl=10, stale_if_error=100), Event()
    cache.set("k", "old")
    clock.advance(11)

    def load(_key: str) -> str:
        assert go_on.wait(10)
        return "new"

    assert cache.get_or_load("k", load, soft_timeout=0.02) == "old"
    go_on.set()
    eventually(lambda: cache.get("k") == "new", "kept")
    assert kind
