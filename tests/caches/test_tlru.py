"""TLRUCache: a lifetime for each item; then least recently used."""

from __future__ import annotations

from typing import Any

import pytest

from overdrive import TLRUCache
from tests.contracts.kinds import Clock


def live_for_value(key: object, value: Any, now: Any) -> Any:
    """Let the value be the lifetime."""
    return now + value


def make(maxsize: int = 3, ttu: Any = live_for_value) -> Any:
    """Return a cache on a fake clock."""
    return TLRUCache(maxsize, ttu, timer=Clock())


def test_each_item_has_its_own_deadline() -> None:
    cache = make()
    cache.update(a=3, b=1, c=2)
    alive = []
    for _ in range(4):
        alive.append(sorted(cache))
        cache.timer.tick()
    assert alive == [["a", "b", "c"], ["a", "c"], ["a"], []]


def test_expire_lists_earliest_deadline_first() -> None:
    cache = make(9)
    cache.update(a=5, b=1, c=4, d=2, e=3)
    assert cache.expire(10) == [("b", 1), ("d", 2), ("e", 3), ("c", 4), ("a", 5)]


def test_evicts_the_least_recently_used() -> None:
    cache = make()
    cache.update(a=9, b=9, c=9)
    cache["a"]
    cache["d"] = 9
    assert set(cache) == {"a", "c", "d"}


def test_ttu_gets_key_value_and_time() -> None:
    calls: list[Any] = []

    def ttu(*args: Any) -> float:
        calls.append(args)
        return 100

    cache = make(ttu=ttu)
    cache.timer.tick(7)
    cache["key"] = "value"
    assert calls == [("key", "value", 7)]


def test_expired_on_arrival_is_not_stored() -> None:
    cache = make()
    cache["a"] = 0
    cache["b"] = -1
    assert list(cache) == []
    assert cache.currsize == 0


def test_expired_on_arrival_evicts_nothing() -> None:
    cache = make(1)
    cache["a"] = 5
    cache["b"] = 0
    assert list(cache) == ["a"]


def test_expired_on_arrival_removes_the_former_value() -> None:
    cache = make()
    cache["a"] = 5
    cache["a"] = 0
    assert "a" not in cache
    assert len(cache) == 0


def test_setdefault_with_an_expired_value_returns_it_unstored() -> None:
    cache = make()
    assert cache.setdefault("a", 0) == 0
    assert "a" not in cache


def test_error_of_ttu_passes_through_and_keeps_the_former_value() -> None:
    def ttu(key: object, value: Any, now: Any) -> float:
        return 10 / float(value)

    cache = make(ttu=ttu)
    cache["a"] = 1
    for key in ("a", "b"):
        with pytest.raises(ZeroDivisionError):
            cache[key] = 0
    assert dict(cache.items()) == {"a": 1}


def test_deadline_of_another_kind_than_the_time_raises() -> None:
    cache = make(ttu=lambda key, value, now: "later")
    with pytest.raises(TypeError):
        cache["a"] = 1
    assert len(cache) == 0


def test_ttu_is_given_back() -> None:
    assert make().ttu is live_for_value


def test_time_is_frozen_while_ttu_runs() -> None:
    cache: Any = make(ttu=lambda key, value, now: cache.timer.tick(5) or cache.timer() + 1)
    cache["a"] = 1
    assert cache.timer() == 5
    assert cache.expire(1) == [("a", 1)]
