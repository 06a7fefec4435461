"""What prefetching has done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ("PrefetchStats",)


@dataclass(frozen=True, slots=True)
class PrefetchStats:
    """Counts since the start or the last `reset`, and the present state.

    Attributes:
        observed: requests that were learned from.
        issued: keys that were handed over to be fetched because they were predicted.
        hinted: keys that were handed over because somebody asked for that.
        used: of both, those that were asked for while they were in memory.
        wasted: those that left memory without having been asked for.
        late: those that were asked for before they had come.
        failed: those that could not be fetched.
        suppressed: predictions and hints that were not acted on: the guard was closed, the budget was spent, or
            what answers was in trouble.
        precision: the share of the last 300 outcomes that were of use; 1 before there is one.
        is_open: whether the guard lets predictions be acted on.
        depth: how many requests are looked ahead.
        memory: bytes that the predictor takes, keys not included.
    """

    observed: int = 0
    issued: int = 0
    hinted: int = 0
    used: int = 0
    wasted: int = 0
    late: int = 0
    failed: int = 0
    suppressed: int = 0
    precision: float = 1.0
    is_open: bool = False
    depth: int = 0
    memory: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the counts, by name."""
        return asdict(self)


PrefetchStats.__module__ = "overdrive"
