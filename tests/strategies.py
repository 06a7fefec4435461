"""Cache configurations, keys, values and clocks to draw from, and the hypothesis strategy for a draw.

A test gets its choices through a `Choose`, so that hypothesis (which shrinks) and a seeded generator
(which is a hundred times faster) can drive the same operations.
"""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.contracts.kinds import EPOCH, Clock, Kind

Choose = Callable[[Sequence[Any]], Any]


def chooser(data: st.DataObject) -> Choose:
    """Return a `Choose` that lets hypothesis decide."""
    return lambda options: data.draw(st.sampled_from(options))


class Twin:
    """A key whose hash says nothing and whose equality is decided in Python."""

    def __init__(self, name: int, copy: int = 0) -> None:
        self.name = name
        self.copy = copy

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Twin) and self.name == other.name

    def __repr__(self) -> str:
        return f"Twin({self.name}, {self.copy})"


@dataclass(frozen=True)
class Deadline:
    """A picklable `ttu`: the value chooses one of several lifetimes, in units of the clock."""

    unit: Any
    lifetimes: tuple[float, ...]

    def __call__(self, key: object, value: Any, now: Any) -> Any:
        choice = int(value * 4) % len(self.lifetimes) if isinstance(value, int | float) else 0
        return now + self.unit * self.lifetimes[choice]


def weigh(value: Any) -> Any:
    """A `getsizeof`: values are their own sizes, but `setdefault` also stores None."""
    return 1 if value is None else value


def last(keys: Any) -> Any:
    """A deterministic `choice`."""
    return keys[-1]


ORDERED_KEYS: tuple[tuple[Any, ...], ...] = (
    (0, 1, 2, 3, 4, 5),
    (0, 1, 1.0, True, 2, 2.0, -1, 2**70),
    ("a", "b", "ab", "c", ""),
)
#: Few enough keys that most operations meet one that is there; many are equal to another.
KEYS = (
    *ORDERED_KEYS,
    ("a", b"a", None, (), (1, 2), (1.0, 2.0), frozenset({1}), 1),
    tuple(Twin(name, copy) for name in range(4) for copy in range(2)),
    (Twin(1), Twin(1, 1), Twin(2), 7, 7.0, "a"),
)
UNHASHABLE: tuple[Any, ...] = ([], {}, (1, []))

#: Sums of these are exact, so the order in which a library adds them cannot show.
UNWEIGHED = (0, 1, 2, 3, 0.25, 0.5, "x", None)
INT_SIZES = (0, 1, 1, 1, 2, 2, 3, 4, 5, 9, -1)
MIXED_SIZES = (0.0, 0.25, 0.5, 1.0, 1, 2, 2.5, 4.0, 8.25, -0.5, 100.0)
MAXSIZES = (3, 4, 5, 8, 2, 1, 0, math.inf, 2.5, 0.5, 4.0)

#: Where a clock starts, and its unit.
CLOCKS: tuple[tuple[Any, Any], ...] = (
    (0, 1),
    (-5, 1),
    (0.0, 0.5),
    (10**30, 10**10),
    (EPOCH, datetime.timedelta(seconds=1)),
)
LIFETIMES: tuple[tuple[float, ...], ...] = ((3,), (2,), (5,), (1,), (5, 1, 3, 2), (2, 0, 4), (3, -1), (0,))
CHOICES: tuple[Callable[[Any], Any] | None, ...] = (None, random.choice, min, max, last)


@dataclass(frozen=True)
class Config:
    """How to build a cache, as a recipe (each library must get its own clock), and what to put in."""

    maxsize: Any
    sizes: tuple[Any, ...] | None = None
    start: Any = 0
    unit: Any = 1
    lifetimes: tuple[float, ...] = (3,)
    choice: Callable[[Any], Any] | None = None
    keys: tuple[Any, ...] = ORDERED_KEYS[0]

    def arguments(self, kind: Kind) -> dict[str, Any]:
        """Return fresh keyword arguments for the constructor of `kind`."""
        arguments: dict[str, Any] = {"maxsize": self.maxsize}
        if self.sizes is not None:
            arguments["getsizeof"] = weigh
        if kind.timed:
            arguments["timer"] = Clock(self.start)
        if kind.name == "TTLCache":
            arguments["ttl"] = self.unit * self.lifetimes[0]
        if kind.name == "TLRUCache":
            arguments["ttu"] = Deadline(self.unit, self.lifetimes)
        if kind.name == "RRCache" and self.choice is not None:
            arguments["choice"] = self.choice
        return arguments

    @property
    def values(self) -> tuple[Any, ...]:
        """Values: the sizes themselves where the cache weighs them."""
        return self.sizes or UNWEIGHED

    @property
    def steps(self) -> list[Any]:
        """How far the clock moves: mostly forwards."""
        return [self.unit * factor for factor in (1, 1, 1, 2, 0, 3, -1)]


def draw_config(kind: Kind, choose: Choose) -> Config:
    """Draw a configuration that both libraries accept."""
    start, unit = choose(CLOCKS) if kind.timed else CLOCKS[0]
    choice = choose(CHOICES) if kind.name == "RRCache" else None
    return Config(
        maxsize=choose(MAXSIZES),
        sizes=choose((None, INT_SIZES, MIXED_SIZES)),
        start=start,
        unit=unit,
        lifetimes=choose(LIFETIMES) if kind.timed else LIFETIMES[0],
        choice=choice,
        keys=choose(ORDERED_KEYS if choice in {min, max} else KEYS),
    )
