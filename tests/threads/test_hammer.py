"""Eight threads on one cache, of every class and in every configuration."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.contracts.kinds import Clock, Kind
from tests.threads.hammer import KEYS, Step, hammer, run_threads, switching_often, value_for


def weigh(value: Any) -> int:
    """Weigh the values that the hammer stores."""
    return 1 + hash(value[1]) % 7


def weigh_with_fractions(value: Any) -> float:
    """Weigh in quarters, so that sums are exact in any order."""
    return (1 + hash(value[1]) % 7) / 4


class SlowKey:
    """A key that is compared in Python, and collides."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number % 8

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlowKey) and self.number == other.number

    def __repr__(self) -> str:
        return f"SlowKey({self.number})"


@pytest.mark.parametrize("maxsize", [1, 50, KEYS])
def test_unit_sizes(kind: Kind, maxsize: int) -> None:
    with switching_often():
        hammer(kind.make(maxsize))


@pytest.mark.parametrize("getsizeof", [weigh, weigh_with_fractions])
def test_weights(kind: Kind, getsizeof: Any) -> None:
    with switching_often():
        hammer(kind.make(100, getsizeof=getsizeof))


def test_usual_switch_interval(kind: Kind) -> None:
    hammer(kind.make(50))


def test_string_keys(kind: Kind) -> None:
    with switching_often():
        hammer(kind.make(50), lambda number: f"key {number}")


def test_keys_compared_in_python(kind: Kind) -> None:
    with switching_often():
        hammer(kind.make(50), SlowKey)


def test_subclass_with_overrides(kind: Kind) -> None:
    class Counting(kind.cls):  # type: ignore[misc, name-defined]
        def __getitem__(self, key: Any) -> Any:
            return super().__getitem__(key)

        def __delitem__(self, key: Any) -> None:
            super().__delitem__(key)

        def popitem(self) -> Any:
            return super().popitem()

    # With overrides `get`, `pop` and eviction are several operations, as in cachetools, and another thread
    # may come between them: the caller gets a KeyError then, but the cache stays sound.
    with switching_often():
        hammer(kind.make(50, cls=Counting), tolerated=KeyError)


def test_moving_clock(timed_kind: Kind) -> None:
    clock = Clock()
    steps: tuple[Step, ...] = (
        lambda cache, key, generator: clock.tick(generator.choice((0, 1, 1, 5))),
        lambda cache, key, generator: cache.expire(),
        lambda cache, key, generator: frozen(cache, key),
    )
    with switching_often():
        hammer(timed_kind.make_short_lived(50, life=20, timer=clock), extra=steps)


def frozen(cache: Any, key: Any) -> None:
    """Within frozen time what was stored is there, unless another thread took it."""
    with cache.timer as now:
        cache[key] = value_for(key)
        assert cache.timer() == now
        cache.get(key)
        assert cache.timer() == now


def test_resized_while_in_use(kind: Kind) -> None:
    cache = kind.make(50)

    def work(number: int) -> None:
        generator = random.Random(number)
        for _ in range(300):
            if number == 0:
                cache.__init__(maxsize=generator.choice((1, 20, 50)), **kind.required)
            else:
                cache[generator.randrange(KEYS)] = number
                cache.get(generator.randrange(KEYS))
                cache.pop(generator.randrange(KEYS), None)

    with switching_often():
        run_threads(work)
    cache._check()
    assert len(cache) <= cache.maxsize


def test_several_caches_with_shared_keys(kind: Kind) -> None:
    caches = [kind.make(20) for _ in range(4)]
    keys = [("shared", number) for number in range(40)]

    def work(number: int) -> None:
        generator = random.Random(number)
        for _ in range(500):
            cache = generator.choice(caches)
            cache[generator.choice(keys)] = generator.choice(caches).get(generator.choice(keys))
            if generator.random() < 0.02:
                cache.update(generator.choice(caches).items() if number % 2 else {})

    def tolerant(number: int) -> None:
        try:
            work(number)
        except (KeyError, RuntimeError) as error:
            assert isinstance(error, KeyError) or "during iteration" in str(error)

    with switching_often():
        run_threads(tolerant)
    for cache in caches:
        cache._check()
        assert len(cache) <= 20
