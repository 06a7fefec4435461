"""The bars that overdrive has to clear: `compare.py --check` fails on each one that it misses.

Every bar is a ratio of two contenders of the same run, so it means the same on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contenders import OURS
from measure import Row

# An operation clears the general bar in either way.
CACHETOOLS_LIMIT = 1 / 3
DICT_LIMIT = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """An upper limit of one ratio."""

    policy: str
    operation: str
    against: str
    limit: float


BARS = (
    Bar("LRU", "getitem-int", "dict", 1.6),
    Bar("LRU", "getitem-str", "dict", 1.4),
    Bar("LRU", "getitem-int", "cachebox", 1.0),
    Bar("LRU", "getitem-str", "cachebox", 1.0),
    Bar("TTL", "getitem-int", "cachebox", 0.7),
    Bar("TTL", "getitem-str", "cachebox", 0.7),
    Bar("LRU", "set-evict", "cachebox", 0.9),
    Bar("LFU", "set-evict", "cachebox", 0.5),
    Bar("TTL", "set-evict", "cachebox", 0.7),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one bar came out; `passed` is None where the run did not measure it."""

    label: str
    passed: bool | None
    reason: str

    def __str__(self) -> str:
        word = {True: "PASS", False: "FAIL", None: "SKIP"}[self.passed]
        return f"{word}  {self.label}: {self.reason}"


def judge(rows: Sequence[Row], ours: str = OURS) -> Iterator[Verdict]:
    """Evaluate the named bars, then the general one for every row."""
    by_name = {(row.policy, row.operation): row for row in rows}
    for bar in BARS:
        yield _named(bar, by_name.get((bar.policy, bar.operation)), ours)
    for row in rows:
        if ours in row.skipped:
            yield Verdict(_label(row), False, f"{ours} cannot do it: {row.skipped[ours]}")
        elif ours in row.samples:
            yield _general(row, ours) if row.native else _not_slower(row, ours)
        elif "cachetools" in row.samples:
            yield Verdict(_label(row), False, f"{ours} has no such operation")


def _named(bar: Bar, row: Row | None, ours: str) -> Verdict:
    label = f"{bar.policy} {bar.operation} <= {bar.limit:.2f} x {bar.against}"
    if row is None or ours not in row.samples or bar.against not in row.samples:
        return Verdict(label, None, "not measured in this run")
    return Verdict(label, row.ratio(ours, bar.against) <= bar.limit, _figures(row, ours, bar.against))


def _general(row: Row, ours: str) -> Verdict:
    others = [name for name in ("cachetools", "dict") if name in row.samples]
    limits = {"cachetools": CACHETOOLS_LIMIT, "dict": DICT_LIMIT}
    passed = any(row.ratio(ours, name) <= limits[name] for name in others)
    reason = "; ".join(_figures(row, ours, name) for name in others)
    return Verdict(_label(row), passed if others else None, reason or "no baseline in this run")


def _not_slower(row: Row, ours: str) -> Verdict:
    if "cachetools" not in row.samples:
        return Verdict(_label(row), None, "no baseline in this run")
    return Verdict(_label(row), row.ratio(ours, "cachetools") <= 1.0, _figures(row, ours, "cachetools"))


def _label(row: Row) -> str:
    rule = "3x cachetools or 2x dict" if row.native else "as fast as cachetools"
    return f"{row.policy} {row.operation} ({rule})"


def _figures(row: Row, ours: str, other: str) -> str:
    return f"{row.ratio(ours, other):.2f} x {other} (best rounds {row.ratio_of_best(ours, other):.2f})"
