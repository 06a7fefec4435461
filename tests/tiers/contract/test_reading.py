"""Reading, and the keys and values that can be read back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from overdrive import SerializationError, TieredCache
from tests.tiers.contract.conftest import Kind
from tests.tiers.contract.faces import Face

KEYS: list[Any] = [
    "text",
    "",
    "ü\n:{}*",
    b"bytes",
    0,
    -1,
    2**70,
    1.5,
    None,
    True,
    (),
    ("a", 1, (b"b", None)),
    frozenset({1, 2}),
    date(2026, 1, 2),
    datetime(2026, 1, 2, tzinfo=UTC),
    Decimal("1.50"),
    UUID(int=5),
]
VALUES: list[Any] = [
    0,
    -(2**40),
    1.5,
    "",
    "text",
    b"bytes",
    True,
    [],
    [1, [2, [3]]],
    {"a": {"b": None}},
    (1, 2),
    {1, 2},
    datetime(2026, 1, 2, tzinfo=UTC),
]


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_a_key_of_each_type_is_found_again(face: Face, key: Any) -> None:
    face.set(key, "value")
    assert face.get(key) == "value"
    face.cache.flush(10)
    face.cache.l1.clear()
    assert face.get(key) == (None if not face.cache.has_lower_tiers else "value")
    face.delete(key)
    assert face.get(key, "none") == "none"


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_of_each_type_is_the_same_from_every_tier(face: Face, value: Any) -> None:
    face.set("k", value)
    assert face.get("k") == value
    if face.cache.has_lower_tiers:
        face.cache.flush(10)
        face.cache.l1.clear()
        found = face.get("k")
        assert (type(found), found) == (type(value), value)


def test_equal_numbers_are_one_key(face: Face) -> None:
    face.set(1, "one")
    assert [face.get(1.0), face.get(True), face.get(1)] == ["one"] * 3
    face.cache.flush(10)
    face.cache.l1.clear()
    if face.cache.has_lower_tiers:
        assert [face.get(1.0), face.get(True), face.get(1)] == ["one"] * 3
    face.invalidate(True)
    assert face.get(1.0) is None
    face.set("1", "text")
    assert face.get(1) is None


def test_keys_that_cannot_be_written_are_refused_and_change_nothing(face: Face) -> None:
    for key in ([], {}, object(), ("a", object())):
        for work in (
            lambda key=key: face.get(key),
            lambda key=key: face.set(key, 1),
            lambda key=key: face.invalidate("k", key),
            lambda key=key: face.get_or_load(key, lambda _: 1),
            lambda key=key: face.get_many(["k", key]),
        ):
            with pytest.raises(TypeError):
                work()
    assert len(face.cache.l1) == 0


class HostileKey(str):
    """A text whose comparison raises, once it may."""

    __slots__ = ()
    armed = False

    def __eq__(self, other: object) -> bool:
        if type(self).armed:
            raise RuntimeError("compared")
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_key_whose_comparison_raises_leaves_the_cache_usable(face: Face) -> None:
    face.set("k", 1)
    HostileKey.armed = True
    try:
        with pytest.raises((RuntimeError, TypeError)):
            face.get(HostileKey("k"))
        with pytest.raises((RuntimeError, TypeError)):
            face.get_or_load(HostileKey("k"), lambda _: 2)
    finally:
        HostileKey.armed = False
    assert face.get("k") == 1
    assert not face.cache._flights
    assert not face.cache._task_flights


def test_get_returns_the_default(face: Face) -> None:
    marker = object()
    assert face.get("k") is None
    assert face.get("k", marker) is marker


def test_get_many_has_what_is_there_in_the_order_of_the_question(face: Face) -> None:
    face.set_many({"a": 1, "b": None, "c": 3})
    assert list(face.get_many(["c", "x", "b", "a", "c"]).items()) == [("c", 3), ("b", None), ("a", 1)]
    face.cache.flush(10)
    face.cache.l1.clear()
    expected = {"a": 1, "b": None, "c": 3} if face.cache.has_lower_tiers else {}
    assert face.get_many(iter(["a", "b", "c"])) == expected
    assert face.get_many([]) == {}


def test_a_result_says_where_it_is_from(face: Face, kind: Kind) -> None:
    assert face.get_result("k") is None
    loaded = face.get_result("k", lambda _: "value")
    assert (loaded.value, loaded.tier, loaded.stale) == ("value", "loader", False)
    again = face.get_result("k", lambda _: "other")
    assert (again.value, again.tier) == ("value", "l1")
    face.cache.flush(10)
    face.cache.l1.clear()
    lower = face.get_result("k")
    if kind.is_memory_alone:
        assert lower is None
    else:
        assert (lower.value, lower.tier) == ("value", "l2" if kind.has_redis else "l3")
        assert lower.version == loaded.version


class Unwritable:
    """No serializer takes it."""


def test_a_loaded_value_that_cannot_be_written_is_kept_in_memory_alone(face: Face, kind: Kind) -> None:
    value = Unwritable()
    calls: list[str] = []

    def load(key: str) -> Unwritable:
        calls.append(key)
        return value

    assert face.get_or_load("k", load) is value
    assert face.get_or_load("k", load) is value
    assert calls == ["k"]
    face.cache.l1.clear()
    assert face.get("k") is None
    assert kind


def test_a_value_that_cannot_be_written_is_not_set(face: Face, kind: Kind) -> None:
    face.set("k", "old")
    if kind.is_memory_alone:
        face.set("k", value := Unwritable())
        assert face.get("k") is value
        return
    with pytest.raises(SerializationError):
        face.set("k", Unwritable())
    with pytest.raises(SerializationError):
        face.set_many({"a": 1, "k": [Unwritable()]})
    assert face.get("k") == "old"
    assert face.get("a") is None
    face.set("k", value := Unwritable(), local=True)
    assert face.get("k") is value


def test_a_value_for_memory_alone_takes_the_place_of_those_below(face: Face) -> None:
    face.set("k", "old")
    face.set("k", "new", local=True)
    assert face.get("k") == "new"
    face.cache.flush(10)
    face.cache.l1.clear()
    assert face.get("k") is None
    assert face.get_or_load("k", lambda _: "loaded", local=True) == "loaded"
    face.cache.flush(10)
    face.cache.l1.clear()
    assert face.get("k") is None


def test_memory_returns_the_object_that_was_given(face: Face) -> None:
    value = [1]
    face.set("k", value)
    assert face.get("k") is value


def test_two_kinds_of_loops_and_threads_share_a_cache(make: Callable[..., TieredCache]) -> None:
    import asyncio

    cache = make()

    async def load(_key: str) -> str:
        await asyncio.sleep(0)
        return "value"

    for key in ("a", "b"):
        assert asyncio.run(cache.aget_or_load(key, load)) == "value"
        assert cache.get(key) == "value"
    cache.flush(10)
    cache.l1.clear()
    expected = "value" if cache.has_lower_tiers else None

    async def again() -> None:
        assert await cache.aget("a") == cache.get("b") == expected
        await cache.ainvalidate("a")

    asyncio.run(again())
    assert cache.get("a") is None
