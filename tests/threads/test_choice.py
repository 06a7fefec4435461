"""Eviction by a choice function of the user, while other threads take away what it chose from."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import KINDS
from tests.threads.hammer import hammer, run_threads, switching_often

RANDOM = KINDS[4]
STEPS = 1500
MAXSIZE = 6


def by_index(keys: Any) -> Any:
    """Count the keys, then take one: some may be gone in between."""
    return keys[random.randrange(len(keys))]


def last_of_a_copy(keys: Any) -> Any:
    """Copy the keys, then take one: it may be gone by then."""
    return list(keys)[-1]


def largest(keys: Any) -> Any:
    """Look at all keys."""
    return max(keys)


class Generator(random.Random):
    """A generator whose `choice` is not drawn natively."""


CHOICES: dict[str, Callable[[Any], Any]] = {
    "by index": by_index,
    "last of a copy": last_of_a_copy,
    "largest": largest,
    "first": lambda keys: keys[0],
    "last": lambda keys: keys[-1],
    "random.choice": random.choice,
    "own generator": random.Random(1).choice,
    "own class of generator": Generator(1).choice,
}


@pytest.mark.parametrize("choice", CHOICES)
def test_no_error_of_the_choice_escapes(choice: str) -> None:
    cache = RANDOM.make(MAXSIZE, choice=CHOICES[choice])

    def work(number: int) -> None:
        for step in range(STEPS):
            cache[number * STEPS + step] = step
            assert len(cache) <= MAXSIZE
            if step % 3 == 0:
                cache.pop(number * STEPS + step, None)

    with switching_often():
        run_threads(work)
    cache._check()


@pytest.mark.parametrize("choice", CHOICES)
def test_everything_at_once(choice: str) -> None:
    # When another thread clears the cache there may be nothing to choose from.
    with switching_often():
        hammer(RANDOM.make(20, choice=CHOICES[choice]), tolerated=(KeyError, ValueError))


def test_cache_that_another_thread_clears_during_the_choice_has_room() -> None:
    def choose_late(keys: Any) -> Any:
        chosen = keys[0]
        run_threads(lambda number: cache.clear(), count=1)
        return chosen

    cache = RANDOM.make(2, choice=choose_late)
    cache.update(a=1, b=2)
    cache["c"] = 3
    assert dict(cache) == {"c": 3}


def test_choice_that_is_wrong_in_itself_stays_an_error() -> None:
    cache = RANDOM.make(MAXSIZE, choice=lambda keys: keys[len(keys)])
    cache.update((number, number) for number in range(MAXSIZE))
    with pytest.raises(IndexError):
        cache["new"] = 1
    assert len(cache) == MAXSIZE
    cache._check()
