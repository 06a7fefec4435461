"""What is hot and what is cold, and what leaves first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from overdrive import MemoryCache
from overdrive.testing import FakeClock
from tests.memory.policies import Telling

Make = Callable[..., MemoryCache[Any, Any]]


def size_is_value(key: object, value: Any) -> Any:
    """A weigher for values that are their own weights."""
    return value


def test_replacing_by_something_heavier_evicts_others_or_grows_in_place(make: Make) -> None:
    listener = Telling()
    cache = make(10, weigher=size_is_value, on_evict=listener)
    cache.update(a=3, b=3, c=3)
    cache["a"] = 9
    assert cache["a"] == 9
    assert cache.currsize <= 10
    told = listener.take()
    # It may have been the next to leave itself, but what happened to it is that it was replaced.
    assert [cause for key, value, cause in told if key == "a"] == ["replaced"]
    assert {cause for key, _, cause in told if key != "a"} == {"size"}


def test_clock_that_fails_while_resizing_changes_nothing(make: Make) -> None:
    failing: list[object] = []

    def clock() -> float:
        return 1 / 0 if failing else 1.0

    cache = make(5, clock=clock)
    cache.update(a=1, b=2)
    failing.append(1)
    with pytest.raises(ZeroDivisionError):
        cache.resize(1)
    failing.clear()
    assert (cache.maxsize, len(cache)) == (5, 2)


def test_hottest_is_coldest_backwards(make: Make) -> None:
    cache = make(6)
    cache.update((number, -number) for number in range(9))
    for number in (3, 5, 5, 8):
        cache.get(number)
    coldest = cache.coldest()
    assert sorted(coldest) == sorted(cache.items())
    assert cache.hottest() == coldest[::-1]
    assert cache.coldest(2) == coldest[:2]
    assert cache.hottest(2) == coldest[::-1][:2]
    assert cache.hottest(0) == cache.coldest(0) == []
    assert cache.hottest(100) == cache.hottest(2**70) == coldest[::-1]


@pytest.mark.parametrize("bad", [-1, -(2**70), 1.5, "1"])
def test_counts_that_are_none_are_refused(make: Make, bad: Any) -> None:
    for view in (make().hottest, make().coldest):
        with pytest.raises((TypeError, ValueError), match="count must be|int"):
            view(bad)


def test_coldest_leaves_first(policy: str, make: Make) -> None:
    if policy == "rr":
        return  # its order says nothing
    cache = make(6)
    cache.update((number, number) for number in range(12))
    for number in list(cache)[:3]:
        cache.get(number)
    expected = cache.coldest()
    assert [cache.popitem() for _ in range(2)] == expected[:2]


def test_order_of_lru_and_fifo() -> None:
    orders = {"lru": [1, 3, 2, 0], "fifo": [0, 1, 3, 2]}
    for policy, order in orders.items():
        cache: MemoryCache[int, int] = MemoryCache(4, policy=policy)
        cache.update((number, number) for number in range(4))
        cache[2] = 20  # as cachetools: what is stored anew is the newest
        cache.get(0)
        assert [key for key, _ in cache.coldest()] == order, policy


def test_pinned_items_are_the_hottest_and_expired_ones_nowhere(make: Make, clock: FakeClock) -> None:
    cache = make(4, clock=clock)
    cache.set("short", 0, ttl=1)
    cache.update(a=1, b=2, c=3)
    cache.pin("b")
    clock.advance(1)
    assert cache.hottest(1) == [("b", 2)]
    assert {key for key, _ in cache.coldest()} == {"a", "b", "c"}
