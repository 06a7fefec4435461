"""Copies and pickles of a `MemoryCache`, and subclasses of it."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from overdrive import MemoryCache
from overdrive.testing import FakeClock
from tests.memory.policies import POLICIES, Telling

Make = Callable[..., MemoryCache[Any, Any]]
COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "method": operator.methodcaller("copy"),
    "deepcopy": copy.deepcopy,
    "pickle": lambda cache: pickle.loads(pickle.dumps(cache)),
}


@pytest.fixture(params=list(COPIES.values()), ids=list(COPIES))
def copied(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Each way to copy in turn."""
    copied: Callable[[Any], Any] = request.param
    return copied


def weigh(key: object, value: Any) -> float:
    """A weigher that can be pickled."""
    return float(value)


def test_copy_has_the_same_items_and_arguments(make: Make, clock: FakeClock, copied: Callable[[Any], Any]) -> None:
    listener = Telling()
    cache = make(9.5, ttl=50, idle=40, jitter=0.5, weigher=weigh, max_bytes=100_000, on_evict=listener, clock=clock)
    cache.update(a=1, b=2)
    cache.set("c", 3, ttl=10, tags=["x", "y"])
    cache.pin("b")
    cache.get("a")
    new = copied(cache)
    new._check()
    assert new is not cache
    assert type(new) is type(cache)
    assert new == cache
    for name in ("maxsize", "policy", "ttl", "idle", "jitter", "max_bytes", "currsize"):
        assert getattr(new, name) == getattr(cache, name), name
    assert sorted(new.coldest()) == sorted(cache.coldest())
    assert (new.tags("c"), new.is_pinned("b"), new.is_pinned("a")) == (("x", "y"), True, False)
    for key in "abc":
        assert new.remaining_ttl(key) == cache.remaining_ttl(key)
    assert new.stats().requests == new.stats().evicted == 0
    assert listener.told == []
    assert (new.invalidate_tag("x"), len(new), len(cache)) == (1, 2, 3)
    new["a"] = 2
    assert cache["a"] == 1
    if copied in {COPIES["copy"], COPIES["method"]}:
        assert listener.take() == [("c", 3, "deleted"), ("a", 1, "replaced")]
    else:
        assert listener.told == []


def test_lifetimes_are_not_shortened_again_by_jitter(make: Make, clock: FakeClock) -> None:
    cache = make(None, ttl=100, jitter=1, clock=clock)
    cache.update((number, number) for number in range(20))
    clock.advance(0.5)
    new = cache.copy()
    assert {key: new.remaining_ttl(key) for key in new} == {key: cache.remaining_ttl(key) for key in cache}
    new["other"] = 1
    assert new.remaining_ttl("other") < 100


def test_copy_evicts_as_the_original(policy: str, make: Make, copied: Callable[[Any], Any]) -> None:
    cache = make(6)
    cache.update((number, number) for number in range(6))
    cache.get(2)
    new = copied(cache)
    if policy in {"lru", "fifo"}:
        assert new.coldest() == cache.coldest()
    for number in range(100):
        new[number] = number
        assert len(new) <= 6
    new._check()


def test_several_listeners_are_copied(make: Make) -> None:
    first, second = Telling(), Telling()
    cache = make(on_evict=first)
    cache.add_listener(second)
    cache["a"] = 1
    new = cache.copy()
    del new["a"]
    assert first.take() == second.take() == [("a", 1, "deleted")]
    new.remove_listener(first)
    del cache["a"]
    assert first.take() == second.take() == [("a", 1, "deleted")]


def test_copy_is_taken_of_what_is_live(make: Make, clock: FakeClock, copied: Callable[[Any], Any]) -> None:
    cache = make(clock=clock)
    cache.set("short", 1, ttl=1)
    cache.set("tagged", 2, tags="t")
    cache["a"] = 3
    clock.advance(1)
    cache.invalidate_tag("t")
    assert dict(copied(cache).items()) == {"a": 3}


def test_copies_of_a_full_and_of_an_overfull_cache(make: Make, copied: Callable[[Any], Any]) -> None:
    cache = make(5, max_bytes=50_000)
    cache.update((number, number) for number in range(9))
    assert copied(cache) == cache
    for key in list(cache):
        cache.pin(key)
    cache.resize(2, max_bytes=100)
    new = copied(cache)
    assert new == cache
    assert (new.maxsize, new.max_bytes, len(new)) == (2, 100, 5)
    new._check()


