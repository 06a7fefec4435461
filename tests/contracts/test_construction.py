"""Constructor arguments: what they mean, and what is refused."""

from __future__ import annotations

import decimal
import fractions
import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import TIMED_KINDS, Clock, Kind, kind_named, never, size_is_value

MakeCache = Callable[..., Any]

POSITIONAL = {
    "Cache": ("maxsize", "getsizeof"),
    "FIFOCache": ("maxsize", "getsizeof"),
    "LRUCache": ("maxsize", "getsizeof"),
    "LFUCache": ("maxsize", "getsizeof"),
    "RRCache": ("maxsize", "choice", "getsizeof"),
    "ARCCache": ("maxsize", "getsizeof"),
    "TwoQCache": ("maxsize", "getsizeof"),
    "S3FIFOCache": ("maxsize", "getsizeof"),
    "SieveCache": ("maxsize", "getsizeof"),
    "LIRSCache": ("maxsize", "getsizeof"),
    "WTinyLFUCache": ("maxsize", "getsizeof"),
    "AdaptiveCache": ("maxsize", "getsizeof"),
    "TTLCache": ("maxsize", "ttl", "timer", "getsizeof"),
    "TLRUCache": ("maxsize", "ttu", "timer", "getsizeof"),
}
ARGUMENTS: dict[str, Any] = {
    "maxsize": 5,
    "getsizeof": size_is_value,
    "choice": min,
    "ttl": 60,
    "ttu": never,
    "timer": Clock(),
}
CALLABLES = [
    (kind, name)
    for kind in map(kind_named, POSITIONAL)
    for name in POSITIONAL[kind.name]
    if name in {"getsizeof", "choice", "ttu", "timer"}
]


class Index:
    """An integer of a foreign type."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Real:
    """A real number of a foreign type."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value


def test_arguments_in_positional_order(kind: Kind) -> None:
    names = POSITIONAL[kind.name]
    cache = kind.cls(*(ARGUMENTS[name] for name in names))
    cache["a"] = 4
    assert (cache.maxsize, cache.currsize) == (5, 4)
    for name in set(names) & {"choice", "ttl", "ttu"}:
        assert getattr(cache, name) is ARGUMENTS[name]


def test_arguments_by_keyword(kind: Kind) -> None:
    cache = kind.cls(**{name: ARGUMENTS[name] for name in POSITIONAL[kind.name]})
    cache["a"] = 4
    assert (cache.maxsize, cache.currsize) == (5, 4)


def test_signature_names_the_arguments(kind: Kind) -> None:
    assert tuple(inspect.signature(kind.cls).parameters) == POSITIONAL[kind.name]


