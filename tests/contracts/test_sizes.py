"""Weighing values: `getsizeof`, `maxsize` and `currsize`."""

from __future__ import annotations

import decimal
import fractions
import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import Kind, size_is_value

MakeCache = Callable[..., Any]


@pytest.fixture
def make_weighed(make_cache: MakeCache) -> MakeCache:
    """Build caches whose values are their own sizes."""
    return lambda *args, **arguments: make_cache(*args, getsizeof=size_is_value, **arguments)


def test_currsize_is_the_sum_of_the_sizes(make_weighed: MakeCache) -> None:
    cache = make_weighed(10)
    cache.update(a=3, b=4)
    assert cache.currsize == 7
    del cache["a"]
    assert cache.currsize == 4
    cache.clear()
    assert cache.currsize == 0


def test_evicts_until_the_new_value_fits(make_weighed: MakeCache) -> None:
    cache = make_weighed(10)
    cache.update(a=3, b=3, c=3)
    cache["d"] = 10
    assert dict(cache.items()) == {"d": 10}


def test_value_too_large_changes_nothing(make_weighed: MakeCache) -> None:
    cache = make_weighed(10)
    cache.update(a=3, b=4)
    for key in ("a", "new"):
        with pytest.raises(ValueError, match="^value too large$"):
            cache[key] = 11
    assert dict(cache.items()) == {"a": 3, "b": 4}
    assert cache.currsize == 7


def test_negative_size_changes_nothing(make_weighed: MakeCache) -> None:
    cache = make_weighed(10)
    cache["a"] = 3
    for key in ("a", "new"):
        with pytest.raises(ValueError, match="^value size must be non-negative$"):
            cache[key] = -1
    assert dict(cache.items()) == {"a": 3}


def test_nan_size_changes_nothing(make_weighed: MakeCache) -> None:
    cache = make_weighed(10)
    cache["a"] = 3
    for key in ("a", "new"):
        with pytest.raises(ValueError, match="size"):
            cache[key] = math.nan
    assert dict(cache.items()) == {"a": 3}


def test_size_that_is_no_number_is_a_type_error(make_weighed: MakeCache) -> None:
    cache = make_weighed(10)
    cache["a"] = 3
    sizes: tuple[Any, ...] = ("1", None, [], 1j)
    for size in sizes:
        with pytest.raises(TypeError):
            cache["a"] = size
    assert dict(cache.items()) == {"a": 3}


def test_error_of_getsizeof_passes_through_and_changes_nothing(make_cache: MakeCache) -> None:
    def getsizeof(value: Any) -> int:
        if value == "bad":
            raise ZeroDivisionError("weighing")
        return 1

    cache = make_cache(3, getsizeof=getsizeof)
    cache["a"] = "good"
    for key in ("a", "new"):
        with pytest.raises(ZeroDivisionError, match="weighing"):
            cache[key] = "bad"
    assert dict(cache.items()) == {"a": "good"}
    assert cache.currsize == 1


def test_zero_sizes_are_never_evicted_for_room(make_weighed: MakeCache) -> None:
    cache = make_weighed(1)
    cache.update(dict.fromkeys(range(50), 0))
    assert (len(cache), cache.currsize) == (50, 0)


def test_zero_maxsize_holds_values_of_no_size(make_weighed: MakeCache) -> None:
    cache = make_weighed(0)
    cache["a"] = 0
    assert cache["a"] == 0
    with pytest.raises(ValueError, match="^value too large$"):
        cache["b"] = 1


def test_replacing_reserves_only_the_difference(make_weighed: MakeCache) -> None:
    cache = make_weighed(10)
    cache.update(a=3, b=4)
    cache["b"] = 7
    assert dict(cache.items()) == {"a": 3, "b": 7}


@pytest.mark.parametrize(
    ("sizes", "total"),
    [((1, 2), "3"), ((1, 0.5), "1.5"), ((0.5, 0.25), "0.75"), ((1.0, 1), "2.0"), ((True, True), "2")],
    ids=repr,
)
def test_type_of_currsize_follows_the_sizes(make_weighed: MakeCache, sizes: tuple[float, float], total: str) -> None:
    cache = make_weighed(10)
    cache["a"], cache["b"] = sizes
    assert repr(cache.currsize) == total


