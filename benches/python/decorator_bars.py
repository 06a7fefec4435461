"""The bars of decorators.py. They are ratios of two contenders of the same run; `--check` fails on a miss.

What a C function costs beside a Python function depends on how CPython was compiled, so there are two sets: for a
build with PGO, as Debian, python.org and uv ship it, and for a plain one, as pyenv makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bars import Verdict
from contenders import OURS
from decorator_rows import AWAIT, CACHETOOLS, FUNCTION, LRU_CACHE
from measure import Row


class Bar(NamedTuple):
    """An upper limit of our time divided by another's, for both kinds of interpreter."""

    row: str
    against: str
    optimised: float
    plain: float


BARS = (
    Bar("none", LRU_CACHE, 0.95, 0.80),
    Bar("int", LRU_CACHE, 0.75, 0.55),
    Bar("str", LRU_CACHE, 0.75, 0.55),
    Bar("pair", LRU_CACHE, 0.65, 0.45),
    Bar("keyword", LRU_CACHE, 0.50, 0.35),
    Bar("keywords", LRU_CACHE, 0.50, 0.35),
    Bar("typed", LRU_CACHE, 0.60, 0.35),
    Bar("method", LRU_CACHE, 0.75, 0.55),
    Bar("ttl", LRU_CACHE, 0.95, 0.80),
    Bar("ttl-flight", LRU_CACHE, 1.00, 0.90),
    Bar("miss-evict", LRU_CACHE, 1.20, 1.10),
    Bar("int", FUNCTION, 1.00, 1.00),
    Bar("await", AWAIT, 2.00, 2.00),
    Bar("cached", CACHETOOLS, 1 / 5, 1 / 5),
    Bar("cached-lock", CACHETOOLS, 1 / 8, 1 / 8),
    Bar("func-lru", CACHETOOLS, 1 / 10, 1 / 10),
    Bar("func-ttl", CACHETOOLS, 1 / 10, 1 / 10),
)


def judge(rows: Sequence[Row], *, optimised: bool) -> Iterator[Verdict]:
    """Evaluate the bars of the rows that were measured."""
    by_name = {row.operation: row for row in rows}
    for bar in BARS:
        if bar.row in by_name:
            limit = bar.optimised if optimised else bar.plain
            yield _verdict(by_name[bar.row], bar.against, limit)


def _verdict(row: Row, against: str, limit: float) -> Verdict:
    label = f"{row.policy} {row.operation} <= {limit:.3g} x {against}"
    if row.policy == row.operation:
        label = label.removeprefix(f"{row.policy} ")
    if OURS in row.skipped:
        return Verdict(label, False, f"{OURS} cannot do it: {row.skipped[OURS]}")
    if OURS not in row.samples or against not in row.samples:
        return Verdict(label, None, "not measured in this run")
    ratio, of_best = row.ratio(OURS, against), row.ratio_of_best(OURS, against)
    return Verdict(label, ratio <= limit, f"{ratio:.3f} (best rounds {of_best:.3f})")
