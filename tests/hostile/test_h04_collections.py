"""H4: a garbage collection, which visits every cache, happens inside an operation."""

from __future__ import annotations

import gc
import random
import threading

import pytest

from tests.contracts.kinds import Kind
from tests.hostile.callbacks import ENTRIES, Trigger, cases
from tests.hostile.child import in_child
from tests.hostile.reactions import PARDONABLE, assert_usable

CASES = cases("")


@in_child
@pytest.mark.parametrize(("kind", "name"), CASES.values(), ids=CASES.keys())
def test_collection_inside_user_code(kind: Kind, name: str) -> None:
    trigger = Trigger()
    cache, operation = ENTRIES[name].arrange(kind, trigger)
    trigger.arm(gc.collect, times=5)
    try:
        operation()
    except PARDONABLE:
        assert "expired" in name or "absent" in name or "miss" in name
    assert trigger.calls
    assert_usable(cache)


@in_child
def test_collection_at_every_allocation(kind: Kind) -> None:
    class Node:
        def __init__(self, cache: object) -> None:
            self.cycle = (self, cache)

    generator = random.Random(1)
    gc.set_threshold(1)
    try:
        cache = kind.make(20, getsizeof=lambda value: 1)
        for _ in range(1500):
            key = (generator.randrange(40), "tuples are tracked by the collector")
            cache[key] = Node(cache)
            cache.get((generator.randrange(40), "tuples are tracked by the collector"))
            cache.pop((generator.randrange(40), "tuples are tracked by the collector"), None)
        list(cache.items())
        cache.popitem()
        cache.clear()
    finally:
        gc.set_threshold(700, 10, 10)
    cache._check()


@in_child
def test_collections_in_one_thread_and_operations_in_another(kind: Kind) -> None:
    stop = threading.Event()
    cache = kind.make(50)

    def collect() -> None:
        while not stop.is_set():
            gc.collect()

    collector = threading.Thread(target=collect)
    collector.start()
    for number in range(5000):
        cache[(number % 80,)] = [cache, number]
        cache.get((number % 33,))
    stop.set()
    collector.join()
    cache._check()
    assert len(cache) == 50


@in_child
def test_referrers_of_a_value_include_the_cache(kind: Kind) -> None:
    value, cache = ["value"], kind.make(3)
    cache["a"] = value
    assert any(referrer is cache for referrer in gc.get_referrers(value))
    assert any(referent is value for referent in gc.get_referents(cache))
    assert gc.is_tracked(cache)
