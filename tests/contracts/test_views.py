"""`keys()`, `values()`, `items()` and iteration."""

from __future__ import annotations

import collections.abc
import operator
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import Kind, kind_named

MakeCache = Callable[..., Any]
CHANGED = "dictionary (changed size|keys changed) during iteration"


def test_views_are_the_abstract_ones(make_cache: MakeCache) -> None:
    cache = make_cache()
    assert isinstance(cache.keys(), collections.abc.KeysView)
    assert isinstance(cache.values(), collections.abc.ValuesView)
    assert isinstance(cache.items(), collections.abc.ItemsView)


def test_views_follow_the_cache(make_cache: MakeCache) -> None:
    cache = make_cache()
    keys, values, items = cache.keys(), cache.values(), cache.items()
    cache["a"] = 1
    assert (list(keys), list(values), list(items)) == (["a"], [1], [("a", 1)])
    assert (len(keys), len(values), len(items)) == (1, 1, 1)


def test_views_can_be_iterated_again(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache["a"] = 1
    items = cache.items()
    assert list(items) == list(items) == [("a", 1)]


def test_membership_in_views(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache["a"] = 1
    assert "a" in cache.keys()  # noqa: SIM118 - the view's own test
    assert "b" not in cache.keys()  # noqa: SIM118 - the view's own test
    assert 1 in cache.values()
    assert 2 not in cache.values()
    assert ("a", 1) in cache.items()
    assert ("a", 2) not in cache.items()
    assert ("b", 1) not in cache.items()


def test_keys_and_items_are_sets(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache.update(a=1, b=2)
    assert cache.keys() & {"a", "c"} == {"a"}
    assert cache.keys() | {"c"} == {"a", "b", "c"}
    assert cache.keys() == {"a", "b"}
    assert cache.items() - {("a", 1)} == {("b", 2)}
    assert cache.keys().isdisjoint({"c"})


def test_iteration_follows_insertion(kind: Kind, make_cache: MakeCache) -> None:
    cache = make_cache()
    for key in "cab":
        cache[key] = key
    if kind.name == "TLRUCache":
        assert sorted(cache) == ["a", "b", "c"]  # the order of its heap, which the standard library defines
    else:
        assert list(cache) == ["c", "a", "b"]


def test_reading_does_not_change_the_order_of_iteration(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache.update(a=1, b=2, c=3)
    before = list(cache)
    cache["a"]
    cache.get("b")
    assert list(cache) == before


def test_replacing_does_not_change_the_order_of_iteration(untimed_kind: Kind) -> None:
    cache = untimed_kind.make()
    cache.update(a=1, b=2, c=3)
    cache["a"] = 4
    assert list(cache) == ["a", "b", "c"]


def test_deleted_and_stored_again_comes_last(untimed_kind: Kind) -> None:
    cache = untimed_kind.make()
    cache.update(a=1, b=2, c=3)
    del cache["a"]
    cache["a"] = 4
    assert list(cache) == ["b", "c", "a"]


def test_iterator_is_its_own_iterator(make_cache: MakeCache) -> None:
    iterator = iter(make_cache())
    assert iter(iterator) is iterator


def test_exhausted_iterator_stays_exhausted(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache["a"] = 1
    iterator = iter(cache)
    assert list(iterator) == ["a"]
    cache["b"] = 2
    assert next(iterator, None) is None
    assert next(iterator, None) is None


def test_iterators_are_independent(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache.update(a=1, b=2)
    first, second = iter(cache), iter(cache)
    assert next(first) == next(second)
    assert next(first) == next(second)


@pytest.mark.parametrize(
    "change",
    [
        lambda cache: operator.setitem(cache, "new", 1),
        lambda cache: operator.delitem(cache, "a"),
        lambda cache: cache.pop("c"),
        lambda cache: cache.popitem(),
        lambda cache: cache.clear(),
        lambda cache: cache.setdefault("new", 1),
        lambda cache: cache.update(new=1),
    ],
    ids=["set", "del", "pop", "popitem", "clear", "setdefault", "update"],
)
@pytest.mark.parametrize("view", [iter, lambda cache: iter(cache.keys())], ids=["iter", "keys"])
def test_change_of_the_number_of_items_ends_iteration(
    untimed_kind: Kind, view: Callable[[Any], Any], change: Callable[[Any], object]
) -> None:
    cache = untimed_kind.make()
    cache.update(a=1, b=2, c=3)
    iterator = view(cache)
    next(iterator)
    change(cache)
    with pytest.raises(RuntimeError, match=CHANGED):
        next(iterator)


@pytest.mark.parametrize(
    "read",
    [
        lambda cache: cache["a"],
        lambda cache: cache.get("b"),
        lambda cache: "a" in cache,
        len,
        repr,
        lambda cache: cache == {},
        lambda cache: list(cache.items()),
        lambda cache: cache.setdefault("a", 9),
    ],
    ids=["getitem", "get", "in", "len", "repr", "eq", "items", "setdefault"],
)
def test_reading_during_iteration_is_fine(make_cache: MakeCache, read: Callable[[Any], object]) -> None:
    cache = make_cache()
    cache.update(a=1, b=2, c=3)
    seen = []
    for key in cache:
        read(cache)
        seen.append(key)
    assert sorted(seen) == ["a", "b", "c"]


def test_replacing_values_during_iteration_is_fine(untimed_kind: Kind) -> None:
    cache = untimed_kind.make()
    cache.update(a=1, b=2, c=3)
    for key in cache:
        cache[key] = 0
    assert dict(cache.items()) == {"a": 0, "b": 0, "c": 0}


def test_timed_iteration_tolerates_changes(timed_kind: Kind) -> None:
    cache = timed_kind.make(100)
    cache.update(a=1, b=2, c=3)
    iterator = iter(cache)
    seen = [next(iterator)]
    del cache["b"]
    cache["d"] = 4
    seen.extend(iterator)
    assert seen[0] == "a"
    assert "b" not in seen
    assert set(seen) <= {"a", "c", "d"}


@pytest.mark.parametrize("name", ["LRUCache", "TTLCache", "TLRUCache"])
def test_items_and_values_use_each_item_of_a_recency_cache(name: str) -> None:
    cache = kind_named(name).make(3)
    cache.update(a=1, b=2, c=3)
    cache["a"]
    list(cache.values())  # uses a, b and c, in this order
    cache["d"] = 4
    assert "a" not in cache