def test_currsize_of_unit_sizes_is_an_int_under_any_maxsize(make_cache: MakeCache) -> None:
    for maxsize in (8, 8.0, math.inf):
        cache = make_cache(maxsize)
        cache["a"] = 1
        assert type(cache.currsize) is int
        assert type(cache.maxsize) is type(maxsize)


def test_float_sizes_limit_exactly(make_weighed: MakeCache) -> None:
    cache = make_weighed(1.0)
    cache.update(a=0.5, b=0.25, c=0.25)
    assert len(cache) == 3
    cache["d"] = 0.25
    assert cache.currsize <= 1.0
    assert "d" in cache


def test_integer_sizes_are_exact(make_weighed: MakeCache) -> None:
    cache = make_weighed(2**62)
    cache["a"] = 2**61
    cache["b"] = 2**61 - 1
    assert cache.currsize == 2**62 - 1
    cache["c"] = 1
    assert len(cache) == 3
    cache["d"] = 1
    assert cache.currsize <= 2**62
    assert len(cache) < 4


def test_sizes_beyond_64_bits(make_weighed: MakeCache) -> None:
    cache = make_weighed(2**70)
    cache["a"] = 2**69
    cache["b"] = 2**69
    assert cache.currsize == 2**70
    cache["c"] = 2**69
    assert len(cache) == 2
    with pytest.raises(ValueError, match="^value too large$"):
        cache["d"] = 2**71


@pytest.mark.parametrize("size", [decimal.Decimal(2), fractions.Fraction(2)], ids=repr)
def test_sizes_of_foreign_number_types(make_weighed: MakeCache, size: Any) -> None:
    cache = make_weighed(5)
    cache.update(a=size, b=size, c=size)
    assert len(cache) == 2
    assert cache.currsize == 4


def test_getsizeof_is_called_once_with_the_value(make_cache: MakeCache) -> None:
    calls: list[Any] = []

    def getsizeof(*args: Any) -> int:
        calls.append(args)
        return 1

    cache = make_cache(5, getsizeof=getsizeof)
    cache["a"] = "value"
    assert calls == [("value",)]
    cache["a"] = "other"
    assert calls == [("value",), ("other",)]


def test_getsizeof_is_not_called_to_read_or_remove(make_cache: MakeCache) -> None:
    calls: list[Any] = []

    def getsizeof(value: Any) -> int:
        calls.append(value)
        return 1

    cache = make_cache(5, getsizeof=getsizeof)
    cache.update(a=1, b=2, c=3)
    calls.clear()
    cache["a"], cache.get("b"), cache.setdefault("c", 9), cache.pop("a"), cache.popitem(), len(cache), cache.currsize
    del cache[next(iter(cache))]
    assert calls == []


def test_sizes_are_remembered_not_asked_again(make_cache: MakeCache) -> None:
    size = 1
    cache = make_cache(10, getsizeof=lambda value: size)
    cache["a"] = 1
    size = 5
    assert cache.currsize == 1
    cache["b"] = 1
    assert cache.currsize == 6
    del cache["a"]
    assert cache.currsize == 5


def test_getsizeof_method_of_a_subclass(kind: Kind, make_cache: MakeCache) -> None:
    class Weighing(kind.cls):  # type: ignore[misc, name-defined]
        def getsizeof(self, value: int) -> int:
            return value * self.factor

        factor = 2

    cache = make_cache(10, cls=Weighing)
    cache["a"] = 3
    assert cache.currsize == 6


def test_getsizeof_argument_wins_over_the_method(kind: Kind, make_cache: MakeCache) -> None:
    class Weighing(kind.cls):  # type: ignore[misc, name-defined]
        def getsizeof(self, value: int) -> int:
            return 9

    cache = make_cache(10, cls=Weighing, getsizeof=size_is_value)
    cache["a"] = 3
    assert cache.currsize == 3