def test_copies_without_limits(make: Make, copied: Callable[[Any], Any]) -> None:
    cache = make(None)
    cache.update((number, number) for number in range(300))
    new = copied(cache)
    assert new == cache
    assert new.maxsize == math.inf


def test_cache_that_contains_itself(make: Make) -> None:
    cache = make()
    cache["self"] = cache
    cache["list"] = [cache]
    for new in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert new is not cache
        assert new["self"] is new["list"][0] is new
    assert copy.copy(cache)["self"] is cache


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(make: Make, protocol: int) -> None:
    cache = make(3)
    cache.update(a=1, b=[2])
    assert pickle.loads(pickle.dumps(cache, protocol)) == cache


def test_what_cannot_be_pickled_is_an_error(make: Make) -> None:
    cache = make(on_evict=lambda key, value, cause: None)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(cache)
    other = make()
    other["a"] = lambda: None
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(other)


class Labelled(MemoryCache[Any, Any]):
    """A subclass with arguments and attributes of its own."""

    def __init__(self, label: str, *, policy: str) -> None:
        super().__init__(7, policy=policy)
        self.label = label
        self.history = [label]

    def __getitem__(self, key: Any) -> Any:
        return ("read", super().__getitem__(key))


class Slotted(MemoryCache[Any, Any]):
    """A subclass with slots."""

    __slots__ = ("label",)
    label: str


def test_subclasses_keep_their_attributes(policy: str, copied: Callable[[Any], Any]) -> None:
    cache = Labelled("mine", policy=policy)
    cache["a"] = 1
    new = copied(cache)
    assert type(new) is Labelled
    assert (new.label, new.history, new["a"], new.maxsize) == ("mine", ["mine"], ("read", 1), 7)
    assert (new.history is cache.history) == (copied in {COPIES["copy"], COPIES["method"]})
    assert new.get_or_load("b", str.upper) == "B"


def test_slots_of_subclasses_are_copied(policy: str, copied: Callable[[Any], Any]) -> None:
    cache = Slotted(3, policy=policy)
    cache.label = "mine"
    cache["a"] = 1
    new = copied(cache)
    assert (new.label, new["a"]) == ("mine", 1)
    bare = copied(Slotted(3, policy=policy))
    assert not hasattr(bare, "label")


def test_subclass_that_does_not_initialise_is_told_so() -> None:
    class Forgetful(MemoryCache[Any, Any]):
        def __init__(self) -> None:
            pass

    cache = Forgetful()
    operations: tuple[Callable[[], object], ...] = (
        lambda: cache["a"],
        lambda: cache.__setitem__("a", 1),
        lambda: len(cache),
        lambda: list(cache),
        lambda: cache.get("a"),
        lambda: cache.clear(),
        lambda: cache.stats(),
        lambda: cache.copy(),
        lambda: pickle.dumps(cache),
        lambda: repr(cache),
        lambda: cache.pin("a"),
        lambda: cache.popitem(),
        lambda: cache.setdefault("a"),
        lambda: cache.add_listener(print),
        lambda: cache.get_or_load("a", str),
        lambda: cache.resize(3),
    )
    for operation in operations:
        with pytest.raises(RuntimeError, match="__init__"):
            operation()
    cache._check()


def test_initialising_again_begins_anew(make: Make, policy: str) -> None:
    listener = Telling()
    cache = make(3, on_evict=listener, ttl=5)
    cache.set("a", 1, tags="t")
    cache.pin("a")
    cache.__init__(2, policy=policy)  # type: ignore[misc]
    assert (len(cache), cache.maxsize, cache.ttl, cache.invalidate_tag("t")) == (0, 2, None, 0)
    cache.update(a=1, b=2, c=3)
    assert listener.told == []
    for bad in ({"policy": "none"}, {"policy": policy, "jitter": 5}, {"policy": policy, "clock": 5}):
        with pytest.raises((TypeError, ValueError)):
            cache.__init__(9, **bad)  # type: ignore[misc]
    assert (len(cache), cache.maxsize) == (2, 2)


@pytest.mark.parametrize("bad", [None, 5, b"lru", "LRU", "", "lru "])
def test_policies_that_do_not_exist_are_refused(bad: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="policy must be"):
        MemoryCache(3, policy=bad)
    assert "lru" in POLICIES
