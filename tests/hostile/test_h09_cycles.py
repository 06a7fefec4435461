"""H9: every reference that a cache holds is one that the garbage collector can see."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import KINDS, Clock, Kind
from tests.hostile.child import in_child


class Node:
    """An object that refers to a cache, and may stand wherever a cache refers to something."""

    cache: Any = None

    def __call__(self, *args: Any) -> Any:
        return 1

    def __add__(self, other: Any) -> Any:
        return Node()

    def __radd__(self, other: Any) -> Any:
        return self

    def __lt__(self, other: Any) -> bool:
        return True

    def __gt__(self, other: Any) -> bool:
        return True


class Time(Node):
    """A clock that shows a time of a foreign type."""

    def __call__(self, *args: Any) -> Any:
        return Node()


def constructed(argument: str) -> Callable[[Kind, Node], Any]:
    """Return a builder of caches with the node as that argument."""
    return lambda kind, node: kind.make(3, **{argument: node})


def with_value(kind: Kind, node: Node) -> Any:
    cache = kind.make(3)
    cache["a"] = node
    return cache


def with_key(kind: Kind, node: Node) -> Any:
    cache = kind.make(3)
    cache[node] = 1
    return cache


def with_attribute(kind: Kind, node: Node) -> Any:
    cache = kind.make(3)
    cache.label = node
    return cache


def with_attribute_of_subclass(kind: Kind, node: Node) -> Any:
    cache = kind.make(3, cls=type("Slotted", (kind.cls,), {"__slots__": ("label",)}))
    cache.label = node
    return cache


def with_class(kind: Kind, node: Node) -> Any:
    return kind.make(3, cls=type("Mine", (kind.cls,), {"label": node}))


def with_view(view: str) -> Callable[[Kind, Node], Any]:
    """Return a builder of caches whose view the node holds."""

    def build(kind: Kind, node: Any) -> Any:
        cache = with_value(kind, node)
        node.view = getattr(cache, view)()
        return cache

    return build


def with_iterator(view: str) -> Callable[[Kind, Node], Any]:
    """Return a builder of caches over whose view the node holds an advanced iterator."""

    def build(kind: Kind, node: Any) -> Any:
        cache = with_value(kind, node)
        cache["b"] = 2
        node.iterator = iter(getattr(cache, view)())
        next(node.iterator)
        return cache

    return build


def with_timer(kind: Kind, node: Any) -> Any:
    cache = kind.make(3, timer=Clock())
    cache["a"] = node
    node.timer = cache.timer
    return cache


def with_frozen_time(kind: Kind, node: Any) -> Any:
    clock = Time()
    clock.cache = node
    cache = kind.make(3, timer=clock, **({"ttl": Node()} if kind.name == "TTLCache" else {"ttu": Time()}))
    cache["a"] = node
    node.timer = cache.timer
    node.timer.__enter__()
    return cache


def with_deadline(kind: Kind, node: Node) -> Any:
    argument = {"ttl": node} if kind.name == "TTLCache" else {"ttu": lambda key, value, now: node}
    cache = kind.make(3, timer=Clock(), **argument)
    cache["a"] = 1
    return cache


HOLDERS: dict[str, tuple[Callable[[Kind, Node], Any], Callable[[Kind], bool]]] = {
    "value": (with_value, lambda kind: True),
    "key": (with_key, lambda kind: True),
    "getsizeof": (constructed("getsizeof"), lambda kind: True),
    "choice": (constructed("choice"), lambda kind: kind.name == "RRCache"),
    "timer": (constructed("timer"), lambda kind: kind.timed),
    "ttu": (constructed("ttu"), lambda kind: kind.name == "TLRUCache"),
    "ttl": (constructed("ttl"), lambda kind: kind.name == "TTLCache"),
    "deadline": (with_deadline, lambda kind: kind.timed),
    "attribute": (with_attribute, lambda kind: True),
    "slot of a subclass": (with_attribute_of_subclass, lambda kind: True),
    "class": (with_class, lambda kind: True),
    "keys view": (with_view("keys"), lambda kind: True),
    "values view": (with_view("values"), lambda kind: True),
    "items view": (with_view("items"), lambda kind: True),
    "keys iterator": (with_iterator("keys"), lambda kind: True),
    "values iterator": (with_iterator("values"), lambda kind: True),
    "items iterator": (with_iterator("items"), lambda kind: True),
    "timer object": (with_timer, lambda kind: kind.timed),
    "frozen time": (with_frozen_time, lambda kind: kind.timed),
}
CASES = {
    f"{kind}-{name}": (kind, name) for name, (_build, applies) in HOLDERS.items() for kind in KINDS if applies(kind)
}


@in_child
@pytest.mark.parametrize(("kind", "name"), CASES.values(), ids=CASES.keys())
def test_cycle_through_the_cache_is_collected(kind: Kind, name: str) -> None:
    node = Node()
    cache = HOLDERS[name][0](kind, node)
    node.cache = cache
    references = weakref.ref(node), weakref.ref(cache)
    del node, cache
    gc.collect()
    gc.collect()
    assert [reference() for reference in references] == [None, None]


@in_child
@pytest.mark.parametrize(("kind", "name"), CASES.values(), ids=CASES.keys())
def test_what_is_still_in_use_is_not_collected(kind: Kind, name: str) -> None:
    node = Node()
    cache = HOLDERS[name][0](kind, node)
    node.cache = cache
    reference = weakref.ref(node)
    del node
    gc.collect()
    assert reference() is not None
    cache._check()


@in_child
@pytest.mark.parametrize(("kind", "name"), CASES.values(), ids=CASES.keys())
def test_collector_sees_no_reference_twice(kind: Kind, name: str) -> None:
    node = Node()
    cache = HOLDERS[name][0](kind, node)
    for _ in range(3):
        gc.collect()  # a reference visited twice would make the count negative, and free what is in use
    assert all(repr(type(referent)) for referent in gc.get_referents(cache))
    cache._check()


@in_child
def test_collector_sees_the_class_of_a_cache_once(kind: Kind) -> None:
    mine: Any = type("Mine", (kind.cls,), {})
    classes = (kind.cls, mine, type("Derived", (mine,), {}), type("Slotted", (kind.cls,), {"__slots__": ("label",)}))
    for cls in classes:
        cache = kind.make(3, cls=cls)
        assert gc.get_referents(cache).count(cls) == 1
        counted = sys.getrefcount(cls)
        for _ in range(100):
            kind.make(3, cls=cls)
        assert sys.getrefcount(cls) == counted


@in_child
def test_cache_is_usable_from_the_finalizer_of_its_garbage(kind: Kind) -> None:
    results: list[Any] = []

    class Last(Node):
        def __del__(self) -> None:
            cache = self.cache
            results.append(len(cache))
            for use in (repr, list, lambda c: c.clear(), lambda c: c.get("a"), lambda c: c.update(a=1)):
                use(cache)

    node = Last()
    node.cache = with_value(kind, node)
    del node
    gc.collect()
    assert results == [1]


@in_child
def test_cleared_cache_holds_nothing(kind: Kind) -> None:
    key, value = Node(), Node()
    references = weakref.ref(key), weakref.ref(value)
    cache = kind.make(3)
    cache[key] = value
    del key, value
    cache.clear()
    assert [reference() for reference in references] == [None, None]


@in_child
def test_initialised_cache_holds_nothing_of_before(kind: Kind) -> None:
    value, getsizeof = Node(), Node()
    references = weakref.ref(value), weakref.ref(getsizeof)
    cache = kind.make(3, getsizeof=getsizeof)
    cache["a"] = value
    del value, getsizeof
    cache.__init__(maxsize=3, getsizeof=lambda value: 1, **kind.required)
    gc.collect()
    assert [reference() for reference in references] == [None, None]
