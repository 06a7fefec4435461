"""H5: an override of a subclass re-enters the cache, raises, or drops the last reference to it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import KINDS, Kind
from tests.hostile.callbacks import cases
from tests.hostile.child import in_child
from tests.hostile.reactions import assert_usable, survives_all

CASES = cases("override of ")
HOOKS = ("__delitem__", "__getitem__", "__setitem__", "__contains__", "popitem", "expire", "getsizeof")


@in_child
@pytest.mark.parametrize(("kind", "name"), CASES.values(), ids=CASES.keys())
def test_cache_survives_what_the_override_does(kind: Kind, name: str) -> None:
    survives_all(kind, name)


@in_child
@pytest.mark.parametrize(
    ("kind", "hook"),
    [(kind, hook) for kind in KINDS for hook in HOOKS if hook != "expire" or kind.timed],
    ids=str,
)
def test_override_may_drop_the_last_reference(kind: Kind, hook: str) -> None:
    holder: list[Any] = []

    def override(self: Any, *args: Any) -> Any:
        holder.clear()
        gc.collect()
        return getattr(kind.cls, hook)(*args) if hook == "getsizeof" else getattr(kind.cls, hook)(self, *args)

    subclass = type("Dropping", (kind.cls,), {hook: override})
    operations: list[Callable[[], object]] = [
        lambda: holder[0].update((number, number) for number in range(4)),
        lambda: holder[0].popitem(),
        lambda: holder[0].pop("a", None),
        lambda: holder[0].get("a"),
        lambda: holder[0].setdefault("c", 1),
        lambda: repr(holder[0]),
        lambda: len(holder[0]),
    ]
    for operation in operations:
        cache = kind.make(2, cls=subclass)
        kind.cls.__setitem__(cache, "a", 1)
        kind.cls.__setitem__(cache, "b", 2)
        holder[:] = [cache]
        del cache
        operation()


@in_child
def test_popitem_override_that_evicts_nothing_does_not_loop_for_ever(kind: Kind) -> None:
    class Idle(kind.cls):  # type: ignore[misc, name-defined]
        calls = 0

        def popitem(self) -> Any:
            self.calls += 1
            if self.calls > 1000:
                raise OverflowError("asked a thousand times")
            return None

    cache = kind.make(1, cls=Idle)
    cache["a"] = 1
    with pytest.raises(OverflowError, match="a thousand times"):
        cache["b"] = 2
    assert dict(cache.items()) == {"a": 1}
    cache._check()


@in_child
def test_popitem_override_that_stores_never_overfills(kind: Kind) -> None:
    class Restless(kind.cls):  # type: ignore[misc, name-defined]
        left = 5

        def popitem(self) -> Any:
            item = super().popitem()
            if self.left:
                self.left -= 1
                self.update((number, number) for number in range(10, 15))
            return item

    cache = kind.make(3, cls=Restless)
    for number in range(10):
        cache[number] = number
        assert len(cache) <= 3
    assert_usable(cache)


@in_child
def test_delitem_override_that_stores_the_key_again(kind: Kind) -> None:
    class Stubborn(kind.cls):  # type: ignore[misc, name-defined]
        def __delitem__(self, key: Any) -> None:
            super().__delitem__(key)
            if self.left:
                self.left -= 1
                self[key] = "again"

        left = 5

    cache = kind.make(1, cls=Stubborn)
    cache["a"] = 1
    cache["b"] = 2
    assert len(cache) == 1
    assert cache.left == 0
    cache._check()


@in_child
def test_override_that_changes_the_class_of_the_cache(kind: Kind) -> None:
    class Second(kind.cls):  # type: ignore[misc, name-defined]
        pass

    class First(kind.cls):  # type: ignore[misc, name-defined]
        def __getitem__(self, key: Any) -> Any:
            self.__class__ = Second
            return kind.cls.__getitem__(self, key)

    cache = kind.make(3, cls=First)
    cache["a"] = 1
    assert cache["a"] == 1
    assert type(cache) is Second
    assert cache["a"] == 1
    assert_usable(cache)
