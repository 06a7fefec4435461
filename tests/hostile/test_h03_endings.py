"""H3: the end of a key or value (`__del__`, a weak reference's callback) uses the cache."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from tests.contracts.kinds import Kind
from tests.hostile.callbacks import cases
from tests.hostile.child import in_child
from tests.hostile.reactions import assert_usable, survives_all

CASES = cases("end of ")


@in_child
@pytest.mark.parametrize(("kind", "name"), CASES.values(), ids=CASES.keys())
def test_cache_survives_what_the_end_of_an_object_does(kind: Kind, name: str) -> None:
    survives_all(kind, name)


class Refilling:
    """Stores successors when it dies, while there are some left."""

    def __init__(self, cache: Any, left: list[int]) -> None:
        self.cache = cache
        self.left = left

    def __del__(self) -> None:
        for number in range(3):
            if self.left[0]:
                self.left[0] -= 1
                self.cache[number] = Refilling(self.cache, self.left)
                assert len(self.cache) <= 2


@in_child
def test_values_that_refill_the_cache_never_overfill_it(kind: Kind) -> None:
    cache = kind.make(2)
    left = [300]
    for number in range(20):
        cache[number] = Refilling(cache, left)
        assert len(cache) <= 2
    while left[0]:
        cache.clear()
        assert len(cache) <= 2
    cache._check()


@in_child
def test_end_of_the_cache_itself(kind: Kind) -> None:
    log: list[Any] = []

    class Curious:
        def __init__(self, cache: Any) -> None:
            self.cache = cache

        def __del__(self) -> None:
            log.append(repr(type(self.cache)))

    class Holder:
        pass

    holder = Holder()
    cache = kind.make(4)
    cache.update(a=Curious(holder), b=Curious(holder))
    del cache
    gc.collect()
    assert len(log) == 2


@in_child
def test_value_revived_by_its_end_is_whole(kind: Kind) -> None:
    revived: list[Any] = []

    class Phoenix:
        def __del__(self) -> None:
            revived.append(self)

    cache = kind.make(2)
    cache["a"] = Phoenix()
    cache.clear()
    assert len(revived) == 1
    cache["a"] = revived[0]
    assert cache["a"] is revived[0]
    assert_usable(cache)


@in_child
def test_cache_revived_by_its_end_is_whole(kind: Kind) -> None:
    revived: list[Any] = []

    class Phoenix(kind.cls):  # type: ignore[misc, name-defined]
        def __del__(self) -> None:
            revived.append(self)

    cache = kind.make(3, cls=Phoenix)
    cache["a"] = 1
    del cache
    gc.collect()
    assert revived[0]["a"] == 1
    assert_usable(revived[0])


@in_child
def test_finalizer_of_a_collected_cycle_may_use_the_cache(kind: Kind) -> None:
    seen: list[int] = []

    class Node:
        def __init__(self, cache: Any) -> None:
            self.cache = cache

        def __del__(self) -> None:
            seen.append(len(self.cache))
            self.cache["late"] = 1
            self.cache.clear()

    cache = kind.make(4)
    cache["node"] = Node(cache)
    del cache
    gc.collect()
    assert seen == [1]
