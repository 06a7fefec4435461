"""H19: objects that were never initialised, or are initialised again and again."""

from __future__ import annotations

import contextlib
import copy
import gc
import operator
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import KINDS, Kind
from tests.hostile.child import in_child

USES: dict[str, Callable[[Any], object]] = {
    "len": len,
    "bool": bool,
    "repr": repr,
    "iter": list,
    "keys": lambda cache: list(cache.keys()),
    "values": lambda cache: list(cache.values()),
    "items": lambda cache: list(cache.items()),
    "getitem": lambda cache: cache["a"],
    "get": lambda cache: cache.get("a"),
    "contains": lambda cache: "a" in cache,
    "setitem": lambda cache: operator.setitem(cache, "a", 1),
    "delitem": lambda cache: operator.delitem(cache, "a"),
    "pop": lambda cache: cache.pop("a"),
    "pop default": lambda cache: cache.pop("a", None),
    "popitem": lambda cache: cache.popitem(),
    "setdefault": lambda cache: cache.setdefault("a", 1),
    "update": lambda cache: cache.update(a=1),
    "clear": lambda cache: cache.clear(),
    "maxsize": lambda cache: cache.maxsize,
    "currsize": lambda cache: cache.currsize,
    "eq": lambda cache: cache == {"a": 1},
    "copy": copy.copy,
    "pickle": pickle.dumps,
}
TIMED_USES: dict[str, Callable[[Any], object]] = {
    "expire": lambda cache: cache.expire(),
    "timer": lambda cache: cache.timer,
}


def uninitialised(kind: Kind) -> Any:
    """Return an object of the class that no constructor has seen."""
    return kind.cls.__new__(kind.cls)


@in_child
@pytest.mark.parametrize("use", USES)
def test_using_an_uninitialised_cache_says_what_is_wrong(kind: Kind, use: str) -> None:
    with pytest.raises(RuntimeError, match=f"{kind.name}.*__init__"):
        USES[use](uninitialised(kind))


@in_child
@pytest.mark.parametrize("use", TIMED_USES)
def test_using_an_uninitialised_timed_cache_says_what_is_wrong(timed_kind: Kind, use: str) -> None:
    with pytest.raises(RuntimeError, match=f"{timed_kind.name}.*__init__"):
        TIMED_USES[use](uninitialised(timed_kind))


@in_child
def test_properties_of_an_uninitialised_cache(kind: Kind) -> None:
    cache = uninitialised(kind)
    for name in ("choice", "ttl", "ttu"):
        if hasattr(kind.cls, name):
            with pytest.raises(RuntimeError, match=f"{kind.name}.*__init__"):
                getattr(cache, name)


@in_child
def test_uninitialised_cache_can_be_dropped_and_collected(kind: Kind) -> None:
    cache = uninitialised(kind)
    cache.loop = cache
    reference = weakref.ref(cache)
    del cache
    gc.collect()
    assert reference() is None


@in_child
def test_uninitialised_cache_can_be_initialised(kind: Kind) -> None:
    cache = uninitialised(kind)
    cache.__init__(maxsize=3, **kind.required)
    cache["a"] = 1
    assert cache["a"] == 1
    cache._check()


@in_child
def test_subclass_that_forgets_its_base(kind: Kind) -> None:
    class Forgetful(kind.cls):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.label = "mine"

    cache = Forgetful()
    assert cache.label == "mine"
    with pytest.raises(RuntimeError, match="Forgetful.*__init__"):
        cache["a"] = 1


@in_child
def test_base_method_on_an_uninitialised_cache(kind: Kind) -> None:
    import overdrive

    with pytest.raises(RuntimeError, match=f"{kind.name}.*__init__"):
        overdrive.Cache.__getitem__(uninitialised(kind), "a")


@in_child
def test_failed_constructor_leaves_an_unusable_object(kind: Kind) -> None:
    cache = uninitialised(kind)
    with pytest.raises(ValueError, match="maxsize"):
        cache.__init__(maxsize=-1, **kind.required)
    with pytest.raises(RuntimeError, match="__init__"):
        len(cache)


@in_child
def test_initialised_a_thousand_times(kind: Kind) -> None:
    cache = kind.make(3)
    for number in range(1000):
        cache.__init__(maxsize=number % 5 + 1, **kind.required)
        cache.update((key, number) for key in range(5))
        assert len(cache) == cache.maxsize
    cache._check()


@in_child
def test_initialised_by_the_constructor_of_the_base_class(kind: Kind) -> None:
    import overdrive

    cache = kind.make(3)
    cache["a"] = 1
    overdrive.Cache.__init__(cache, 5)
    for key in range(9):
        try:
            cache[key] = key
        except (KeyError, RuntimeError, AttributeError):
            break  # without the arguments of its own class it may not know what to evict
    assert len(cache) <= 5
    cache._check()


@in_child
def test_object_that_changes_its_class_stays_sound(kind: Kind) -> None:
    import overdrive

    for name in (*(other.name for other in KINDS), "CacheInfo"):
        cache = kind.make(3)
        cache.update(a=1, b=2, c=3)
        with contextlib.suppress(TypeError):
            cache.__class__ = getattr(overdrive, name)
        cache["d"] = 4
        assert len(cache) == 3
        assert repr(cache).startswith(type(cache).__name__)
        cache._check()
        cache.popitem()
        cache.clear()
        cache._check()


@in_child
def test_new_takes_anything(kind: Kind) -> None:
    cache = kind.cls.__new__(kind.cls, 1, 2, 3, anything="goes")
    with pytest.raises(RuntimeError, match="__init__"):
        len(cache)
