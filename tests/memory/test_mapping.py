"""A `MemoryCache` is a mutable mapping that can be copied, pickled, subclassed and weakly referenced."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import pytest

from overdrive import MemoryCache

Make = Callable[..., MemoryCache[Any, Any]]


def test_it_is_a_mutable_mapping(make: Make) -> None:
    assert isinstance(make(), MutableMapping)


def test_reading_and_writing(make: Make) -> None:
    cache = make()
    cache["a"] = 1
    assert (cache["a"], cache.get("a"), "a" in cache, len(cache)) == (1, 1, True, 1)
    cache["a"] = 2
    assert (cache["a"], len(cache)) == (2, 1)
    del cache["a"]
    assert ("a" in cache, cache.get("a"), cache.get("a", 5), len(cache)) == (False, None, 5, 0)


def test_an_absent_key_is_named(make: Make) -> None:
    cache = make()
    for fail in (lambda: cache["x"], lambda: cache.pop("x"), lambda: cache.remaining_ttl("x"), lambda: cache.tags("x")):
        with pytest.raises(KeyError) as raised:
            fail()
        assert raised.value.args == ("x",)
    with pytest.raises(KeyError) as raised:
        del cache["x"]
    assert raised.value.args == ("x",)


def test_pop(make: Make) -> None:
    cache = make()
    cache["a"] = None
    assert cache.pop("a") is None
    assert cache.pop("a", 7) == 7
    assert cache.pop("a", None) is None


def test_popitem_takes_what_would_be_evicted_next(make: Make, policy: str) -> None:
    cache = make()
    cache.update(a=1, b=2, c=3)
    pairs = set()
    while cache:
        coldest = cache.coldest(1)[0]
        pair = cache.popitem()
        if policy in {"lru", "fifo", "lfu"}:
            assert pair == coldest
        pairs.add(pair)
        cache._check()
    assert pairs == {("a", 1), ("b", 2), ("c", 3)}
    with pytest.raises(KeyError, match="empty"):
        cache.popitem()


def test_setdefault_keeps_what_is_there(make: Make) -> None:
    cache = make()
    first: list[int] = []
    assert cache.setdefault("a", first) is first
    assert cache.setdefault("a", [1]) is first
    cache["none"] = None
    assert cache.setdefault("none", 4) is None
    assert cache.setdefault("b") is None
    assert "b" in cache


def test_update_takes_what_a_dict_takes(make: Make) -> None:
    class Keyed:
        def keys(self) -> list[str]:
            return ["d"]

        def __getitem__(self, key: str) -> str:
            return key * 2

    cache = make()
    cache.update({"a": 1})
    cache.update([("b", 2)], c=3)
    cache.update(Keyed())
    cache.update()
    assert dict(cache) == {"a": 1, "b": 2, "c": 3, "d": "dd"}
    for bad, kind in ((5, TypeError), ([5], TypeError), ([(1, 2, 3)], ValueError)):
        with pytest.raises(kind):
            cache.update(bad)
    assert len(cache) == 4


def test_iteration_is_over_what_was_there_when_it_began(make: Make) -> None:
    cache = make()
    cache.update(a=1, b=2, c=3)
    for key in cache:
        del cache[key]
        cache[key + "'"] = 0
    assert list(cache) == ["a'", "b'", "c'"]
    assert list(cache.values()) == [0, 0, 0]
    assert ("a'", 0) in cache.items()
    assert ("a'", 1) not in cache.items()
    assert "a" not in cache.items()  # type: ignore[comparison-overlap]
    assert 0 in cache.values()
    assert cache.keys() & {"a'", "z"} == {"a'"}
    assert cache.keys() == {"a'", "b'", "c'"}


def test_replacing_keeps_the_place_in_the_iteration(make: Make) -> None:
    cache = make()
    cache.update(a=1, b=2, c=3)
    cache["a"] = 9
    assert list(cache.items()) == [("a", 9), ("b", 2), ("c", 3)]


def test_equality_is_that_of_mappings(make: Make) -> None:
    cache, other = make(), make(4)
    cache.update(a=1, b=2)
    other.update(b=2, a=1)
    assert cache == other
    assert cache == {"a": 1, "b": 2}
    assert cache != {"a": 1}
    assert cache != [("a", 1), ("b", 2)]
    with pytest.raises(TypeError, match="unhashable"):
        hash(cache)


def test_truth_is_whether_there_are_items(make: Make) -> None:
    cache = make()
    assert not cache
    cache["a"] = 1
    assert cache


@pytest.mark.parametrize("read", [lambda c: c.peek("a"), lambda c: "a" in c, list, dict, repr, lambda c: c == {}])
def test_looking_is_not_using(make: Make, read: Callable[[Any], object]) -> None:
    cache = make()
    cache.update(a=1, b=2, c=3)
    before = cache.coldest()
    if read is not dict:  # reads the values as anyone does
        read(cache)
        assert cache.coldest() == before
        assert cache.stats().requests == 0


def test_repr_says_what_it_is(make: Make, policy: str) -> None:
    cache = make(3)
    cache["a"] = 1
    assert repr(cache) == f"<MemoryCache of 1 items, policy={policy!r}, maxsize=3, currsize=1>"


@pytest.mark.parametrize(
    "copied", [MemoryCache.copy, copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_a_copy_has_everything_but_the_counts(make: Make, policy: str, copied: Callable[[Any], Any]) -> None:
    cache = make(5, ttl=1000, idle=500)
    cache.set("a", [1], ttl=50, tags=("x", "y"))
    cache["b"] = 2
    cache.pin("b")
    cache.get("a")
    other = copied(cache)
    other._check()
    assert type(other) is MemoryCache
    assert other == cache
    assert (other.maxsize, other.policy, other.ttl, other.idle) == (5, policy, 1000, 500)
    assert set(other.tags("a")) == {"x", "y"}
    assert (other.is_pinned("a"), other.is_pinned("b")) == (False, True)
    assert 49 < other.remaining_ttl("a") <= 50
    assert other.stats().requests == other.stats().deleted == 0
    other["c"] = 3
    assert "c" not in cache


def test_a_deep_copy_copies_the_values(make: Make) -> None:
    cache = make()
    cache["a"] = [1]
    assert copy.copy(cache)["a"] is cache["a"]
    assert copy.deepcopy(cache)["a"] is not cache["a"]


def test_a_copy_keeps_the_order_of_eviction(make: Make, policy: str) -> None:
    cache = make(4)
    cache.update(a=1, b=2, c=3)
    cache.get("a")
    if policy in {"lru", "fifo"}:
        assert cache.copy().coldest() == cache.coldest()


class Labelled(MemoryCache[Any, Any]):
    """A subclass with arguments and attributes of its own."""

    def __init__(self, label: str, maxsize: int) -> None:
        super().__init__(maxsize, policy="lru", ttl=60)
        self.label = label
        self.seen: list[object] = []

    def __setitem__(self, key: object, value: object) -> None:
        self.seen.append(key)
        super().__setitem__(key, value)


@pytest.mark.parametrize(
    "copied", [MemoryCache.copy, copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_subclasses_are_copied_with_their_attributes(copied: Callable[[Any], Any]) -> None:
    cache = Labelled("mine", 4)
    cache["a"] = 1
    other = copied(cache)
    assert (type(other), other.label, other.seen, dict(other)) == (Labelled, "mine", ["a"], {"a": 1})
    other["b"] = 2
    assert "b" not in cache


def test_a_subclass_that_forgot_init_is_told_so() -> None:
    class Forgetful(MemoryCache[Any, Any]):
        def __init__(self) -> None: ...

    cache = Forgetful()
    for use in (
        lambda: cache["a"],
        lambda: len(cache),
        lambda: cache.get(1),
        lambda: list(cache),
        lambda: cache.stats(),
    ):
        with pytest.raises(RuntimeError, match="__init__"):
            use()
    with pytest.raises(RuntimeError, match="__init__"):
        cache["a"] = 1


def test_weak_references(make: Make) -> None:
    cache: MemoryCache[Any, Any] = MemoryCache(4)
    reference = weakref.ref(cache)
    assert reference() is cache
    del cache
    assert reference() is None


def test_it_is_collected_with_what_refers_to_it(policy: str) -> None:
    class Holder:
        def __call__(self, *_: object) -> int:
            return 1

    holder = Holder()
    cache: MemoryCache[Any, Any] = MemoryCache(4, policy=policy, weigher=holder, on_evict=holder, clock=holder)
    holder.cache = cache  # type: ignore[attr-defined]
    cache["self"] = cache
    reference = weakref.ref(holder)
    del holder, cache
    gc.collect()
    assert reference() is None


def test_it_matches_as_a_mapping(make: Make) -> None:
    cache = make()
    cache["kind"] = "x"
    match cache:
        case {"kind": found}:
            assert found == "x"
        case _:
            pytest.fail("not a mapping")
    assert isinstance(cache, Mapping)
