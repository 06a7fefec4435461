"""Subclasses: any constructor, any bases, and overrides that take part in what the cache does."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pytest

from tests.contracts.kinds import Kind

K = TypeVar("K")
V = TypeVar("V")


def subclass(kind: Kind, **body: Any) -> Any:
    """Return a subclass of the class under test."""
    return type("Mine", (kind.cls,), body)


def test_plain_subclass_behaves_as_its_base(kind: Kind) -> None:
    cache = kind.make(2, cls=subclass(kind))
    cache.update({1: 1, 2: 2, 3: 3})
    assert len(cache) == 2
    assert 3 in cache
    cache._check()


def test_constructor_may_take_anything(kind: Kind) -> None:
    class Named(kind.cls):  # type: ignore[misc, name-defined]
        def __init__(self, name: str, *args: Any, flavour: str = "plain") -> None:
            kind.cls.__init__(self, 3, **kind.required)
            self.name = name
            self.rest = args
            self.flavour = flavour

    cache = Named("n", 1, "x", flavour="spicy")
    cache["a"] = 1
    assert (cache.name, cache.rest, cache.flavour, cache.maxsize, cache["a"]) == ("n", (1, "x"), "spicy", 3, 1)


def test_constructor_may_run_code_before_the_base(kind: Kind) -> None:
    class Late(kind.cls):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.early = True
            super().__init__(3, **kind.required)

    assert Late().early


def test_constructor_may_fill_the_cache(kind: Kind) -> None:
    class Filled(kind.cls):  # type: ignore[misc, name-defined]
        def __init__(self, items: dict[Any, Any]) -> None:
            super().__init__(len(items), **kind.required)
            self.update(items)

    assert dict(Filled({"a": 1, "b": 2}).items()) == {"a": 1, "b": 2}


def test_subclass_may_have_its_own_new(kind: Kind) -> None:
    class Counted(kind.cls):  # type: ignore[misc, name-defined]
        made = 0

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            cls.made += 1
            return super().__new__(cls, *args, **kwargs)

    kind.make(3, cls=Counted)
    kind.make(3, cls=Counted)
    assert Counted.made == 2


def test_mixin_before_the_cache(kind: Kind) -> None:
    class Counting:
        hits = 0

        def __getitem__(self, key: Any) -> Any:
            self.hits += 1
            return super().__getitem__(key)  # type: ignore[misc]

    class Mine(Counting, kind.cls):  # type: ignore[misc, name-defined]
        pass

    cache = kind.make(3, cls=Mine)
    cache["a"] = 1
    assert cache["a"] == 1
    assert cache.get("a") == 1
    assert cache.hits == 2


def test_mixin_after_the_cache(kind: Kind) -> None:
    class Named:
        def name(self) -> str:
            return f"cache of {len(self)}"  # type: ignore[arg-type]

    class Mine(kind.cls, Named):  # type: ignore[misc, name-defined]
        pass

    cache = kind.make(3, cls=Mine)
    cache["a"] = 1
    assert cache.name() == "cache of 1"


def test_generic_subclass(kind: Kind) -> None:
    class Typed(kind.cls, Generic[K, V]):  # type: ignore[misc, name-defined]
        pass

    cache = kind.make(3, cls=Typed[str, int])
    cache["a"] = 1
    assert type(cache) is Typed
    assert cache["a"] == 1


def test_slots_in_a_subclass(kind: Kind) -> None:
    cache = kind.make(3, cls=subclass(kind, __slots__=("label",)))
    cache.label = "mine"
    cache["a"] = 1
    assert (cache.label, cache["a"]) == ("mine", 1)


def test_subclass_of_a_subclass(kind: Kind) -> None:
    calls: list[str] = []

    class First(kind.cls):  # type: ignore[misc, name-defined]
        def __setitem__(self, key: Any, value: Any) -> None:
            calls.append("first")
            super().__setitem__(key, value)

    class Second(First):
        def __setitem__(self, key: Any, value: Any) -> None:
            calls.append("second")
            super().__setitem__(key, value)

    class Third(Second):
        pass

    cache = kind.make(3, cls=Third)
    cache.setdefault("a", 1)
    cache.update(b=2)
    assert calls == ["second", "first"] * 2


def test_popitem_override_sees_every_eviction(kind: Kind) -> None:
    evicted: list[Any] = []

    class Watched(kind.cls):  # type: ignore[misc, name-defined]
        def popitem(self) -> Any:
            item = super().popitem()
            evicted.append(item)
            return item

    cache = kind.make(2, cls=Watched)
    cache.update({number: number for number in range(5)})
    assert len(evicted) == 3
    assert {key for key, _ in evicted} | set(cache) == set(range(5))


def test_popitem_override_may_choose_the_victim(kind: Kind) -> None:
    class Youngest(kind.cls):  # type: ignore[misc, name-defined]
        def popitem(self) -> Any:
            key = max(self)
            return key, self.pop(key)

    cache = kind.make(3, cls=Youngest)
    for number in (5, 1, 9, 2, 7):
        cache[number] = number
    assert set(cache) == {1, 2, 7}


def test_delitem_override_sees_evictions_pops_and_deletions(kind: Kind) -> None:
    deleted: list[Any] = []

    class Watched(kind.cls):  # type: ignore[misc, name-defined]
        def __delitem__(self, key: Any) -> None:
            deleted.append(key)
            super().__delitem__(key)

    cache = kind.make(2, cls=Watched)
    cache.update({1: 1, 2: 2, 3: 3})
    assert len(deleted) == 1
    remaining = sorted(cache)
    del cache[remaining[0]]
    cache.pop(remaining[1])
    assert deleted[1:] == remaining


def test_contains_override_decides_get_pop_and_setdefault(kind: Kind) -> None:
    class Blind(kind.cls):  # type: ignore[misc, name-defined]
        def __contains__(self, key: object) -> bool:
            return False

    cache = kind.make(3, cls=Blind)
    cache["a"] = 1
    assert cache["a"] == 1
    assert cache.get("a", 2) == 2
    assert cache.pop("a", 2) == 2
    assert cache.setdefault("a", 3) == 3
    assert cache["a"] == 3


def test_getitem_override_answers_get_pop_and_setdefault(kind: Kind) -> None:
    class Doubling(kind.cls):  # type: ignore[misc, name-defined]
        def __getitem__(self, key: Any) -> Any:
            return super().__getitem__(key) * 2

    cache = kind.make(3, cls=Doubling)
    cache["a"] = 1
    assert (cache["a"], cache.get("a"), cache.setdefault("a", 9), cache.pop("a")) == (2, 2, 2, 2)


def test_setitem_override_that_raises_leaves_the_cache(kind: Kind) -> None:
    class ReadOnly(kind.cls):  # type: ignore[misc, name-defined]
        def __setitem__(self, key: Any, value: Any) -> None:
            raise ZeroDivisionError("read-only")

    cache = kind.make(3, cls=ReadOnly)
    for operation in (
        lambda: operator.setitem(cache, "a", 1),
        lambda: cache.setdefault("a", 1),
        lambda: cache.update(a=1),
    ):
        with pytest.raises(ZeroDivisionError, match="read-only"):
            operation()
    assert len(cache) == 0


def test_popitem_override_that_raises_stops_the_insertion(kind: Kind) -> None:
    class Refusing(kind.cls):  # type: ignore[misc, name-defined]
        def popitem(self) -> Any:
            raise ZeroDivisionError("no eviction")

    cache = kind.make(1, cls=Refusing)
    cache["a"] = 1
    with pytest.raises(ZeroDivisionError, match="no eviction"):
        cache["b"] = 2
    assert dict(cache.items()) == {"a": 1}
    cache._check()


def test_missing_that_stores(kind: Kind) -> None:
    calls: list[Any] = []

    class Loading(kind.cls):  # type: ignore[misc, name-defined]
        def __missing__(self, key: Any) -> Any:
            calls.append(key)
            self[key] = key * 2
            return self[key]

    cache = kind.make(3, cls=Loading)
    assert [cache[2], cache[2]] == [4, 4]
    assert calls == [2]


def test_missing_that_raises_its_own_error(kind: Kind) -> None:
    class Strict(kind.cls):  # type: ignore[misc, name-defined]
        def __missing__(self, key: Any) -> Any:
            raise LookupError("no such key")

    with pytest.raises(LookupError, match="no such key"):
        kind.make(3, cls=Strict)["a"]


def test_expire_override_is_called_by_whatever_expires(timed_kind: Kind) -> None:
    calls: list[Any] = []

    class Watched(timed_kind.cls):  # type: ignore[misc, name-defined]
        def expire(self, time: Any = None) -> Any:
            calls.append(time)
            return super().expire(time)

    cache = timed_kind.make_short_lived(3, cls=Watched)
    operations: list[Callable[[], object]] = [
        lambda: operator.setitem(cache, "a", 1),
        lambda: len(cache),
        lambda: repr(cache),
        lambda: cache.currsize,
        lambda: cache.popitem(),
    ]
    for operation in operations:
        calls.clear()
        operation()
        assert calls
        assert set(calls) == {0}


def test_dict_of_the_subclass_is_its_own(kind: Kind) -> None:
    mine = subclass(kind, label="class")
    first, second = kind.make(3, cls=mine), kind.make(3, cls=mine)
    first.label = "instance"
    assert (first.label, second.label) == ("instance", "class")


def test_calling_the_base_method_does_not_touch(kind: Kind) -> None:
    from overdrive import Cache

    cache = kind.make(3)
    cache["a"] = 1
    assert Cache.__getitem__(cache, "a") == 1
    with pytest.raises(KeyError):
        Cache.__getitem__(cache, "b")


def test_methods_refuse_foreign_objects(kind: Kind) -> None:
    for foreign in ({}, [], None, object()):
        with pytest.raises(TypeError):
            kind.cls.__getitem__(foreign, "a")
        with pytest.raises(TypeError):
            kind.cls.__len__(foreign)


def test_class_is_named_in_the_package(kind: Kind) -> None:
    assert kind.cls.__module__ == "overdrive"
    assert kind.cls.__qualname__ == kind.name
    assert kind.cls.__doc__


def test_all_classes_derive_from_cache(kind: Kind) -> None:
    from overdrive import Cache

    assert issubclass(kind.cls, Cache)
