"""Compare overdrive with dict, functools.lru_cache, cachetools and cachebox, operation by operation.

Run `python benches/python/compare.py --help`; benches/README.md says how to read the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from bars import Verdict, judge
from contenders import CLASSES, DEFAULT, LOADERS, OURS, Contender, load
from machine import surroundings
from measure import Plan, Row, loop_overhead, measure
from operations import OPERATIONS, Operation
from report import Table, write_json

FULL = Plan(rounds=40)
QUICK = Plan(rounds=9, builds=1, passes=2)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    contenders, missing = load(options.contenders)
    for name in missing:
        print(f"not installed, left out: {name}", file=sys.stderr)
    operations = [op for op in OPERATIONS if any(fnmatch(op.name, pattern) for pattern in options.ops)]
    if len(contenders) < 2 or not operations:
        print("nothing to compare: needs two contenders and one operation", file=sys.stderr)
        return 2
    plan = QUICK if options.quick else FULL
    if options.rounds is not None:
        plan = Plan(options.rounds, min(plan.builds, options.rounds), plan.passes)

    place, overhead = surroundings(), loop_overhead(plan)
    table = Table(options.subject, [contender.name for contender in contenders])
    print(table.opening(place, contenders, overhead))
    rows = []
    for row in _rows(operations, options.classes, contenders, plan):
        print(table.line(row), flush=True)
        rows.append(row)
    _print_skipped(rows)

    verdicts = list(judge(rows, options.subject)) if options.check else []
    if options.json is not None:
        write_json(
            options.json,
            place=place,
            contenders=contenders,
            subject=options.subject,
            plan=plan,
            overhead=overhead,
            rows=rows,
            verdicts=verdicts,
        )
    filtered = (
        len(operations) < len(OPERATIONS)
        or len(options.classes) < len(CLASSES)
        or set(options.contenders) != set(DEFAULT)
    )
    return _conclude(verdicts, filtered=filtered) if options.check else 0


def _rows(
    operations: Sequence[Operation], classes: Sequence[str], contenders: Sequence[Contender], plan: Plan
) -> Iterator[Row]:
    for policy in classes:
        for operation in operations:
            row = measure(operation, policy, contenders, plan)
            if row is not None:
                yield row


def _print_skipped(rows: Sequence[Row]) -> None:
    reasons = sorted(
        {f"{name} {row.policy} {row.operation}: {why}" for row in rows for name, why in row.skipped.items()}
    )
    if reasons:
        print("\nNot possible:", *reasons, sep="\n  ")


def _conclude(verdicts: Sequence[Verdict], *, filtered: bool) -> int:
    print("\nBars:", *verdicts, sep="\n  ")
    failed = sum(verdict.passed is False for verdict in verdicts)
    skipped = sum(verdict.passed is None for verdict in verdicts)
    print(f"\n{len(verdicts) - failed - skipped} passed, {failed} failed, {skipped} not measured")
    # A run that the caller narrowed may leave bars out; a whole run that does has measured nothing.
    return 1 if failed or (skipped and not filtered) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = ", ".join(operation.name for operation in OPERATIONS)
    parser.add_argument(
        "--ops", type=_list, default=["*"], help=f"patterns, comma-separated, of:\n{names}", metavar="OPS"
    )
    parser.add_argument("--classes", type=_classes, default=list(CLASSES), help=", ".join(CLASSES))
    parser.add_argument("--contenders", type=_contenders, default=list(DEFAULT), help=", ".join(LOADERS))
    parser.add_argument("--subject", default=OURS, help="whose ratios are shown and judged")
    parser.add_argument("--rounds", type=_positive, help=f"turns per contender (default {FULL.rounds})")
    parser.add_argument("--quick", action="store_true", help="few rounds: a look, not a result")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    parser.add_argument("--check", action="store_true", help="judge the bars; exit 1 on a failure")
    return parser


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _classes(text: str) -> list[str]:
    return _known(text, CLASSES)


def _contenders(text: str) -> list[str]:
    return _known(text, tuple(LOADERS))


def _known(text: str, names: Sequence[str]) -> list[str]:
    chosen = _list(text)
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} not in {', '.join(names)}")
    return chosen


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
