"""Compare overdrive with dict, functools.lru_cache, cachetools and cachebox, operation by operation.

Run `python benches/python/compare.py --help`; benches/README.md says how to read the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bars import judge
from cli import listed, matches, positive
from contenders import CLASSES, DEFAULT, LOADERS, OURS, Contender, load
from machine import surroundings
from measure import Plan, Row, loop_overhead, measure
from operations import OPERATIONS, Operation
from report import Table, conclude, opening, print_skipped, write_json

FULL = Plan(rounds=40)
QUICK = Plan(rounds=9, builds=1, passes=2)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    contenders, missing = load(options.contenders)
    for name in missing:
        print(f"not installed, left out: {name}", file=sys.stderr)
    operations = [op for op in OPERATIONS if matches(op.name, options.ops)]
    if len(contenders) < 2 or not operations:
        print("nothing to compare: needs two contenders and one operation", file=sys.stderr)
        return 2
    plan = QUICK if options.quick else FULL
    if options.rounds is not None:
        plan = Plan(options.rounds, min(plan.builds, options.rounds), plan.passes)

    place, overhead = surroundings(), loop_overhead(plan)
    table = Table(options.subject, [contender.name for contender in contenders])
    versions = {contender.name: contender.version for contender in contenders}
    print(opening(place, versions, options.subject, overhead))
    rows = []
    for row in _rows(operations, options.classes, contenders, plan):
        print(table.line(row), flush=True)
        rows.append(row)
    print_skipped(rows)

    verdicts = list(judge(rows, options.subject)) if options.check else []
    if options.json is not None:
        write_json(
            options.json,
            place=place,
            versions=versions,
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
    return conclude(verdicts, filtered=filtered) if options.check else 0


def _rows(
    operations: Sequence[Operation], classes: Sequence[str], contenders: Sequence[Contender], plan: Plan
) -> Iterator[Row]:
    for policy in classes:
        for operation in operations:
            row = measure(operation, policy, contenders, plan)
            if row is not None:
                yield row


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = ", ".join(operation.name for operation in OPERATIONS)
    parser.add_argument(
        "--ops", type=listed, default=["*"], help=f"patterns, comma-separated, of:\n{names}", metavar="OPS"
    )
    parser.add_argument("--classes", type=_classes, default=list(CLASSES), help=", ".join(CLASSES))
    parser.add_argument("--contenders", type=_contenders, default=list(DEFAULT), help=", ".join(LOADERS))
    parser.add_argument("--subject", default=OURS, help="whose ratios are shown and judged")
    parser.add_argument("--rounds", type=positive, help=f"turns per contender (default {FULL.rounds})")
    parser.add_argument("--quick", action="store_true", help="few rounds: a look, not a result")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    parser.add_argument("--check", action="store_true", help="judge the bars; exit 1 on a failure")
    return parser


def _classes(text: str) -> list[str]:
    return _known(text, CLASSES)


def _contenders(text: str) -> list[str]:
    return _known(text, tuple(LOADERS))


def _known(text: str, names: Sequence[str]) -> list[str]:
    chosen = listed(text)
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} not in {', '.join(names)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
