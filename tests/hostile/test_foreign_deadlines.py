"""Deadlines that only Python can compare: how often it is asked, and what an error or the end leaves behind."""

from __future__ import annotations

import contextlib
import copy
import math
import operator
import random
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import TIMED_KINDS, Clock, Kind
from tests.hostile.child import in_child
from tests.hostile.entries import initialise

#: How far the deadlines of a TLRUCache are apart at most; items of a TTLCache live for `TTL`.
SPREAD = 1000
TTL = 10
SIZE = 30
#: The largest does not end in time if native code looks at all items for each comparison.
SIZES = (100, 200, 400, 15_000)


class ComparisonError(Exception):
    """An error that nothing else raises."""


class Comparisons:
    """Counts comparisons; one of them may fail."""

    def __init__(self) -> None:
        self.made = 0
        self.failing: int | None = None

    def count(self) -> None:
        self.made += 1
        if self.made == self.failing:
            raise ComparisonError

    def restart(self, failing: int | None = None) -> None:
        self.made, self.failing = 0, failing


class Moment:
    """A point in time that is no number."""

    def __init__(self, seconds: int, comparisons: Comparisons) -> None:
        self.seconds = seconds
        self.comparisons = comparisons

    def __lt__(self, other: Moment) -> bool:
        self.comparisons.count()
        return self.seconds < other.seconds

    def __add__(self, seconds: int) -> Moment:
        return Moment(self.seconds + seconds, self.comparisons)


class Timeline:
    """A cache whose times are moments, and when its items are due."""

    def __init__(self, kind: Kind, maxsize: int, seed: int = 1) -> None:
        self.comparisons = Comparisons()
        self.generator = random.Random(seed)
        self.deadlines: dict[Any, int] = {}
        #: All deadlines that there ever were.
        self.made: list[weakref.ref[Moment]] = []
        argument: dict[str, Any] = {"ttl": TTL} if kind.name == "TTLCache" else {"ttu": self.ttu}
        self.kind = kind
        self.cache = kind.make(maxsize, timer=Clock(self.moment(0)), **argument)

    def moment(self, seconds: int) -> Moment:
        return Moment(seconds, self.comparisons)

    def ttu(self, key: Any, value: Any, now: Moment) -> Moment:
        due: Moment = now + value
        self.made.append(weakref.ref(due))
        return due

    def store(self, key: Any) -> None:
        """Store an item that is due at a random time."""
        life = TTL if self.kind.name == "TTLCache" else self.generator.randrange(1, SPREAD)
        self.cache[key] = life
        self.deadlines[key] = life

    def assert_whole(self) -> None:
        """Fail unless exactly the items that are due are there; each expires once, in order."""
        self.comparisons.restart()
        self.cache._check()
        assert sorted(self.cache) == sorted(self.deadlines)
        assert len(self.cache) == len(self.deadlines)
        gone: list[Any] = []
        for second in sorted(set(self.deadlines.values())):
            gone += [(second, key) for key, _ in self.cache.expire(self.moment(second))]
        assert gone == sorted(gone, key=operator.itemgetter(0))
        assert sorted(gone) == sorted((second, key) for key, second in self.deadlines.items())
        assert len(self.cache) == 0
        self.cache._check()


# --- how often ------------------------------------------------------------------------------------------


@in_child
@pytest.mark.parametrize("size", SIZES)
def test_comparisons_to_fill_and_to_expire(timed_kind: Kind, size: int) -> None:
    line = Timeline(timed_kind, size)
    for key in range(size):
        line.store(key)
    assert line.comparisons.made <= 6 * size
    line.comparisons.restart()
    assert len(line.cache.expire(line.moment(SPREAD))) == size
    assert line.comparisons.made <= size * math.log2(size) + 2 * size


@in_child
@pytest.mark.parametrize("size", SIZES)
def test_comparisons_to_replace(timed_kind: Kind, size: int) -> None:
    line = Timeline(timed_kind, size)
    for _ in range(5):
        line.comparisons.restart()
        for key in range(size):
            line.store(key)
        assert line.comparisons.made <= 10 * size  # now and then dead deadlines are cleared out


@in_child
def test_comparisons_to_look_up(timed_kind: Kind) -> None:
    line = Timeline(timed_kind, 100)
    for key in range(100):
        line.store(key)
    line.comparisons.restart()
    assert [line.cache[key] for key in range(100)] == list(line.deadlines.values())
    assert line.comparisons.made == 100


# --- errors -----------------------------------------------------------------------------------------------


