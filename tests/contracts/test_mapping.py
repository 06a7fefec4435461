"""A cache is a mutable mapping, of every class alike."""

from __future__ import annotations

import collections.abc
import operator
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import Kind
from tests.identifiers import shown

MakeCache = Callable[..., Any]


class Unequal:
    """Raises whenever it is compared."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError("compared")


def test_is_a_mutable_mapping(make_cache: MakeCache) -> None:
    cache = make_cache()
    assert isinstance(cache, collections.abc.MutableMapping)
    assert issubclass(type(cache), collections.abc.Mapping)


def test_matches_mapping_patterns(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache["a"] = 1
    match cache:
        case {"b": _}:
            matched = None
        case {"a": value}:
            matched = value
    assert matched == 1


def test_mapping_pattern_collects_the_rest(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache.update(a=1, b=2)
    match cache:
        case {"a": 1, **rest}:
            assert rest == {"b": 2}
        case _:
            pytest.fail("did not match")


def test_stores_and_returns_the_very_objects(make_cache: MakeCache) -> None:
    cache, key, value = make_cache(), ("key",), object()
    cache[key] = value
    assert cache[key] is value
    assert next(iter(cache)) is key


def test_keeps_the_first_of_equal_keys(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache[1] = "int"
    cache[1.0] = "float"
    cache[True] = "bool"
    assert len(cache) == 1
    assert cache[1] == "bool"
    assert repr(cache).startswith(f"{type(cache).__name__}({{1: 'bool'}}, ")


def test_missing_key_error_carries_the_key(make_cache: MakeCache) -> None:
    cache, key = make_cache(), ("absent", 1)
    for operation in (lambda: cache[key], lambda: cache.pop(key), lambda: operator.delitem(cache, key)):
        with pytest.raises(KeyError) as caught:
            operation()
        assert caught.value.args == (key,)
        assert caught.value.args[0] is key


def test_popitem_of_an_empty_cache_names_the_class(kind: Kind, make_cache: MakeCache) -> None:
    with pytest.raises(KeyError) as caught:
        make_cache().popitem()
    assert caught.value.args == (() if kind.name == "Cache" else (f"{kind.name} is empty",))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_popitem_of_an_empty_subclass_names_the_subclass(kind: Kind, make_cache: MakeCache) -> None:
    subclass = type("Mine", (kind.cls,), {})
    with pytest.raises(KeyError) as caught:
        make_cache(cls=subclass).popitem()
    assert caught.value.args == (() if kind.name == "Cache" else ("Mine is empty",))


@pytest.mark.parametrize("key", [[], {}, set(), (1, [])], ids=shown)
def test_unhashable_key_is_a_type_error_and_changes_nothing(make_cache: MakeCache, key: Any) -> None:
    cache = make_cache()
    cache["a"] = 1
    operations: list[Callable[[], object]] = [
        lambda: cache[key],
        lambda: operator.setitem(cache, key, 1),
        lambda: operator.delitem(cache, key),
        lambda: key in cache,
        lambda: cache.get(key),
        lambda: cache.pop(key, None),
        lambda: cache.setdefault(key, 1),
        lambda: cache.update([(key, 1)]),
    ]
    for operation in operations:
        with pytest.raises(TypeError, match="unhashable"):
            operation()
    assert dict(cache.items()) == {"a": 1}
    assert cache.currsize == 1


def test_get_and_pop_and_setdefault_name_their_arguments(make_cache: MakeCache) -> None:
    cache = make_cache()
    assert cache.get(key="a", default=1) == 1
    assert cache.get("a", default=2) == 2
    assert cache.setdefault(key="a", default=3) == 3
    assert cache.get(key="a") == 3
    assert cache.pop(key="a", default=4) == 3
    assert cache.pop("a", default=5) == 5


def test_wrong_number_of_arguments_is_a_type_error(make_cache: MakeCache) -> None:
    cache = make_cache()
    operations: list[Callable[[], object]] = [
        cache.get,
        cache.pop,
        cache.setdefault,
        lambda: cache.get(1, 2, 3),
        lambda: cache.pop(1, 2, 3),
        lambda: cache.setdefault(1, 2, 3),
        lambda: cache.get(1, other=2),
        lambda: cache.get(1, key=1),
        lambda: cache.popitem(1),
        lambda: cache.clear(1),
        lambda: cache.update(1, 2),
    ]
    for operation in operations:
        with pytest.raises(TypeError):
            operation()
    assert len(cache) == 0


def test_pop_default_none_is_a_default(make_cache: MakeCache) -> None:
    assert make_cache().pop("a", None) is None


def test_update_takes_what_dict_takes(make_cache: MakeCache) -> None:
    cache = make_cache(20)
    cache.update({"a": 1}, b=2)
    cache.update([("c", 3)], d=4)
    cache.update(iter([("e", 5)]))
    cache.update(f=6)
    cache.update()
    assert dict(cache.items()) == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}


def test_update_takes_anything_with_keys(make_cache: MakeCache) -> None:
    class Lookup:
        def keys(self) -> list[str]:
            return ["a", "b"]

        def __getitem__(self, key: str) -> str:
            return key * 2

    cache = make_cache()
    cache.update(Lookup())
    assert dict(cache.items()) == {"a": "aa", "b": "bb"}


def test_update_accepts_keys_named_self_and_other(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache.update(self=1, other=2)
    assert dict(cache.items()) == {"self": 1, "other": 2}


def test_update_keeps_what_it_stored_before_an_error(make_cache: MakeCache) -> None:
    cache = make_cache()
    with pytest.raises(ValueError, match="unpack"):
        cache.update([("a", 1), ("b",), ("c", 3)])
    assert dict(cache.items()) == {"a": 1}


def test_equals_any_mapping_of_the_same_items(kind: Kind, make_cache: MakeCache) -> None:
    cache, other = make_cache(4), make_cache(9)
    cache.update(a=1, b=2)
    other.update(b=2, a=1)
    assert cache == other
    assert cache == {"a": 1, "b": 2}
    assert cache == {"a": 1, "b": 2}
    other["b"] = 3
    assert cache != other
    assert cache != {"a": 1}


@pytest.mark.parametrize("other", [None, 0, [], [("a", 1)], "a", object(), {"a"}], ids=shown)
def test_never_equals_what_is_no_mapping(make_cache: MakeCache, other: object) -> None:
    cache = make_cache()
    cache["a"] = 1
    assert cache != other
    assert not cache == other  # noqa: SIM201 - both operators are under test
    assert cache.__eq__(other) is NotImplemented


def test_equality_asks_the_other_operand(make_cache: MakeCache) -> None:
    class Anything:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    assert make_cache() == Anything()


def test_equality_passes_on_what_a_value_raises(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache["a"] = Unequal()
    with pytest.raises(ZeroDivisionError, match="compared"):
        cache == {"a": 1}  # noqa: B015 - the comparison is the operation under test


def test_ordering_is_undefined(make_cache: MakeCache) -> None:
    with pytest.raises(TypeError, match="not supported between instances"):
        make_cache() < make_cache()  # noqa: B015 - the comparison is the operation under test


def test_is_unhashable(kind: Kind, make_cache: MakeCache) -> None:
    with pytest.raises(TypeError, match=rf"unhashable type: '(overdrive\.)?{kind.name}'"):
        hash(make_cache())
    assert kind.cls.__hash__ is None


def test_cannot_be_reversed(kind: Kind, make_cache: MakeCache) -> None:
    with pytest.raises(TypeError, match=rf"'(overdrive\.)?{kind.name}' object is not reversible"):
        reversed(make_cache())


def test_has_no_union_operator(make_cache: MakeCache) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        make_cache() | {}


def test_truth_is_having_items(make_cache: MakeCache) -> None:
    cache = make_cache()
    assert not cache
    cache["a"] = 0
    assert cache


def test_repr_shows_items_and_sizes(kind: Kind, make_cache: MakeCache) -> None:
    cache = make_cache(7)
    assert repr(cache) == f"{kind.name}({{}}, maxsize=7, currsize=0)"
    cache.update(a=1, b=[])
    assert repr(cache) == f"{kind.name}({{'a': 1, 'b': []}}, maxsize=7, currsize=2)"


def test_repr_of_a_subclass_names_the_subclass(kind: Kind, make_cache: MakeCache) -> None:
    subclass = type("Mine", (kind.cls,), {})
    assert repr(make_cache(cls=subclass)) == "Mine({}, maxsize=8, currsize=0)"


def test_repr_of_a_cache_that_contains_itself_ends(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache["self"] = cache
    cache["list"] = [cache]
    assert repr(cache).count("...") == 2
    cache.clear()


def test_repr_passes_on_what_a_value_raises(make_cache: MakeCache) -> None:
    class Unprintable:
        def __repr__(self) -> str:
            raise ZeroDivisionError("printed")

    cache = make_cache()
    cache["a"] = Unprintable()
    with pytest.raises(ZeroDivisionError, match="printed"):
        repr(cache)
    cache["a"] = 1
    assert "'a': 1" in repr(cache)


def test_can_be_referenced_weakly(make_cache: MakeCache, kind: Kind) -> None:
    cache = kind.make()
    reference = weakref.ref(cache)
    assert reference() is cache
    del cache
    assert reference() is None


def test_takes_attributes(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache.label = "mine"
    assert cache.label == "mine"
    assert cache.__dict__["label"] == "mine"
    assert vars(cache)["label"] == "mine"
    del cache.label
    assert not hasattr(cache, "label")


def test_sizes_cannot_be_assigned(make_cache: MakeCache) -> None:
    cache = make_cache(3)
    for name in ("maxsize", "currsize"):
        with pytest.raises(AttributeError):
            setattr(cache, name, 1)
    assert (cache.maxsize, cache.currsize) == (3, 0)


def test_class_can_be_subscripted(kind: Kind) -> None:
    parameters = (int, str, float) if kind.timed else (int, str)
    alias = kind.cls[parameters]
    assert alias.__origin__ is kind.cls
    assert alias.__args__ == parameters


def test_subscripted_class_builds_caches(kind: Kind) -> None:
    parameters = (int, str, float) if kind.timed else (int, str)
    cache = kind.make(cls=kind.cls[parameters])
    assert type(cache) is kind.cls


def test_clear_empties(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache.update(a=1, b=2)
    assert cache.clear() is None
    assert (len(cache), cache.currsize, list(cache), "a" in cache) == (0, 0, [], False)


def test_missing_answers_only_for_subscription(kind: Kind, make_cache: MakeCache) -> None:
    class Computing(kind.cls):  # type: ignore[misc, name-defined]
        def __missing__(self, key: object) -> object:
            return ("computed", key)

    cache = make_cache(cls=Computing)
    assert cache["a"] == ("computed", "a")
    assert cache.get("a") is None
    assert cache.pop("a", 1) == 1
    assert "a" not in cache
    with pytest.raises(KeyError):
        cache.pop("a")
    assert cache.setdefault("a", 2) == 2


def test_base_missing_raises_key_error(make_cache: MakeCache) -> None:
    with pytest.raises(KeyError) as caught:
        make_cache().__missing__("key")
    assert caught.value.args == ("key",)