@pytest.mark.parametrize("arguments", [(), (1, 2, 3, 4, 5, 6)], ids=["none", "too many"])
def test_wrong_number_of_arguments_is_a_type_error(kind: Kind, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        kind.cls(*arguments)


def test_unknown_argument_is_a_type_error(kind: Kind) -> None:
    with pytest.raises(TypeError, match="size_limit"):
        kind.make(3, size_limit=4)


@pytest.mark.parametrize("maxsize", [-1, -0.5, -math.inf, -(2**70)], ids=repr)
def test_negative_maxsize_is_a_value_error(kind: Kind, maxsize: float) -> None:
    with pytest.raises(ValueError, match="^maxsize must be non-negative"):
        kind.make(maxsize)


@pytest.mark.parametrize("maxsize", [math.nan, decimal.Decimal("nan")], ids=repr)
def test_nan_maxsize_is_a_value_error(kind: Kind, maxsize: Any) -> None:
    with pytest.raises(ValueError, match="maxsize"):
        kind.make(maxsize)


@pytest.mark.parametrize("maxsize", ["10", None, [10], 10j, object], ids=repr)
def test_maxsize_that_is_no_number_is_a_type_error_that_shows_it(kind: Kind, maxsize: Any) -> None:
    with pytest.raises(TypeError, match="maxsize") as caught:
        kind.make(maxsize)
    assert repr(maxsize) in str(caught.value)


@pytest.mark.parametrize(
    "maxsize", [0, 3, True, 2.5, 0.0, -0.0, math.inf, 2**31, 2**62, 2**63, 2**64, 2**200, 1e300], ids=repr
)
def test_maxsize_is_given_back_as_it_came(kind: Kind, maxsize: float) -> None:
    cache = kind.make(maxsize)
    assert cache.maxsize == maxsize
    assert type(cache.maxsize) is type(maxsize)


@pytest.mark.parametrize(
    "maxsize", [Index(2), Real(2.0), decimal.Decimal(2), fractions.Fraction(2)], ids=lambda value: type(value).__name__
)
def test_maxsize_of_a_foreign_number_type_limits(kind: Kind, maxsize: Any) -> None:
    cache = kind.make(maxsize)
    cache.update({1: 1, 2: 2, 3: 3})
    assert len(cache) == 2


def test_zero_maxsize_stores_nothing(make_cache: MakeCache) -> None:
    cache = make_cache(0)
    with pytest.raises(ValueError, match="^value too large$"):
        cache["a"] = 1
    assert len(cache) == 0
    assert "a" not in cache


def test_maxsize_below_one_holds_no_unit_item(make_cache: MakeCache) -> None:
    with pytest.raises(ValueError, match="^value too large$"):
        make_cache(0.5)["a"] = 1


def test_fractional_maxsize_holds_whole_items(make_cache: MakeCache) -> None:
    cache = make_cache(2.5)
    cache.update({1: 1, 2: 2, 3: 3})
    assert len(cache) == 2


def test_infinite_maxsize_never_evicts(make_cache: MakeCache) -> None:
    cache = make_cache(math.inf)
    cache.update((number, number) for number in range(5000))
    assert len(cache) == cache.currsize == 5000


def test_huge_maxsize_reserves_nothing(make_cache: MakeCache) -> None:
    cache = make_cache(2**62)
    cache["a"] = 1
    assert cache.__sizeof__() < 100_000


@pytest.mark.parametrize(("kind", "name"), CALLABLES, ids=[f"{kind}-{name}" for kind, name in CALLABLES])
def test_argument_that_must_be_callable_is_named(kind: Kind, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        kind.make(3, **{name: 42})


def test_getsizeof_none_means_unit_sizes(make_cache: MakeCache) -> None:
    cache = make_cache(3, getsizeof=None)
    cache["a"] = 10
    assert cache.currsize == 1


def test_getsizeof_attribute_gives_the_argument(make_cache: MakeCache) -> None:
    assert make_cache(3, getsizeof=size_is_value).getsizeof(7) == 7
    assert make_cache(3).getsizeof(7) == 1
    assert make_cache(3).getsizeof(value=7) == 1


@pytest.mark.parametrize("kind", TIMED_KINDS, ids=repr)
def test_default_timer_is_the_monotonic_clock(kind: Kind) -> None:
    import time

    cache = kind.make(3)
    before = time.monotonic()
    assert before <= cache.timer() <= time.monotonic()


def test_nan_ttl_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="ttl"):
        kind_named("TTLCache").make(3, ttl=math.nan)


def test_default_choice_is_random() -> None:
    import random

    assert kind_named("RRCache").make(3).choice == random.choice


def test_second_init_starts_over(make_cache: MakeCache, kind: Kind) -> None:
    cache = make_cache(3)
    cache.update(a=1, b=2)
    cache.label = "kept"
    cache.__init__(maxsize=5, **kind.required)
    assert (len(cache), cache.currsize, cache.maxsize, cache.label) == (0, 0, 5, "kept")
    cache["c"] = 3
    assert list(cache) == ["c"]


@pytest.mark.parametrize("bad", [-1, "x", math.nan], ids=repr)
def test_second_init_that_fails_keeps_the_cache(make_cache: MakeCache, kind: Kind, bad: Any) -> None:
    cache = make_cache(3)
    cache["a"] = 1
    with pytest.raises((TypeError, ValueError)):
        cache.__init__(maxsize=bad, **kind.required)
    assert cache.maxsize == 3
    assert cache["a"] == 1


def test_init_returns_none(make_cache: MakeCache, kind: Kind) -> None:
    assert make_cache().__init__(3, *kind.required.values()) is None
