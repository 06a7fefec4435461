"""Feeds: generators of a loop's arguments.

What a feed does between two yields happens while the clock is stopped, so it is the place to bring a
cache back to the state that the next pass needs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import NamedTuple, TypeAlias, cast

import loops
import workload
from contenders import Form
from loops import Loop
from subjects import Subject
from workload import KeyKind

Arguments: TypeAlias = tuple[object, ...]

FILLERS: Mapping[Form, Loop] = {
    "mapping": loops.setitem,
    "call": loops.call,
    "methods": loops.set_method,
}


class Stage(NamedTuple):
    """What a feed has to work with."""

    subject: Subject
    kind: KeyKind
    entries: int

    def fill(self) -> None:
        """Store every resident key."""
        FILLERS[self.subject.form](self.subject.object, workload.resident_keys(self.kind, self.entries))


Feed: TypeAlias = Callable[[Stage], Iterator[Arguments]]


def hits(stage: Stage) -> Iterator[Arguments]:
    """Keys that are present, looked up through the very objects that were stored."""
    stage.fill()
    orders = workload.shuffled_orders(stage.kind, stage.entries)
    return itertools.cycle([(stage.subject.object, keys) for keys in orders])


def equal_hits(stage: Stage) -> Iterator[Arguments]:
    """Keys that are present, looked up through equal objects."""
    stage.fill()
    orders = workload.shuffled_orders(stage.kind, stage.entries, rebuilt=True)
    return itertools.cycle([(stage.subject.object, keys) for keys in orders])


def misses(stage: Stage) -> Iterator[Arguments]:
    """Keys that are absent."""
    stage.fill()
    return itertools.repeat((stage.subject.object, workload.absent_keys(stage.kind, stage.entries)))


def unseen(stage: Stage) -> Iterator[Arguments]:
    """Keys that were never stored, for a full cache: each one evicts an entry."""
    stage.fill()
    for keys in workload.unseen_batches(stage.kind, stage.entries):
        # A cache that postpones evictions would be measured doing less than the others.
        if isinstance(stage.subject.object, Sized) and len(stage.subject.object) > stage.entries:
            raise OverflowError(f"holds {len(stage.subject.object)} entries, maximum {stage.entries}")
        yield stage.subject.object, keys


def weighted_unseen(stage: Stage) -> Iterator[Arguments]:
    """Unseen keys with values of different weight."""
    batches = workload.weighted_batches(stage.kind, stage.entries)
    return ((stage.subject.object, pairs) for pairs in batches)


def refilled(stage: Stage) -> Iterator[Arguments]:
    """Keys that are present, stored again before every pass."""
    for arguments in hits(stage):
        stage.fill()
        yield arguments


def requests(stage: Stage) -> Iterator[Arguments]:
    """Requests for more distinct keys than the cache holds."""
    sequences = workload.zipf_sequences(stage.kind, stage.entries)
    return itertools.cycle([(stage.subject.object, keys) for keys in sequences])


def whole(stage: Stage) -> Iterator[Arguments]:
    """The filled cache alone."""
    stage.fill()
    return itertools.repeat((stage.subject.object,))


def whole_refilled(stage: Stage) -> Iterator[Arguments]:
    """The cache alone, filled again before every pass."""
    while True:
        stage.fill()
        yield (stage.subject.object,)


def calls(stage: Stage) -> Iterator[Arguments]:
    """Arguments of a function; the first pass over each order computes, the later ones hit."""
    keys = workload.resident_keys(stage.kind, stage.entries)
    return itertools.repeat((stage.subject.object, keys))


def constructions(stage: Stage) -> Iterator[Arguments]:
    """A class, its arguments, and how often to call it."""
    make, arguments = cast("tuple[object, Arguments]", stage.subject.object)
    return itertools.repeat((make, arguments, range(stage.entries)))
