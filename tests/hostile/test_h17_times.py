"""H17: clocks that jump, run backwards or reach the limits of a number, and lifetimes that overflow.

What must come out is what Python's own numbers give, which is what cachetools computes with: the same
operations on both, with the same clock, have the same results.
"""

from __future__ import annotations

import datetime
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import cachetools
import pytest

from tests.contracts.kinds import EPOCH, Clock, Kind
from tests.hostile.child import in_child

LARGEST = 1.7976931348623157e308
#: What the clock shows, one time after the other.
CLOCKS: dict[str, Sequence[Any]] = {
    "runs": (0, 1, 2, 5, 9, 10, 11, 20),
    "jumps back": (100, 90, 50, 0, -50, 100, 101, 200),
    "jumps back and forth": (0, 100, 1, 101, 2, 102, 0, 5),
    "stands still": (7,) * 8,
    "starts below zero": (-1000, -995, -990, -10, 0, -10, 10),
    "around 2**31": (2**31 - 1, 2**31, 2**31 + 1, 2**31 + 20, -(2**31)),
    "around 2**53": (2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2, 2**53 + 10, 2**53 + 11),
    "floats around 2**53": (2.0**53 - 1, 2.0**53, 2.0**53 + 2, 2.0**53 + 20),
    "around 2**63": (2**63 - 1, 2**63, 2**63 + 1, 2**63 + 9, 2**63 + 10, 2**63 + 11, 0, -(2**63) - 1),
    "around 2**64": (2**64 - 1, 2**64, 2**64 + 9, 2**64 + 10, 2**64 - 100),
    "from zero to 2**63": (0, 2**63, 0, 2**63, -(2**63), 0),
    "beyond floats": (10**400, 10**400 + 9, 10**400 + 10, -(10**400), 0),
    "nanoseconds": (1_700_000_000_000_000_000, 1_700_000_000_000_000_009, 1_700_000_000_000_000_010),
    "largest floats": (0.0, LARGEST, LARGEST / 2, -LARGEST, 0.0),
    "smallest floats": (0.0, 5e-324, 1e-323, -5e-324, 0.0),
    "infinity": (0.0, math.inf, 1.0, -math.inf, 2.0),
    "fractions of seconds": (0.1, 0.2, 0.30000000000000004, 10.1, 10.2),
    "integers and floats": (2**53 + 1, 2.0**53, 2**53 + 2, 2.0**53 + 12, 2**53 + 13),
    "true and false": (False, True, 9, 10, 11),
}
LIVES: tuple[Any, ...] = (
    0,
    -1,
    1,
    10,
    0.5,
    -0.0,
    5e-324,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63),
    1e300,
    LARGEST,
    math.inf,
    -math.inf,
)
STEPS: tuple[Callable[[Any], object], ...] = (
    len,
    lambda cache: cache.currsize,
    lambda cache: sorted(cache),
    lambda cache: dict(cache.items()),
    lambda cache: cache.get(0),
    lambda cache: 1 in cache,
    lambda cache: operator.setitem(cache, 1, "again"),
    lambda cache: cache.setdefault(2, "default"),
    lambda cache: cache.pop(3, "gone"),
    lambda cache: sorted(cache.expire()),
    len,
)


def outcome(step: Callable[[Any], object], cache: Any) -> object:
    """Return what a step gives, or what it raises."""
    try:
        return step(cache)
    except Exception as error:  # noqa: BLE001 - the comparison says if it is the right one
        return type(error)


def outcomes(module: Any, kind: Kind, life: Any, times: Sequence[Any]) -> list[object]:
    """Return what all steps give at all times."""
    clock = Clock()
    argument = {"ttl": life} if kind.name == "TTLCache" else {"ttu": lambda key, value, now: now + life}
    cache = getattr(module, kind.name)(4, timer=clock, **argument)
    seen = []
    for number, now in enumerate(times):
        clock.now = now
        seen.append(outcome(lambda cache, number=number: operator.setitem(cache, number % 6, number), cache))  # type: ignore[misc]
        seen += [outcome(step, cache) for step in STEPS]
        if hasattr(cache, "_check"):
            cache._check()
    return seen


