"""Eight threads on one `MemoryCache`, with everything that it has."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest

from overdrive import MemoryCache
from overdrive.testing import FakeClock
from tests.memory.policies import POLICIES
from tests.threads.hammer import KEYS, Step, check_value, hammer, run_threads, switching_often, value_for


def weigh(key: Any, value: Any) -> int:
    """Weigh the values that the hammer stores."""
    return 1 + hash(key) % 5


def check_values(pairs: Iterable[tuple[Any, Any]]) -> None:
    """Fail if a value belongs to another key."""
    for pair in pairs:
        check_value(*pair)


def pinned(cache: Any, key: Any, generator: random.Random) -> None:
    """Pin and unpin a key that may not be there."""
    if cache.pin(key):
        check_value(key, cache.peek(key))
    cache.unpin(key)


STEPS: tuple[Step, ...] = (
    lambda cache, key, generator: cache.set(key, value_for(key), ttl=generator.choice((1, 5, 50)), tags=f"t{key % 5}"),
    lambda cache, key, generator: cache.invalidate_tag(f"t{key % 5}"),
    lambda cache, key, generator: cache._clock.advance(generator.choice((0, 0.1, 1))),
    lambda cache, key, generator: check_value(key, cache.get_or_load(key, value_for, tags="t1")),
    lambda cache, key, generator: check_values(cache.hottest(5)),
    lambda cache, key, generator: cache.touch(key, ttl=10),
    lambda cache, key, generator: cache.expire(),
    lambda cache, key, generator: check_values(cache.get_many(range(5)).items()),
    pinned,
)


class Weighing(MemoryCache[Any, Any]):
    """With the method by which the hammer adds up weights."""

    def getsizeof(self, value: Any) -> int:
        return weigh(value[1], value) if self._weigher else 1


@pytest.mark.parametrize("weigher", [None, weigh])
@pytest.mark.parametrize("policy", POLICIES)
def test_everything_at_once(policy: str, weigher: Any) -> None:
    cache = Weighing(60, policy=policy, weigher=weigher, clock=FakeClock(1.0), idle=30)
    with switching_often():
        # For a moment there may be more that is pinned than fits.
        hammer(cache, extra=STEPS, tolerated=ValueError)


def resized(cache: Any, key: Any, generator: random.Random) -> None:
    """Change the limit."""
    cache.resize(generator.choice((20, 40, 60)))


@pytest.mark.parametrize("policy", POLICIES)
def test_every_item_is_told_once(policy: str) -> None:
    told: list[Any] = []
    cache: MemoryCache[Any, Any] = MemoryCache(30, policy=policy, on_evict=lambda key, value, cause: told.append(value))
    count = 400

    def work(number: int) -> None:
        generator = random.Random(number)
        for step in range(count):
            cache.set(generator.randrange(KEYS), (number, step), tags="t")
            if step % 50 == 0:
                resized(cache, None, generator)
            elif step % 70 == 0:
                cache.invalidate_tag("t")
            with suppress(KeyError):
                if step % 7 == 0:
                    cache.popitem()

    with switching_often():
        run_threads(work)
    cache.expire()
    cache._check()
    everything = Counter((number, step) for number in range(8) for step in range(count))
    assert Counter([*told, *cache.values()]) == everything
