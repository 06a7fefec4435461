"""TTLCache: one lifetime for all; then least recently used."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from overdrive import TTLCache
from tests.contracts.kinds import Clock


def make(maxsize: int = 3, ttl: Any = 10) -> Any:
    """Return a cache on a fake clock."""
    return TTLCache(maxsize, ttl, timer=Clock())


def test_evicts_the_least_recently_used() -> None:
    cache = make()
    cache.update(a=1, b=2, c=3)
    cache["a"]
    cache["d"] = 4
    assert set(cache) == {"a", "c", "d"}


def test_iterates_in_order_of_expiry() -> None:
    cache = make()
    cache.update(a=1, b=2, c=3)
    cache["a"] = 4
    cache["b"]
    assert list(cache) == ["b", "c", "a"]


def test_zero_ttl_keeps_nothing() -> None:
    cache = make(ttl=0)
    cache["a"] = 1
    assert "a" not in cache
    assert len(cache) == 0


def test_negative_ttl_keeps_nothing() -> None:
    cache = make(ttl=-1)
    cache["a"] = 1
    assert list(cache) == []


def test_ttl_is_given_back() -> None:
    ttl = 12.5
    assert make(ttl=ttl).ttl is ttl


def test_ttl_that_cannot_be_added_raises_when_storing() -> None:
    cache = make(ttl="soon")
    with pytest.raises(TypeError):
        cache["a"] = 1
    assert len(cache) == 0


def test_fractional_ttl_on_an_integer_clock() -> None:
    cache = make(ttl=1.5)
    cache["a"] = 1
    cache.timer.tick(1)
    assert "a" in cache
    cache.timer.tick(1)
    assert "a" not in cache


class CopyingTimer:
    """A timer with copying and pickling of its own."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now

    def __deepcopy__(self, memo: dict[int, object]) -> CopyingTimer:
        return CopyingTimer()

    def __copy__(self) -> CopyingTimer:
        raise AssertionError("the cache is copied, not its timer")


def test_a_timer_may_define_how_it_is_copied() -> None:
    clock = CopyingTimer()
    cache = TTLCache[str, int](maxsize=4, ttl=10, timer=clock)
    cache["key"] = 1
    twin = copy.deepcopy(cache)
    assert dict(twin) == {"key": 1}
    assert type(twin.timer) is type(cache.timer)
    clock.now = 20.0
    assert "key" not in cache
    assert dict(twin) == dict(copy.copy(twin)) == {"key": 1}


def test_special_methods_of_a_timer_stay_its_own() -> None:
    cache = TTLCache[str, int](maxsize=4, ttl=10, timer=CopyingTimer())
    assert cache.timer.now == 5.0
    assert not hasattr(cache.timer, "__deepcopy__")
