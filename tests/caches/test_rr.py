"""RRCache: evicts what `choice` picks from the list of keys."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import cachetools
import pytest

from overdrive import RRCache


def test_choice_may_be_min_or_max() -> None:
    for choice, left in ((min, {2, 3, 4}), (max, {1, 2, 4})):
        cache: RRCache[int, int] = RRCache(3, choice)
        cache.update({1: 1, 2: 2, 3: 3, 4: 4})
        assert set(cache) == left
        assert cache.choice is choice


def test_draws_what_cachetools_draws() -> None:
    remaining = []
    for cls in (cachetools.RRCache, RRCache):
        cache: Any = cls(10)
        random.seed(1)
        for number in range(200):
            cache[number] = number
            cache.pop(number - 5, None)
        remaining.append((list(cache), random.random()))
    assert remaining[0] == remaining[1]


def test_choice_gets_a_sequence_of_the_keys() -> None:
    seen: list[tuple[Any, ...]] = []

    def choice(keys: Sequence[str]) -> str:
        seen.append((list(keys), len(keys), keys[0], keys[-1], "b" in keys, isinstance(keys, Sequence)))
        return keys[1]

    cache: RRCache[str, int] = RRCache(3, choice)
    cache.update(a=1, b=2, c=3)
    assert cache.popitem() == ("b", 2)
    assert seen == [(["a", "b", "c"], 3, "a", "c", True, True)]
    with pytest.raises(IndexError):
        RRCache[str, int](1, lambda keys: keys[7]).update(a=1, b=2)


def test_choice_of_an_absent_key_is_a_key_error_and_changes_nothing() -> None:
    cache: RRCache[str, int] = RRCache(2, lambda keys: "absent")
    cache.update(a=1, b=2)
    with pytest.raises(KeyError, match="absent"):
        cache["c"] = 3
    assert dict(cache.items()) == {"a": 1, "b": 2}
    cache._check()


def test_choice_that_raises_changes_nothing() -> None:
    def choice(keys: Sequence[str]) -> str:
        raise ZeroDivisionError("undecided")

    cache: RRCache[str, int] = RRCache(2, choice)
    cache.update(a=1, b=2)
    for operation in (cache.popitem, lambda: cache.update(c=3)):
        with pytest.raises(ZeroDivisionError, match="undecided"):
            operation()
    assert dict(cache.items()) == {"a": 1, "b": 2}


def test_choice_is_not_asked_while_there_is_room() -> None:
    def choice(keys: Sequence[int]) -> int:
        raise AssertionError("asked")

    cache: RRCache[int, int] = RRCache(3, choice)
    cache.update({1: 1, 2: 2, 3: 3})
    cache[1] = 4
    del cache[2]
    cache[5] = 5
    assert len(cache) == 3


def test_choice_may_pick_an_equal_key() -> None:
    cache: RRCache[float, str] = RRCache(2, lambda keys: 1.0)
    cache.update({1: "a", 2: "b"})
    cache[3] = "c"
    assert set(cache) == {2, 3}


def test_seeded_generator_as_choice() -> None:
    caches: list[Any] = [cls(5, random.Random(3).choice) for cls in (cachetools.RRCache, RRCache)]
    for cache in caches:
        cache.update((number, number) for number in range(50))
    assert list(caches[0]) == list(caches[1])
