"""Pinned items and the limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from overdrive import CacheFullError, MemoryCache
from overdrive.testing import FakeClock
from tests.memory.policies import Telling

Make = Callable[..., MemoryCache[Any, Any]]


def size_is_value(key: object, value: Any) -> Any:
    """A weigher for values that are their own weights."""
    return value


def test_pinned_items_are_not_evicted(make: Make) -> None:
    cache = make(4)
    cache.update(a=1, b=2)
    assert cache.pin("a") is cache.pin("a") is True
    assert cache.pin("absent") is False
    assert (cache.is_pinned("a"), cache.is_pinned("b"), cache.is_pinned("absent")) == (True, False, False)
    for number in range(50):
        cache[number] = number
        cache.get(number - 1)
        assert cache["a"] == 1
    assert len(cache) == 4
    assert cache.unpin("a") is True
    assert cache.unpin("a") is cache.unpin("absent") is False


def test_unpinned_items_may_leave_again(make: Make) -> None:
    cache = make(3)
    cache["a"] = 1
    cache.pin("a")
    cache.unpin("a")
    for number in range(200):
        cache[number] = number
        cache.get(number)
        cache.get(number)
    for _ in range(3):
        cache.popitem()
    assert not cache


def test_cache_full_of_pinned_items_refuses_new_ones_and_nothing_changes(make: Make) -> None:
    listener = Telling()
    cache = make(2, on_evict=listener)
    cache.update(a=1, b=2)
    cache.pin("a")
    cache.pin("b")
    before = cache.coldest()
    for store in (cache.__setitem__, cache.set, cache.setdefault, lambda k, v: cache.update({k: v})):
        with pytest.raises(CacheFullError, match="pinned"):
            store("c", 3)
    with pytest.raises(KeyError, match="pinned"):
        cache.popitem()
    assert cache.get_or_load("c", lambda key: "loaded") == "loaded"
    assert cache.coldest() == before
    assert listener.told == []
    cache["a"] = "replaced"
    assert cache.is_pinned("a")
    assert listener.take() == [("a", 1, "replaced")]
    cache.unpin("b")
    cache["c"] = 3
    assert dict(cache.items()) == {"a": "replaced", "c": 3}
    assert issubclass(CacheFullError, ValueError)


def test_weights_of_pinned_items_count(make: Make) -> None:
    cache = make(10, weigher=size_is_value)
    cache.update(a=6, b=3)
    cache.pin("a")
    with pytest.raises(CacheFullError):
        cache["c"] = 5
    assert set(cache) == {"a", "b"}
    cache["c"] = 4
    assert set(cache) == {"a", "c"}
    with pytest.raises(CacheFullError):
        cache["c"] = 5
    assert cache["c"] == 4
    cache["a"] = 10
    assert dict(cache.items()) == {"a": 10}
    assert cache.is_pinned("a")


def test_pinned_bytes_count(make: Make) -> None:
    cache = make(None, max_bytes=10_000)
    cache["a"] = bytes(7000)
    cache.pin("a")
    cache["b"] = bytes(1000)
    with pytest.raises(CacheFullError):
        cache["c"] = bytes(5000)
    assert set(cache) == {"a", "b"}


def test_pinned_items_expire_and_are_deleted(make: Make, clock: FakeClock) -> None:
    cache = make(3, clock=clock)
    cache.set("short", 1, ttl=5)
    cache.set("deleted", 2)
    cache.set("tagged", 3, tags="t")
    for key in list(cache):
        cache.pin(key)
    clock.advance(5)
    assert not cache.is_pinned("short")
    del cache["deleted"]
    cache.invalidate_tag("t")
    assert not cache
    cache.update(deleted=1, short=2, tagged=3)
    assert not any(cache.is_pinned(key) for key in cache)
    cache.pin("short")
    cache.clear()
    cache["short"] = 1
    assert not cache.is_pinned("short")


def test_pinned_items_that_have_expired_make_room(make: Make, clock: FakeClock) -> None:
    cache = make(12, clock=clock)
    for number in range(12):
        cache.set(number, number, ttl=5)
        cache.pin(number)
    with pytest.raises(CacheFullError):
        cache["a"] = 1
    clock.advance(5)
    cache["a"] = 1
    assert list(cache) == ["a"]


def test_limit_may_be_lowered_below_what_is_pinned(make: Make) -> None:
    cache = make(6)
    cache.update((number, number) for number in range(6))
    for number in range(4):
        cache.pin(number)
    assert cache.resize(2) == 2
    cache._check()
    assert set(cache) == {0, 1, 2, 3}
    with pytest.raises(CacheFullError):
        cache["a"] = 1
    cache[0] = "new"  # which needs no more room
    assert cache[0] == "new"
    assert dict(cache.copy().items()) == dict(cache.items())
    cache.unpin(0)
    assert set(cache) == {1, 2, 3}
    cache.unpin(1)
    cache.unpin(2)
    assert set(cache) <= {2, 3, 1}
    assert len(cache) == 2
    cache["a"] = 1
    assert len(cache) == 2
    cache.resize(0)
    assert all(cache.is_pinned(key) for key in cache)


def test_no_room_is_told_too(make: Make, clock: FakeClock) -> None:
    listener = Telling()
    cache = make(2, on_evict=listener, clock=clock)
    cache.set("short", 1, ttl=1)
    cache["pinned"] = 2
    cache.pin("short")
    cache.pin("pinned")
    cache.resize(1)
    clock.advance(1)
    with pytest.raises(ValueError, match="pinned"):
        cache["new"] = 3
    assert listener.take() == [("short", 1, "expired")]
