"""What a cache may hold: items, weights, bytes, and limits that change."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from overdrive import CacheFullError, MemoryCache
from tests.memory.conftest import Told

Make = Callable[..., MemoryCache[Any, Any]]


def test_never_more_than_maxsize(make: Make, told: Told) -> None:
    cache = make(4, on_evict=told)
    for key in range(50):
        cache[key] = -key
        assert len(cache) <= 4
        cache.get(key % 7)
        cache._check()
    assert len(cache) == 4
    assert {cause for _, _, cause in told} == {"size"}
    assert sorted([key for key, _, _ in told] + list(cache)) == list(range(50))
    assert all(value == -key for key, value, _ in told)
    assert cache.stats().evicted == 46


def test_lru_evicts_what_was_not_used() -> None:
    cache: MemoryCache[str, int] = MemoryCache(2, policy="lru")
    cache.update(a=1, b=2)
    cache["a"]
    cache["c"] = 3
    assert set(cache) == {"a", "c"}
    cache.peek("a")
    cache["d"] = 4
    assert set(cache) == {"c", "d"}


def test_maxsize_zero_keeps_nothing(make: Make) -> None:
    cache = make(0)
    cache["a"] = 1
    assert (len(cache), cache.setdefault("a", 4), len(cache)) == (0, 4, 0)


@pytest.mark.parametrize("maxsize", [None, math.inf])
def test_no_limit(make: Make, maxsize: float | None) -> None:
    cache = make(maxsize)
    cache.update((key, key) for key in range(500))
    assert (len(cache), cache.maxsize) == (500, math.inf)


@pytest.mark.parametrize("maxsize", [-1, -0.5, math.nan, -math.inf])
def test_limits_out_of_range_are_refused(make: Make, maxsize: float) -> None:
    for refused in (lambda: make(maxsize), lambda: make(1).resize(maxsize), lambda: make(1, max_bytes=maxsize)):
        with pytest.raises(ValueError, match=r"max(size|_bytes)") as raised:
            refused()
        assert str(maxsize) in str(raised.value)


@pytest.mark.parametrize("maxsize", ["4", [], object()])
def test_limits_of_other_types_are_refused(make: Make, maxsize: Any) -> None:
    with pytest.raises(TypeError, match="maxsize"):
        make(maxsize)
    cache = make(3)
    with pytest.raises(TypeError, match="maxsize"):
        cache.resize(maxsize)
    assert cache.maxsize == 3


def test_shrinking_evicts_and_growing_does_not(make: Make, told: Told) -> None:
    cache = make(10, on_evict=told)
    cache.update((key, key) for key in range(10))
    assert cache.resize(3) == 7
    assert (len(cache), cache.maxsize) == (3, 3)
    assert [cause for _, _, cause in told.take()] == ["size"] * 7
    cache._check()
    assert cache.resize(20) == 0
    cache.update((key, key) for key in range(100, 117))
    assert len(cache) == 20
    assert cache.resize(0) == 20
    assert len(cache) == 0
    assert cache.resize(None) == 0
    assert cache.maxsize == math.inf
    cache["a"] = 1
    assert cache.resize() == 0


def weigh(_key: object, value: Any) -> Any:
    """Values are their own weights."""
    return value


def test_weights_are_kept_below_the_limit(make: Make, told: Told) -> None:
    cache = make(10, weigher=weigh, on_evict=told)
    for key in range(40):
        cache[key] = key % 5
        assert cache.currsize <= 10
        assert cache.currsize == sum(cache.values())
        cache._check()
    assert sorted([key for key, _, _ in told] + list(cache)) == list(range(40))


def test_weights_may_be_zero_and_fractional(make: Make) -> None:
    cache = make(1.5, weigher=weigh)
    cache.update(a=0.5, b=0.75, c=0)
    assert (cache.currsize, len(cache)) == (1.25, 3)
    cache["d"] = 1.5
    assert cache.currsize <= 1.5
    assert "d" in cache
    nothing = make(0, weigher=weigh)
    nothing["a"] = 0
    nothing["b"] = 1
    assert dict(nothing) == {"a": 0}


@pytest.mark.parametrize("maxsize", [10, 0.5])
def test_an_item_that_is_too_heavy_is_refused_and_nothing_changes(make: Make, told: Told, maxsize: float) -> None:
    cache = make(maxsize, weigher=weigh, on_evict=told)
    cache["a"] = 0.25
    for key in ("a", "b"):
        with pytest.raises(ValueError, match=rf"11.*{maxsize}"):
            cache[key] = 11
    assert (dict(cache), told) == ({"a": 0.25}, [])


@pytest.mark.parametrize(
    ("weight", "kind"),
    [(-1, ValueError), (-0.25, ValueError), (math.nan, ValueError), ("x", TypeError), (None, TypeError)],
)
def test_weights_that_are_none_are_refused(make: Make, weight: Any, kind: type[Exception]) -> None:
    cache = make(10, weigher=weigh)
    cache["a"] = 1
    for key in ("a", "b"):
        with pytest.raises(kind):
            cache[key] = weight
    assert dict(cache) == {"a": 1}


def test_what_a_weigher_raises_is_passed_on(make: Make) -> None:
    class Odd(Exception): ...

    def refuse(key: object, value: object) -> int:
        if key == "b":
            raise Odd(key)
        return 1

    cache = make(10, weigher=refuse)
    cache["a"] = 1
    with pytest.raises(Odd):
        cache["b"] = 1
    with pytest.raises(Odd):
        cache.setdefault("b", 1)
    assert dict(cache) == {"a": 1}


def test_weights_of_other_number_types(make: Make) -> None:
    cache = make(10, weigher=weigh)
    cache["a"] = True
    cache["b"] = Fraction(1, 2)
    assert cache.currsize == 1.5


def test_a_heavier_value_makes_room_for_itself(make: Make) -> None:
    cache = make(10, weigher=weigh)
    cache.update(a=1, b=4, c=4)
    cache["a"] = 9
    assert cache["a"] == 9
    assert cache.currsize <= 10
    cache["a"] = 10
    assert dict(cache) == {"a": 10}


def test_bytes_are_limited_beside_the_count(make: Make, told: Told) -> None:
    cache = make(1000, max_bytes=20_000, on_evict=told)
    for key in range(100):
        cache[key] = bytes(1000)
        assert cache.currbytes is not None
        assert cache.currbytes <= 20_000
        cache._check()
    assert 10 < len(cache) < 20
    with pytest.raises(ValueError, match="max_bytes is 20000"):
        cache["x"] = bytes(30_000)
    assert cache.resize(max_bytes=5000) > 0
    assert (cache.max_bytes, cache.maxsize) == (5000, 1000)
    assert cache.currbytes is not None
    assert cache.currbytes <= 5000
    cache.clear()
    assert cache.currbytes == 0


def test_bytes_cannot_be_limited_later(make: Make) -> None:
    cache = make(10)
    assert (cache.max_bytes, cache.currbytes) == (None, None)
    with pytest.raises(ValueError, match="max_bytes"):
        cache.resize(5, max_bytes=100)
    assert cache.maxsize == 10


def test_pinned_items_stay(make: Make) -> None:
    cache = make(3)
    cache["pinned"] = 1
    assert cache.pin("pinned")
    assert cache.pin("pinned")
    assert not cache.pin("absent")
    for key in range(30):
        cache[key] = key
    assert cache["pinned"] == 1
    assert len(cache) == 3
    cache["pinned"] = 2
    assert cache.is_pinned("pinned")
    assert cache.resize(0) == 2
    assert list(cache) == ["pinned"]
    assert cache.unpin("pinned")
    assert not cache.unpin("pinned")
    assert len(cache) == 0


def test_a_cache_full_of_pinned_items_refuses_others(make: Make, told: Told) -> None:
    cache = make(2, on_evict=told)
    cache.update(a=1, b=2)
    cache.pin("a")
    cache.pin("b")
    with pytest.raises(CacheFullError, match="pinned"):
        cache["c"] = 3
    assert isinstance(CacheFullError("x"), ValueError)
    with pytest.raises(KeyError, match="pinned"):
        cache.popitem()
    cache["a"] = 5
    assert (dict(cache), [cause for _, _, cause in told]) == ({"a": 5, "b": 2}, ["replaced"])
    del cache["a"]
    cache["c"] = 3
    assert dict(cache) == {"b": 2, "c": 3}


def test_a_pinned_item_may_grow_as_far_as_the_others_allow(make: Make) -> None:
    cache = make(10, weigher=weigh)
    cache.update(a=4, b=4, c=2)
    cache.pin("a")
    cache.pin("b")
    with pytest.raises(CacheFullError):
        cache["a"] = 7
    assert dict(cache) == {"a": 4, "b": 4, "c": 2}
    cache["a"] = 6
    assert dict(cache) == {"a": 6, "b": 4}
    assert cache.is_pinned("a")


def test_a_value_set_for_a_pinned_key_in_a_cache_without_room_is_not_ignored(make: Make) -> None:
    cache = make(2)
    cache["a"] = 1
    cache.pin("a")
    cache.resize(0)
    cache["a"] = 2
    assert cache.get("a") != 1


def test_a_copy_holds_pinned_items_above_the_limit(make: Make) -> None:
    cache = make(3)
    cache.update(a=1, b=2, c=3)
    for key in "abc":
        cache.pin(key)
    cache.resize(1)
    other = cache.copy()
    assert (dict(other), other.maxsize) == ({"a": 1, "b": 2, "c": 3}, 1)
    assert all(other.is_pinned(key) for key in "abc")