@in_child
@pytest.mark.parametrize("clock", CLOCKS)
def test_items_expire_as_in_cachetools(timed_kind: Kind, clock: str) -> None:
    import overdrive

    for life in LIVES:
        ours, theirs = (outcomes(module, timed_kind, life, CLOCKS[clock]) for module in (overdrive, cachetools))
        # When the clock went back, cachetools fails to evict an expired item that is behind a live one.
        comparable = theirs.index(KeyError) if KeyError in theirs else len(theirs)
        assert ours[:comparable] == theirs[:comparable], life


@in_child
@pytest.mark.parametrize("clock", CLOCKS)
def test_item_is_due_at_its_very_deadline(timed_kind: Kind, clock: str) -> None:
    for start in CLOCKS[clock]:
        timer = Clock(start)
        cache = timed_kind.make_short_lived(2, life=10, timer=timer)
        cache["a"] = 1
        due = start + 10
        for now in (start, start + 1, due - 1, due, due + 1):
            timer.now = now
            assert ("a" in cache) == (now < due), (start, now)


@in_child
def test_first_integer_that_is_no_float_is_a_deadline_like_any() -> None:
    import overdrive

    clock = Clock(2**53)
    cache: overdrive.TTLCache[str, int] = overdrive.TTLCache(2, 1, clock)
    cache["a"] = 1
    assert "a" in cache


@in_child
def test_dates_at_the_limits_of_the_calendar(timed_kind: Kind) -> None:
    latest = datetime.datetime.max.replace(tzinfo=datetime.UTC)
    clock = Clock(EPOCH)
    cache = timed_kind.make_short_lived(3, life=datetime.timedelta(days=1), timer=clock)
    cache["a"] = 1
    clock.now = latest
    with pytest.raises(OverflowError):
        cache["b"] = 2
    assert "a" not in cache
    clock.now = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    cache["c"] = 3
    assert cache["c"] == 3
    cache._check()


@in_child
def test_clock_that_goes_back_revives_nothing_that_was_seen_to_be_gone(timed_kind: Kind) -> None:
    clock = Clock(100)
    cache = timed_kind.make_short_lived(5, life=10, timer=clock)
    cache.update(a=1, b=2)
    clock.now = 110
    assert len(cache.expire()) == 2
    clock.now = 0
    assert len(cache) == 0
    assert cache.get("a") is None
    cache["c"] = 3
    clock.now = 9
    assert cache["c"] == 3
    cache._check()


@in_child
def test_clock_that_jumps_while_iterating(timed_kind: Kind) -> None:
    for jump in (-(2**70), -1, 0, 9, 10, 2**70, -math.inf, math.inf):
        clock = Clock(0)
        cache = timed_kind.make_short_lived(50, life=10, timer=clock)
        cache.update((number, number) for number in range(50))
        iterator = iter(cache)
        for _ in range(20):
            next(iterator)
        clock.now = jump
        assert len(list(iterator)) == (30 if jump < 10 else 0)
        clock.now = 0
        cache._check()


@in_child
def test_frozen_time_does_not_jump(timed_kind: Kind) -> None:
    clock = Clock(2**63)
    cache = timed_kind.make_short_lived(5, life=10, timer=clock)
    with cache.timer as now:
        cache["a"] = 1
        for jump in (0, -(2**63), 2**64, math.inf):
            clock.now = jump
            assert cache["a"] == 1
            assert cache.timer() == now == 2**63
    assert "a" not in cache


@in_child
def test_default_clock_with_lifetimes_at_the_limits() -> None:
    import overdrive

    for life in LIVES:
        cache: overdrive.TTLCache[str, int] = overdrive.TTLCache(3, life)
        cache["a"] = 1
        assert ("a" in cache) == (life > 1e-3), life
        cache._check()
