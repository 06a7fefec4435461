"""What a live cache would have hit otherwise, for people and programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ("WhatIf", "WhatIfRow")

MARGIN = 1.96  # so many standard errors to either side hold the truth in 95 cases of 100


@dataclass(frozen=True, slots=True)
class WhatIfRow:
    """An estimate for one policy at one size.

    Attributes:
        policy: its name.
        size: how many items the cache would hold.
        hit_ratio: hits / lookups, from 0 to 1.
        standard_error: of the hit ratio, from the luck of the sample; 0 if every key was watched.
        sampled: lookups that the estimate is based on.
        rough: whether it is not to be relied on: it is based on few lookups or a very small sample, or the policy
            (LFU, SIEVE) behaves otherwise in a sample.
        full: whether the simulated cache has filled up; until then a larger size shows no gain.
    """

    policy: str
    size: int
    hit_ratio: float
    standard_error: float
    sampled: int
    rough: bool
    full: bool


class WhatIf:
    """Estimates beside what a cache really did; iterates over its rows. Immutable.

    Attributes:
        actual: the cache as it is; its hit ratio is counted, not estimated.
        rows: the others, by policy and then by size.
        lookups: how many were made since watching began.
        rate: the share of keys that was watched.
        memory: bytes that watching takes.
    """

    __slots__ = ("actual", "lookups", "memory", "rate", "rows")

    def __init__(self, actual: WhatIfRow, rows: Iterable[WhatIfRow], *, lookups: int, rate: float, memory: int) -> None:
        self.actual = actual
        self.rows = tuple(rows)
        self.lookups = lookups
        self.rate = rate
        self.memory = memory

    def __iter__(self) -> Iterator[WhatIfRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<WhatIf after {self.lookups} lookups: {len(self)} estimates>"

    def __str__(self) -> str:
        """One line: `hit ratio now 71.0 %; lfu: 74.1 %; 2x size: 83.0 %`."""
        told = [f"hit ratio now {_percent(self.actual)}"]
        told += [f"{self._difference(row)}: {_percent(row)}" for row in self.rows if self._differs(row)]
        return "; ".join(told)

    def _differs(self, row: WhatIfRow) -> bool:
        return (row.policy, row.size) != (self.actual.policy, self.actual.size)

    def _difference(self, row: WhatIfRow) -> str:
        size = "" if row.size == self.actual.size else f"{row.size / self.actual.size:.3g}x size"
        policy = "" if row.policy == self.actual.policy else row.policy
        return ", ".join(filter(None, (policy, size)))


def _percent(row: WhatIfRow) -> str:
    margin = row.standard_error * MARGIN * 100
    told = f"{row.hit_ratio * 100:.1f} %"
    if margin >= 0.05:
        told += f" +-{margin:.1f}"
    return f"{told} (rough)" if row.rough else told


# The public names, under which they are shown.
WhatIf.__module__ = WhatIfRow.__module__ = "overdrive"
