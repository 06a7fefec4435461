"""LRUCache: evicts what was not used for longest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from overdrive import Cache, LRUCache

USES: dict[str, Callable[[Any], object]] = {
    "getitem": lambda cache: cache["a"],
    "get": lambda cache: cache.get("a"),
    "setdefault": lambda cache: cache.setdefault("a", 0),
    "setitem": lambda cache: cache.update(a=9),
    "items": lambda cache: next(iter(cache.items())),
    "values": lambda cache: next(iter(cache.values())),
}
LOOKS: dict[str, Callable[[Any], object]] = {
    "in": lambda cache: "a" in cache,
    "iter": list,
    "keys": lambda cache: list(cache.keys()),
    "repr": repr,
    "len": len,
    "base getitem": lambda cache: Cache.__getitem__(cache, "a"),
    "missing": lambda cache: cache.get("x"),
}


def filled() -> LRUCache[str, int]:
    """Return a full cache, of which `a` is the oldest."""
    cache: LRUCache[str, int] = LRUCache(3)
    cache.update(a=1, b=2, c=3)
    return cache


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_using_an_item_saves_it(use: Callable[[Any], object]) -> None:
    cache = filled()
    use(cache)
    cache["d"] = 4
    assert "a" in cache
    assert "b" not in cache


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_looking_at_an_item_does_not_save_it(look: Callable[[Any], object]) -> None:
    cache = filled()
    look(cache)
    cache["d"] = 4
    assert "a" not in cache


def test_popitem_takes_the_least_recently_used() -> None:
    cache = filled()
    cache["a"]
    cache["c"]
    assert [cache.popitem()[0] for _ in range(3)] == ["b", "a", "c"]


def test_order_of_iteration_is_not_the_order_of_eviction() -> None:
    cache = filled()
    cache["a"]
    assert list(cache) == ["a", "b", "c"]
    assert cache.popitem() == ("b", 2)


def test_growing_an_item_may_evict_that_very_item() -> None:
    cache: LRUCache[str, int] = LRUCache(6, getsizeof=int)
    cache.update(a=1, b=2, c=3)
    cache["a"] = 2
    assert list(cache) == ["c", "a"]
    assert cache.currsize == 5
