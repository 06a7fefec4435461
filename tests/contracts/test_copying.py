"""Copies and pickles: independent caches that go on as the original would."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import KINDS, Clock, Kind, kind_named, size_is_value

MakeCache = Callable[..., Any]

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
DUPLICATES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle{n}": lambda cache, n=n: pickle.loads(pickle.dumps(cache, n)) for n in PROTOCOLS},  # type: ignore[misc]
}


@pytest.fixture(params=list(DUPLICATES.values()), ids=list(DUPLICATES))
def duplicate(request: pytest.FixtureRequest, checked: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Each way to get a second cache from a first."""
    return lambda cache: checked(request.param(cache))


class Labelled:
    """Pickled by value and compared by value."""

    def __init__(self, label: str) -> None:
        self.label = label

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Labelled) and self.label == other.label

    def __hash__(self) -> int:
        return hash(self.label)


def mine(kind: Kind) -> Any:
    """Return the module-level subclass of that kind, which pickle can find."""
    return globals()[f"My{kind.name}"]


def record_calls(base: Any) -> Any:
    """Return a subclass of which every instance counts the calls of its overrides."""

    class Recording(base):  # type: ignore[misc]
        calls = 0

        def __setitem__(self, key: Any, value: Any) -> None:
            self.calls += 1
            super().__setitem__(key, value)

    Recording.__name__ = Recording.__qualname__ = f"My{base.__name__}"
    return Recording


for _kind in KINDS:
    globals()[f"My{_kind.name}"] = record_calls(_kind.cls)


def test_has_the_same_class_items_and_sizes(make_cache: MakeCache, duplicate: Callable[[Any], Any]) -> None:
    cache = make_cache(5, getsizeof=size_is_value)
    cache.update(a=1, b=2, c=2)
    again = duplicate(cache)
    assert type(again) is type(cache)
    assert again == cache
    assert list(again) == list(cache)
    assert (again.maxsize, again.currsize) == (5, 5)
    assert repr(again) == repr(cache)


def test_goes_on_weighing(make_cache: MakeCache, duplicate: Callable[[Any], Any]) -> None:
    cache = make_cache(5, getsizeof=size_is_value)
    cache["a"] = 2
    again = duplicate(cache)
    again["b"] = 3
    assert again.currsize == 5
    again["c"] = 4
    assert dict(again.items()) == {"c": 4}


def test_is_independent(make_cache: MakeCache, duplicate: Callable[[Any], Any]) -> None:
    cache = make_cache(5)
    cache.update(a=1, b=2)
    again = duplicate(cache)
    cache["c"] = 3
    del cache["a"]
    again["d"] = 4
    assert dict(cache.items()) == {"b": 2, "c": 3}
    assert dict(again.items()) == {"a": 1, "b": 2, "d": 4}


def test_carries_the_attributes(make_cache: MakeCache, duplicate: Callable[[Any], Any]) -> None:
    cache = make_cache(5)
    cache.label = "mine"
    assert duplicate(cache).label == "mine"


def test_empty_cache(make_cache: MakeCache, duplicate: Callable[[Any], Any]) -> None:
    again = duplicate(make_cache(0))
    assert (len(again), again.maxsize) == (0, 0)


def test_many_items_do_not_exhaust_the_stack(kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    cache = kind.make(5000)
    cache.update({number: number for number in range(5000)})
    assert len(duplicate(cache)) == 5000


def test_subclass_and_its_state(kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    cache = kind.make(5, cls=mine(kind))
    cache.update(a=1, b=2)
    again = duplicate(cache)
    assert type(again) is mine(kind)
    assert dict(again.items()) == {"a": 1, "b": 2}


def test_rebuilding_calls_no_override(kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    cache = kind.make(5, cls=mine(kind))
    cache.update(a=1, b=2)
    assert duplicate(cache).calls == 2  # those of the original


def test_shallow_copy_shares_keys_and_values(make_cache: MakeCache) -> None:
    cache, value = make_cache(), Labelled("v")
    key = Labelled("k")
    cache[key] = value
    again = copy.copy(cache)
    assert again[key] is value
    assert next(iter(again)) is key


def test_deep_copy_copies_keys_and_values(make_cache: MakeCache) -> None:
    cache, value, key = make_cache(), Labelled("v"), Labelled("k")
    cache[key] = value
    again = copy.deepcopy(cache)
    assert again == cache
    assert again[key] is not value
    assert next(iter(again)) is not key


def test_cache_that_contains_itself_stays_closed(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache["self"] = cache
    cache["list"] = [cache]
    for duplicate in (DUPLICATES["deepcopy"], DUPLICATES["pickle2"]):
        again = duplicate(cache)
        assert again is not cache
        assert again["self"] is again
        assert again["list"][0] is again
        again.clear()
    cache.clear()


def test_shared_value_stays_shared(make_cache: MakeCache) -> None:
    cache, value = make_cache(), ["shared"]
    cache.update(a=value, b=value)
    again = pickle.loads(pickle.dumps(cache))
    assert again["a"] is again["b"]


def test_value_that_cannot_be_pickled_passes_on_its_error(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache["a"] = lambda: None
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps(cache)
    assert len(cache) == 1


def test_unhashable_after_unpickling_is_no_problem(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache[Labelled("k")] = 1
    assert pickle.loads(pickle.dumps(cache))[Labelled("k")] == 1


@pytest.mark.parametrize(
    ("name", "victim"),
    [("FIFOCache", "b"), ("LRUCache", "c"), ("LFUCache", "c"), ("TTLCache", "c"), ("TLRUCache", "c")],
)
def test_evicts_what_the_original_would(name: str, victim: str, duplicate: Callable[[Any], Any]) -> None:
    cache = kind_named(name).make(3)
    cache.update(a=1, b=2, c=3)
    cache["a"] = 4
    cache["b"], cache["b"]
    again = duplicate(cache)
    again["d"] = 5
    assert victim not in again
    assert len(again) == 3


def test_deadlines_are_kept(timed_kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    cache = timed_kind.make_short_lived(5, life=10)
    cache["old"] = 1
    cache.timer.tick(5)
    cache["new"] = 2
    again = duplicate(cache)
    again.timer.tick(5)
    assert list(iter(again)) == ["new"]  # list(again) would ask for the length, which expires
    assert again.expire() == [("old", 1)]
    again.timer.tick(5)
    assert again.expire() == [("new", 2)]


def test_items_that_expired_meanwhile_are_not_there(timed_kind: Kind, duplicate: Callable[[Any], Any]) -> None:
    cache = timed_kind.make_short_lived(5, life=10)
    cache["old"] = 1
    cache.timer.tick(10)
    again = duplicate(cache)
    assert "old" not in again
    assert len(again) == 0


def test_frozen_timer_is_not_frozen_in_the_duplicate(timed_kind: Kind) -> None:
    cache = timed_kind.make_short_lived(5)
    with cache.timer:
        again = pickle.loads(pickle.dumps(cache))
        again.timer.tick(3)
        assert again.timer() == 3
        assert cache.timer() == 0


def test_timer_object_can_be_pickled(timed_kind: Kind) -> None:
    timer = timed_kind.make(3, timer=Clock(5)).timer
    again = pickle.loads(pickle.dumps(timer))
    again.tick()
    assert (timer(), again()) == (5, 6)


def test_custom_choice_is_kept(duplicate: Callable[[Any], Any]) -> None:
    cache = kind_named("RRCache").make(3, choice=max)
    cache.update({1: 1, 2: 2, 3: 3})
    again = duplicate(cache)
    assert again.choice is max
    assert again.popitem() == (3, 3)
