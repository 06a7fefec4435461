"""Tags: names that items carry, and forgetting all items of one in O(1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from overdrive import MemoryCache
from tests.memory.conftest import Told

Make = Callable[..., MemoryCache[Any, Any]]


def test_invalidated_items_are_never_seen_again(make: Make, told: Told) -> None:
    cache = make(on_evict=told)
    cache.set("a", 1, tags="x")
    cache.set("b", 2, tags=["x", "y"])
    cache.set("c", 3, tags={"y"})
    cache["d"] = 4
    assert cache.tags("b") == ("x", "y")
    assert cache.tags("d") == ()
    assert cache.invalidate_tag("x") == 2
    assert list(cache) == ["c", "d"]
    assert (cache.get("a"), cache.peek("b"), "a" in cache, cache.pop("b", 0)) == (None, None, False, 0)
    assert not cache.touch("a")
    assert not cache.pin("a")
    assert len(cache.coldest()) == 2
    assert len(cache) == 2
    assert sorted(told) == [("a", 1, "deleted"), ("b", 2, "deleted")]
    assert cache.stats().deleted == 2
    assert cache.invalidate_tag("x") == cache.invalidate_tag("never") == 0


def test_setting_anew_replaces_the_tags(make: Make) -> None:
    cache = make()
    cache.set("a", 1, tags="x")
    cache.set("a", 2, tags="y")
    assert (cache.invalidate_tag("x"), cache["a"]) == (0, 2)
    cache["a"] = 3
    assert (cache.tags("a"), cache.invalidate_tag("y"), cache["a"]) == ((), 0, 3)


def test_an_invalidated_key_may_be_set_again(make: Make, told: Told) -> None:
    cache = make(on_evict=told)
    cache.set("a", 1, tags="x")
    cache.invalidate_tag("x")
    cache.set("a", 2, tags="x")
    assert (cache["a"], cache.tags("a"), told) == (2, ("x",), [("a", 1, "deleted")])
    assert cache.invalidate_tags("x", "z") == 1
    assert len(cache) == 0


def test_a_pinned_item_is_invalidated_too(make: Make) -> None:
    cache = make(1)
    cache.set("a", 1, tags="x")
    cache.pin("a")
    cache.invalidate_tag("x")
    cache["b"] = 2
    assert dict(cache) == {"b": 2}


@pytest.mark.parametrize("tag", ["", "\x00", "ä", "😀", "x" * 10_000, "a b"])
def test_any_text_is_a_tag(make: Make, tag: str) -> None:
    cache = make()
    cache.set("a", 1, tags=tag)
    assert cache.tags("a") == (tag,)
    assert cache.invalidate_tag(tag) == 1
    assert "a" not in cache


@pytest.mark.parametrize("tags", [5, [5], [None], b"x", ["x", b"x"], "\ud800", ["\ud800"]])
def test_other_tags_are_refused_and_nothing_changes(make: Make, tags: Any) -> None:
    cache = make()
    cache.set("a", 1, tags="x")
    for refused in (
        lambda: cache.set("a", 2, tags=tags),
        lambda: cache.set_many({"a": 2}, tags=tags),
        lambda: cache.get_or_load("b", pytest.fail, tags=tags),
    ):
        with pytest.raises((TypeError, UnicodeError)):
            refused()
    assert (dict(cache), cache.tags("a")) == ({"a": 1}, ("x",))


def test_many_items_of_many_tags(make: Make, told: Told) -> None:
    cache = make(1000, on_evict=told)
    for number in range(1000):
        cache.set(number, number, tags=[f"mod 7: {number % 7}", f"mod 10: {number % 10}", f"only {number}"])
    cache.invalidate_tag("mod 7: 3")
    cache.invalidate_tag("mod 10: 0")
    cache.invalidate_tag("only 1")
    left = {number for number in range(1000) if number % 7 != 3 and number % 10 and number != 1}
    assert set(cache) == left
    for number in range(1000, 1050):
        cache[number] = number
    cache._check()
    assert len(cache) <= 1000
    assert all(cause in {"deleted", "size"} for _, _, cause in told)
    assert {key for key, _, _ in told} | set(cache) == set(range(1050))


def test_stale_items_make_room_by_and_by(make: Make) -> None:
    cache = make(100)
    for number in range(100):
        cache.set(number, number, tags="old")
    cache.invalidate_tag("old")
    for number in range(100, 200):
        cache[number] = number
    assert len(cache) == 100
    cache._check()


def test_repeated_tags_count_once(make: Make) -> None:
    cache = make()
    cache.set("a", 1, tags=["x", "x", "x"])
    assert cache.tags("a") == ("x",)
    assert cache.invalidate_tag("x") == 1
    cache._check()


def test_tags_do_not_stay_with_the_place_of_an_item(make: Make) -> None:
    cache = make(3)
    for number in range(30):
        cache.set(number, number, tags=f"t{number}")
        cache[-number - 1] = number
    for number in range(30):
        is_there = number in cache
        assert cache.invalidate_tag(f"t{number}") == is_there
    assert all(key < 0 for key in cache)


@pytest.mark.parametrize("bad", [5, 1.5, [1], [None], ["a", 1], b"ab", object(), ["\udc80"], "\udc80"])
def test_bad_tags_are_refused_before_anything_changes(make: Make, bad: Any) -> None:
    cache = make()
    cache.set("a", 1, tags="t")
    loads: list[Any] = []
    for operation in (
        lambda: cache.set("a", 2, tags=bad),
        lambda: cache.set_many({"a": 2, "b": 3}, tags=bad),
        lambda: cache.get_or_load("b", loads.append, tags=bad),
        lambda: cache.invalidate_tag(bad),
        lambda: cache.invalidate_tags("t", bad),
    ):
        if bad == "\udc80" or isinstance(bad, list):
            with pytest.raises((TypeError, ValueError)):
                operation()
        else:
            with pytest.raises(TypeError, match=r"tag"):
                operation()
    assert dict(cache.items()) == {"a": 1}
    assert (cache.tags("a"), loads) == (("t",), [])


def test_tags_of_deleted_items_are_forgotten(make: Make) -> None:
    cache = make()
    size = cache.__sizeof__()
    for number in range(2000):
        cache.set(number % 8, number, tags=f"a tag of this item and no other one: {number}")
    assert cache.__sizeof__() < size + 20_000
