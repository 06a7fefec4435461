"""What it costs that the first tier of a tiered cache knows what was invalidated.

Hits of the native `get` of a tiered cache are compared with those of a plain `MemoryCache` with a ttl, and hits
of a memoized function whose entries have proofs with those of one whose entries have none.
Run `python benches/python/tiers_l1.py --help`; the method is that of measure.py.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, NamedTuple, cast

import loops
import overdrive
import workload
from bars import Verdict
from cli import listed, matches, positive
from machine import surroundings
from measure import Plan, Row, fill, loop_overhead
from operations import SMALL, Cell
from overdrive._core import Coherence, Entry, _MemoryCache, _TieredCache
from report import Table, conclude, opening
from workload import KeyKind

PLAIN, TIERED = "plain", "tiered"
TTL = 60.0
FULL = Plan(rounds=160, builds=8)
QUICK = Plan(rounds=16, builds=2, passes=2)


class Side(NamedTuple):
    """What is timed, and the table whose clock is advanced before each pass, if any."""

    loop: loops.Loop
    subject: object
    bumped: Coherence | None = None


@dataclass(frozen=True)
class Case:
    """One row: tiered against plain.

    Attributes:
        names: how many names an entry has.
        l1_ttl: whether the first tier has a ttl of its own, so that what nobody reads leaves in time.
        bumped: whether something else is invalidated before each pass, so that each hit looks at its names anew.
        bar: the largest ratio that is good enough.
    """

    name: str
    make: Callable[[Case, str, KeyKind], Side]
    kind: KeyKind
    bar: float | None = None
    names: int = 1
    l1_ttl: bool = False
    bumped: bool = False

    def prepare(self, contender: str) -> Cell:
        """Make the subject anew."""
        side = self.make(self, contender, self.kind)
        return Cell(loops.fresh(side.loop), _feed(side, workload.shuffled_orders(self.kind, SMALL)))

    def entry(self, coherence: Coherence, key: object) -> Entry:
        """An entry as a tiered cache makes it."""
        until = time.monotonic() + TTL
        names = (f"k{key!r}".encode(), *(b"ttag %d" % number for number in range(1, self.names)))
        return Entry(
            key,
            quiet_until=until,
            fresh_until=until,
            expires=until,
            coherence=coherence,
            stamp=coherence.stamp(),
            names=names,
            needs_trust=True,
        )


def _feed(side: Side, orders: Sequence[workload.Keys]) -> Iterator[tuple[object, workload.Keys]]:
    for keys in itertools.cycle(orders):
        if side.bumped is not None:
            side.bumped.bump(b"something else")
        yield side.subject, keys


def _get(case: Case, contender: str, kind: KeyKind) -> Side:
    keys = workload.resident_keys(kind, SMALL)
    if contender == PLAIN:
        plain: overdrive.MemoryCache[Any, Any] = overdrive.MemoryCache(SMALL, policy="lru", ttl=TTL)
        plain.update({key: key for key in keys})
        return Side(loops.get, plain)
    coherence = Coherence()
    coherence.trust(inf)
    ttl = TTL if case.l1_ttl else None
    l1: overdrive.MemoryCache[Any, Any] = overdrive.MemoryCache(SMALL, policy="lru", ttl=ttl)
    l1.update({key: case.entry(coherence, key) for key in keys})
    tiered: _TieredCache[Any, Any] = _TieredCache(cast("_MemoryCache[Any, Any]", l1))
    return Side(loops.get, tiered, coherence if case.bumped else None)


def _call(case: Case, contender: str, kind: KeyKind) -> Side:
    function = overdrive.memoize(ttl=TTL, maxsize=SMALL)(_identity)
    coherence = Coherence()
    coherence.trust(inf)
    for key in workload.resident_keys(kind, SMALL):
        function(key)
        if contender == TIERED:
            function.cache[key] = case.entry(coherence, key)
    return Side(cast("loops.Loop", loops.call), function, coherence if case.bumped else None)


def _identity(key: object) -> object:
    return key


def cases() -> list[Case]:
    """All rows."""
    kinds: tuple[KeyKind, ...] = ("int", "str")
    rows = []
    for kind in kinds:
        rows += [
            Case(f"get-{kind}", _get, kind, 2.0),
            Case(f"get-{kind}-ttl", _get, kind, 2.0, l1_ttl=True),
            Case(f"get-{kind}-bumped", _get, kind, bumped=True),
            Case(f"get-{kind}-3-bumped", _get, kind, names=3, bumped=True),
            Case(f"memoize-{kind}", _call, kind, 1.5),
            Case(f"memoize-{kind}-bumped", _call, kind, bumped=True),
        ]
    return rows


def _judge(rows: Mapping[str, Row]) -> Iterator[Verdict]:
    for case in cases():
        row = rows.get(case.name)
        if case.bar is not None and row is not None:
            ratio, of_best = row.ratio(TIERED, PLAIN), row.ratio_of_best(TIERED, PLAIN)
            label = f"{case.name} <= {case.bar:.3g} x {PLAIN}"
            yield Verdict(label, ratio <= case.bar, f"{ratio:.3f} (best rounds {of_best:.3f})")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = ", ".join(case.name for case in cases())
    parser.add_argument("--only", type=listed, default=["*"], help=f"patterns, comma-separated, of: {names}")
    parser.add_argument("--rounds", type=positive, help=f"turns per contender (default {FULL.rounds})")
    parser.add_argument("--quick", action="store_true", help="few rounds: a look, not a result")
    parser.add_argument("--check", action="store_true", help="exit 1 if a bar is missed")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else FULL
    if options.rounds is not None:
        plan = Plan(options.rounds, min(plan.builds, options.rounds), plan.passes)
    print(opening(surroundings(), {"overdrive": overdrive.__version__}, TIERED, loop_overhead(plan)))
    table, rows = Table(TIERED, [PLAIN]), {}
    for case in cases():
        if not matches(case.name, options.only):
            continue
        row = Row("first tier", case.name, True, SMALL * plan.passes)
        if fill(row, {name: partial(case.prepare, name) for name in (TIERED, PLAIN)}, plan):
            print(table.line(row), flush=True)
            rows[case.name] = row
    status = conclude(list(_judge(rows)), filtered=True)
    return status if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
