"""A cachetools class and ours, driven with identical operations: first by hypothesis, then by long walks."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.contracts.kinds import Kind, kind_named
from tests.equivalence.operations import CacheOperations, names, operations_for
from tests.strategies import chooser

STEPS = 400


class Comparison(RuleBasedStateMachine):
    """Hypothesis chooses the operations, so a failure shrinks to a few of them."""

    kind: Kind
    caches: CacheOperations | None = None

    @initialize(data=st.data())
    def build(self, data: st.DataObject) -> None:
        self.caches = operations_for(self.kind)(self.kind, chooser(data))

    @invariant()
    def same_entries(self) -> None:
        if self.caches is not None:
            self.caches._compare_without_touching()


def as_rule(name: str) -> Any:
    """Return a rule that performs the operation of that name."""

    def perform(self: Comparison, data: st.DataObject) -> None:
        assert self.caches is not None
        self.caches._choose = chooser(data)
        getattr(self.caches, name)()

    perform.__name__ = name
    return rule(data=st.data())(perform)


def machine(class_name: str) -> Any:
    """Return the unittest case that compares the two classes of that name."""
    kind = kind_named(class_name)
    rules = {name: as_rule(name) for name in names(operations_for(kind))}
    return type(f"{class_name}Comparison", (Comparison,), {"kind": kind, **rules}).TestCase  # type: ignore[attr-defined]


TestCache = machine("Cache")
TestFIFOCache = machine("FIFOCache")
TestLRUCache = machine("LRUCache")
TestLFUCache = machine("LFUCache")
TestRRCache = machine("RRCache")
TestTTLCache = machine("TTLCache")
TestTLRUCache = machine("TLRUCache")


def walk(kind: Kind, seed: int) -> None:
    """Perform many operations chosen by a generator of that seed; note them all on a failure."""
    generator = random.Random(seed)
    operations = operations_for(kind)
    available = names(operations)
    weights = [operations.weights.get(name, 10) for name in available]
    caches = operations(kind, generator.choice)
    performed: list[str] = []
    try:
        for name in generator.choices(available, weights, k=STEPS):
            performed.append(name)
            getattr(caches, name)()
            caches._compare_without_touching()
    except UnsatisfiedAssumption:
        return
    except AssertionError as error:
        error.add_note(f"seed {seed}, {caches._config}, after {len(performed)} steps: {' '.join(performed[-20:])}")
        raise


@pytest.mark.parametrize("batch", range(3))
def test_long_walks_agree(kind: Kind, batch: int) -> None:
    walks = settings().max_examples
    for number in range(walks):
        walk(kind, batch * walks + number)