@in_child
@pytest.mark.parametrize("seed", range(15))
def test_failed_comparison_while_storing_changes_nothing(timed_kind: Kind, seed: int) -> None:
    line = Timeline(timed_kind, SIZE, seed)
    for key in range(SIZE // 2):
        line.store(key)
    failures = 0
    for _ in range(150):
        line.comparisons.restart(line.generator.randrange(1, 60 if timed_kind.name == "TLRUCache" else 3))
        try:
            line.store(line.generator.randrange(SIZE))
        except ComparisonError:
            failures += 1
    assert failures > 5
    line.assert_whole()


@in_child
@pytest.mark.parametrize("failing", range(1, 160, 8))
def test_failed_comparison_while_expiring_loses_and_doubles_nothing(timed_kind: Kind, failing: int) -> None:
    line = Timeline(timed_kind, SIZE, failing)
    for key in range(SIZE):
        line.store(key)
    now = SPREAD // 2 if timed_kind.name == "TLRUCache" else TTL
    line.comparisons.restart(failing)
    with contextlib.suppress(ComparisonError):
        line.cache.expire(line.moment(now))
    line.comparisons.restart()
    line.cache._check()
    left = set(line.cache)
    assert {key for key, due in line.deadlines.items() if due > now} <= left
    line.cache.expire(line.moment(now))
    line.deadlines = {key: due for key, due in line.deadlines.items() if due > now}
    line.assert_whole()


@in_child
@pytest.mark.parametrize("failing", range(1, 80, 4))
def test_failed_comparison_while_clearing_dead_deadlines_out(failing: int) -> None:
    line = Timeline(TIMED_KINDS[1], SIZE * 3, failing)
    for key in range(SIZE * 3):
        line.store(key)
    for key in range(SIZE * 2):
        del line.cache[key], line.deadlines[key]
    line.comparisons.restart(failing)
    with contextlib.suppress(ComparisonError):
        len(line.cache)
    assert line.comparisons.made >= min(failing, SIZE)
    line.assert_whole()


# --- references ---------------------------------------------------------------------------------------------


def replace_all(line: Timeline) -> None:
    """Store every key again."""
    for key in list(line.deadlines):
        line.store(key)


def pop_all(line: Timeline) -> None:
    """Take everything out, one by one."""
    for key in list(line.deadlines):
        line.cache.pop(key)


def pop_all_and_expire(line: Timeline) -> None:
    """Let an operation find that no deadline is left."""
    pop_all(line)
    line.cache.expire()


def evict(line: Timeline) -> None:
    """Let other keys take all places."""
    for key in range(SIZE):
        line.store(-1 - key)


def fail_once(line: Timeline) -> None:
    """Let storing fail at a comparison."""
    line.comparisons.restart(1)
    with pytest.raises(ComparisonError):
        line.store("failed")


def restore(line: Timeline) -> None:
    """Overwrite the cache with its own state."""
    line.cache.__setstate__(line.cache.__getstate__())


#: After these the cache may be alive, but no deadline.
EMPTYING: dict[str, Callable[[Timeline], object]] = {
    "clear": lambda line: line.cache.clear(),
    "initialise": lambda line: initialise(line.cache),
    "expire": lambda line: line.cache.expire(line.moment(SPREAD)),
    "setstate": lambda line: line.cache.__setstate__(Timeline(line.kind, 1).cache.__getstate__()),
    "pop all, and expire": pop_all_and_expire,
}
#: After these the cache may hold deadlines, live and dead ones.
USES: dict[str, Callable[[Timeline], object]] = {
    "nothing": lambda line: None,
    "replace": replace_all,
    "pop all": pop_all,
    "popitem": lambda line: [line.cache.popitem() for _ in range(SIZE)],
    "evict": evict,
    "fail": fail_once,
    "copy": lambda line: copy.copy(line.cache),
    "restore": restore,
    "iterate halfway": lambda line: next(iter(line.cache)),
}


def filled(kind: Kind) -> Timeline:
    """Return a full cache."""
    line = Timeline(kind, SIZE)
    for key in range(SIZE):
        line.store(key)
    return line


def deadlines_of(line: Timeline) -> list[weakref.ref[Moment]]:
    """Return the deadlines that the cache holds now, and all that it asked for."""
    state = line.cache.__getstate__()["__overdrive_cache__"]
    return [*line.made, *(weakref.ref(due) for due in state["deadlines"])]


def alive(references: list[weakref.ref[Moment]]) -> int:
    """Count the objects that are still there."""
    return sum(reference() is not None for reference in references)


@in_child
@pytest.mark.parametrize("way", EMPTYING)
def test_emptied_cache_holds_no_deadline(timed_kind: Kind, way: str) -> None:
    line = filled(timed_kind)
    replace_all(line)
    references = deadlines_of(line)
    assert alive(references) >= SIZE
    EMPTYING[way](line)
    assert alive(references) == 0
    line.cache._check()


@in_child
@pytest.mark.parametrize("use", USES)
def test_dropped_cache_holds_no_deadline(timed_kind: Kind, use: str) -> None:
    line = filled(timed_kind)
    references = deadlines_of(line)
    USES[use](line)
    references += deadlines_of(line)
    assert len(references) >= SIZE
    line.cache = None
    assert alive(references) == 0


@in_child
def test_reference_count_of_a_deadline_that_all_items_share() -> None:
    comparisons = Comparisons()
    due = Moment(1, comparisons)
    before = sys.getrefcount(due)
    for way in ("drop", "clear", "expire", "fail"):
        cache = TIMED_KINDS[1].make(SIZE, ttu=lambda key, value, now: due, timer=Clock(Moment(0, comparisons)))
        cache.update((number % (SIZE * 2), number) for number in range(SIZE * 5))
        for key in list(cache)[: SIZE // 2]:
            del cache[key]
        if way == "clear":
            cache.clear()
        elif way == "expire":
            cache.expire(due)
        elif way == "fail":
            comparisons.restart(2)
            with contextlib.suppress(ComparisonError):
                cache.expire(due)
            comparisons.restart()
        del cache
        assert sys.getrefcount(due) == before, way
