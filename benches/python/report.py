"""How a comparison is shown: the table as it grows, and the JSON that keeps every sample."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bars import Verdict
from contenders import CLASSES
from machine import Surroundings, headline
from measure import Plan, Row

METHOD = (
    "Contenders take turns in every round, in rotated order. ns: best round, loop included. "
    "Ratios: {subject}'s time / the other's within a round, median over the rounds."
)


def opening(place: Surroundings, versions: Mapping[str, str], subject: str, overhead: float) -> str:
    """What a reader needs before the first figure."""
    return "\n".join(
        (
            headline(place),
            ", ".join(f"{name} {version}" for name, version in versions.items()),
            METHOD.format(subject=subject),
            f"Of each figure, {overhead:.1f} ns are the loop.",
        )
    )


class Table:
    """Prints one line per operation and class, under a heading per class."""

    def __init__(self, subject: str, names: Sequence[str]) -> None:
        self.subject = subject
        self.names = [subject, *(name for name in names if name != subject)]
        self.policy = ""

    def line(self, row: Row) -> str:
        """One row, with the heading if its class is new."""
        heading = "" if row.policy == self.policy else self._heading(row.policy)
        self.policy = row.policy
        times = [self._time(row, name) for name in self.names]
        ratios = [self._ratio(row, name) for name in self.names[1:]]
        return f"{heading}{row.operation:20}" + "".join(times) + "  " + "".join(ratios)

    def _heading(self, policy: str) -> str:
        times = "".join(f"{name:>11}" for name in self.names)
        ratios = "".join(f"{'/' + name:>12}" for name in self.names[1:])
        title = f"{policy}Cache" if policy in CLASSES and policy != "Cache" else policy
        return f"\n{title:20}{times}  {ratios}\n"

    @staticmethod
    def _time(row: Row, name: str) -> str:
        return f"{row.best(name):>11.1f}" if name in row.samples else f"{'-':>11}"

    def _ratio(self, row: Row, name: str) -> str:
        if name not in row.samples or self.subject not in row.samples:
            return f"{'-':>12}"
        return f"{row.ratio(self.subject, name):>12.2f}"


def print_skipped(rows: Sequence[Row]) -> None:
    """Say what a contender could not do, in its own words."""
    reasons = sorted(
        {f"{name} {row.policy} {row.operation}: {why}" for row in rows for name, why in row.skipped.items()}
    )
    if reasons:
        print("\nNot possible:", *reasons, sep="\n  ")


def conclude(verdicts: Sequence[Verdict], *, filtered: bool) -> int:
    """Print the verdicts, and return the exit status that they make."""
    print("\nBars:", *verdicts, sep="\n  ")
    failed = sum(verdict.passed is False for verdict in verdicts)
    skipped = sum(verdict.passed is None for verdict in verdicts)
    print(f"\n{len(verdicts) - failed - skipped} passed, {failed} failed, {skipped} not measured")
    # A run that the caller narrowed may leave bars out; a whole run that does has measured nothing.
    return 1 if failed or (skipped and not filtered) else 0


def write_json(
    path: Path,
    *,
    place: Surroundings,
    versions: Mapping[str, str],
    subject: str,
    plan: Plan,
    overhead: float,
    rows: Sequence[Row],
    verdicts: Sequence[Verdict],
) -> None:
    """Keep the run: every sample, and what the table derives from them."""
    document = {
        "machine": place,
        "versions": dict(versions),
        "method": METHOD.format(subject=subject),
        "plan": asdict(plan),
        "loop_ns": round(overhead, 3),
        "rows": [_row(row, subject) for row in rows],
        "bars": [asdict(verdict) for verdict in verdicts],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _row(row: Row, subject: str) -> dict[str, object]:
    others = [name for name in row.samples if name != subject] if subject in row.samples else []
    return {
        "class": row.policy,
        "operation": row.operation,
        "operations_per_sample": row.count,
        "best_ns": {name: round(row.best(name), 3) for name in row.samples},
        "ratio": {name: round(row.ratio(subject, name), 4) for name in others},
        "ratio_of_best": {name: round(row.ratio_of_best(subject, name), 4) for name in others},
        "skipped": row.skipped,
        "samples_ns": row.samples,
    }
