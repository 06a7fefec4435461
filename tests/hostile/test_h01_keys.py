"""H1: a key's `__eq__` or `__hash__` uses the cache that is looking for the key."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import Kind
from tests.hostile.callbacks import cases
from tests.hostile.child import in_child
from tests.hostile.reactions import assert_usable, survives_all

CASES = cases("key ")


@in_child
@pytest.mark.parametrize(("kind", "name"), CASES.values(), ids=CASES.keys())
def test_cache_survives_what_the_key_does(kind: Kind, name: str) -> None:
    survives_all(kind, name)


class Multiplying:
    """Equal to nothing; each comparison stores another key of the same hash."""

    def __init__(self, cache: Any, limit: int = 2000) -> None:
        self.cache = cache
        self.limit = limit

    def __hash__(self) -> int:
        return 5

    def __eq__(self, other: object) -> bool:
        if self.limit:
            limit, self.limit = self.limit, 0
            self.cache[Multiplying(self.cache, 0)] = 1
            self.limit = limit - 1
        return False


@in_child
def test_comparison_that_adds_colliding_keys_ends(kind: Kind) -> None:
    cache = kind.make(10_000)
    cache[Multiplying(cache, 0)] = 1
    for operation in (cache.get, cache.__contains__, lambda key: cache.pop(key, None)):
        try:
            operation(Multiplying(cache))
        except RuntimeError:
            cache._check()
    cache._check()


@in_child
def test_comparison_that_replaces_the_key_it_compares_is_given_up(kind: Kind) -> None:
    class Replacing:
        def __hash__(self) -> int:
            return 5

        def __eq__(self, other: object) -> bool:
            if armed:
                cache.clear()
                cache[Replacing()] = 1
            return False

    armed = False
    cache = kind.make(8)
    cache[Replacing()] = 1
    armed = True
    with pytest.raises(RuntimeError, match="changed the cache"):
        cache.get(Replacing())
    armed = False
    assert_usable(cache)


@in_child
def test_deep_recursion_through_eq_is_a_recursion_error(kind: Kind) -> None:
    class Recursive:
        def __hash__(self) -> int:
            return 5

        def __eq__(self, other: object) -> bool:
            return bool(cache.get(Recursive()))

    cache = kind.make(8)
    cache[Recursive()] = 1
    with pytest.raises(RecursionError):
        cache.get(Recursive())
    cache._check()


class Colliding:
    """One of many keys with the same hash; counts comparisons."""

    made = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return 5

    def __eq__(self, other: object) -> bool:
        Colliding.made += 1
        return isinstance(other, Colliding) and self.number == other.number


def comparisons(operation: Callable[[], object]) -> int:
    """Return how many comparisons an operation makes."""
    Colliding.made = 0
    operation()
    return Colliding.made


@in_child
@pytest.mark.parametrize("size", [50, 100, 200])
def test_comparisons_of_colliding_keys(kind: Kind, size: int) -> None:
    cache = kind.make(size)
    assert comparisons(lambda: cache.update((Colliding(number), number) for number in range(size))) <= size**2 // 2
    operations: tuple[Callable[[Any], object], ...] = (
        cache.get,
        cache.__contains__,
        lambda key: cache.setdefault(key, 1),
        lambda key: operator.setitem(cache, key, 1),
        lambda key: cache.pop(key, None),
        lambda key: operator.setitem(cache, key, 1),
    )
    # A key may be looked for again after an eviction, but not once for every other key.
    for number in (0, size // 2, size - 1, size):
        for operation in operations:
            assert comparisons(lambda: operation(Colliding(number))) <= 3 * size  # noqa: B023 - called at once
    assert comparisons(lambda: operator.setitem(cache, Colliding(-1), 1)) <= 3 * size
    assert comparisons(lambda: list(cache.items())) == 0
    assert comparisons(cache.popitem) <= size
    cache._check()


@in_child
def test_hash_that_changes_is_a_miss(kind: Kind) -> None:
    class Shifting:
        value = 1

        def __hash__(self) -> int:
            return self.value

    cache, key = kind.make(8), Shifting()
    cache[key] = 1
    key.value = 2
    assert key not in cache
    cache[key] = 2
    cache._check()
    assert len(cache) == 2
    cache.clear()
    cache._check()


@in_child
def test_eq_result_that_is_no_bool_is_asked_for_its_truth(kind: Kind) -> None:
    class Truth:
        def __bool__(self) -> bool:
            raise ZeroDivisionError("truth")

    class Vague:
        def __hash__(self) -> int:
            return 5

        def __eq__(self, other: object) -> Truth:  # type: ignore[override]
            return Truth()

    cache = kind.make(8)
    cache[Vague()] = 1
    for operation in (cache.get, cache.__contains__, lambda key: cache.setdefault(key, 2)):
        with pytest.raises(ZeroDivisionError, match="truth"):
            operation(Vague())
    assert len(cache) == 1
    cache._check()


@in_child
def test_eq_that_gives_not_implemented_means_unequal(kind: Kind) -> None:
    class Undecided:
        def __hash__(self) -> int:
            return 5

        def __eq__(self, other: object) -> Any:
            return NotImplemented

    cache = kind.make(8)
    cache[Undecided()] = 1
    assert Undecided() not in cache
    cache[Undecided()] = 2
    assert len(cache) == 2
    cache._check()
