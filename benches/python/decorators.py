"""Compare overdrive's decorators with functools.lru_cache, a bare call, cachetools and cachebox.

Run `python benches/python/decorators.py --help`; benches/README.md says how to read the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cli import listed, matches, positive
from contenders import OURS, load
from decorator_bars import judge
from decorator_rows import CACHEBOX, CACHETOOLS, LRU_CACHE, Case, cases
from machine import is_optimised, surroundings
from measure import Plan, Row, fill, loop_overhead
from operations import SMALL
from report import Table, conclude, opening, print_skipped, write_json

# A hit is over so fast that many rounds take seconds; many builds even out where the memory happens to lie.
FULL = Plan(rounds=160, builds=8)
QUICK = Plan(rounds=16, builds=2, passes=2)


def main(arguments: Sequence[str] | None = None) -> int:
    every = cases()
    options = _parser(every).parse_args(arguments)
    chosen = [case for case in every if matches(case.name, options.only)]
    libraries, missing = load((OURS, LRU_CACHE, CACHETOOLS, CACHEBOX))
    for name in missing:
        print(f"not installed, left out: {name}", file=sys.stderr)
    if OURS in missing or not chosen:
        print(f"nothing to compare: needs {OURS} and one row", file=sys.stderr)
        return 2
    plan = QUICK if options.quick else FULL
    if options.rounds is not None:
        plan = Plan(options.rounds, min(plan.builds, options.rounds), plan.passes)

    place, overhead = surroundings(), loop_overhead(plan)
    versions = {library.name: library.version for library in libraries}
    print(opening(place, versions, OURS, overhead))
    rows = _measure(chosen, missing, plan)
    print_skipped(rows)
    verdicts = list(judge(rows, optimised=is_optimised()))
    print(f"\nThe bars are those of {'an optimised' if is_optimised() else 'a plain'} build of CPython.", end="")
    status = conclude(verdicts, filtered=len(chosen) < len(every))
    if options.json is not None:
        write_json(
            options.json,
            place=place,
            versions=versions,
            subject=OURS,
            plan=plan,
            overhead=overhead,
            rows=rows,
            verdicts=verdicts,
        )
    return status if options.check else 0


def _measure(chosen: Sequence[Case], missing: Sequence[str], plan: Plan) -> list[Row]:
    """Measure and print the rows; a heading for each group names the contenders in it."""
    names: dict[str, dict[str, None]] = {}
    for case in chosen:
        names.setdefault(case.group, {}).update(dict.fromkeys(name for name in case.sides if name not in missing))
    tables = {group: Table(OURS, list(contenders)) for group, contenders in names.items()}
    rows = []
    for case in chosen:
        makers = {name: partial(case.prepare, name) for name in case.sides if name not in missing}
        row = Row(case.group, case.name, True, SMALL * case.repeats * plan.passes)
        if fill(row, makers, plan) or row.skipped:
            print(tables[case.group].line(row), flush=True)
            rows.append(row)
    return rows


def _parser(every: Sequence[Case]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = ", ".join(case.name for case in every)
    parser.add_argument(
        "--only", type=listed, default=["*"], help=f"patterns, comma-separated, of:\n{names}", metavar="ROWS"
    )
    parser.add_argument("--rounds", type=positive, help=f"turns per contender (default {FULL.rounds})")
    parser.add_argument("--quick", action="store_true", help="few rounds: a look, not a result")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bar is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
