"""The method: contenders take turns in one run, and ratios are formed inside each round.

A shared machine changes speed by tens of per cent from second to second. Contenders that ran at
different times cannot be compared; those that ran within the same few milliseconds can. The median
of the rounds' ratios then drops the rounds in which someone else's work hit one turn only.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter_ns

import loops
import workload
from contenders import Contender
from operations import LARGE, SMALL, Cell, Operation

# What a library raises for an operation that it does not have.
UNSUPPORTED = (AttributeError, KeyError, NotImplementedError, OverflowError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Attributes:
        rounds: turns of each contender.
        builds: how often the caches are built anew, so that no lucky memory layout decides.
        passes: timed passes of one turn. Their sum is the sample: a minimum would leave out
            the growth and clean-up that a table does only now and then.
    """

    rounds: int
    builds: int = 4
    passes: int = 4

    def sized_for(self, operation: Operation) -> Plan:
        """Fewer and longer turns for the caches that do not fit the processor's caches."""
        if operation.entries < LARGE:
            return self
        return Plan(rounds=max(3, self.rounds // 5), builds=min(self.builds, 2), passes=1)


@dataclass(slots=True)
class Row:
    """The samples of one operation of one class.

    Attributes:
        count: operations in one sample.
        samples: contender -> nanoseconds of each round, in step with the other contenders'.
        skipped: contender -> why it cannot do the operation.
    """

    policy: str
    operation: str
    native: bool
    count: int
    samples: dict[str, list[int]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def best(self, name: str) -> float:
        """Nanoseconds per operation in the contender's best round."""
        return min(self.samples[name]) / self.count

    def ratio(self, subject: str, other: str) -> float:
        """The median over the rounds of one contender's time divided by another's."""
        pairs = zip(self.samples[subject], self.samples[other], strict=True)
        return statistics.median(one / two for one, two in pairs)

    def ratio_of_best(self, subject: str, other: str) -> float:
        """The ratio of the two best rounds, a second opinion on `ratio`."""
        return self.best(subject) / self.best(other)


def measure(operation: Operation, policy: str, contenders: Sequence[Contender], plan: Plan) -> Row | None:
    """Measure one operation of one class for all contenders; None if fewer than two have it."""
    plan = plan.sized_for(operation)
    row = Row(policy, operation.name, operation.native, operation.entries * plan.passes)
    makers = {contender.name: partial(operation.prepare, contender, policy) for contender in contenders}
    return row if fill(row, makers, plan) or row.skipped else None


def fill(row: Row, makers: Mapping[str, Callable[[], Cell | None]], plan: Plan) -> bool:
    """Take all the turns of a row, with cells that are made anew for each build; false if fewer than two exist."""
    for build in range(plan.builds):
        gc.collect()
        cells = _prepare(makers, row)
        if len(cells) < 2:
            return False
        first, last = (plan.rounds * edge // plan.builds for edge in (build, build + 1))
        with _collector_off():
            _take_turns(cells, range(first, last), plan.passes, row)
    return True


def loop_overhead(plan: Plan) -> float:
    """Nanoseconds per key of a loop that does nothing; it is part of every figure."""
    keys = workload.shuffled_orders("int", SMALL)[0]
    cell = Cell(loops.fresh(loops.nothing), iter([(None, keys)] * (plan.rounds * (plan.passes + 1))))
    with _collector_off():
        return min(_turn(cell, plan.passes) for _ in range(plan.rounds)) / (SMALL * plan.passes)


def _prepare(makers: Mapping[str, Callable[[], Cell | None]], row: Row) -> dict[str, Cell]:
    cells = {}
    for name, make in makers.items():
        if name in row.skipped:
            continue
        try:
            cell = make()
            if cell is not None:
                for _ in range(workload.ORDERS):
                    cell.loop(*next(cell.feed))
                cells[name] = cell
        except UNSUPPORTED as error:
            row.skipped[name] = f"{type(error).__name__}: {error}"
            row.samples.pop(name, None)
    return cells


def _take_turns(cells: dict[str, Cell], rounds: range, passes: int, row: Row) -> None:
    names = list(cells)
    for number in rounds:
        # Nobody always runs after the contender that leaves the processor's caches full.
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            row.samples.setdefault(name, []).append(_turn(cells[name], passes))


def _turn(cell: Cell, passes: int) -> int:
    if passes > 1:
        # Brings code, data and branch history back after the other contenders' turns.
        cell.loop(*next(cell.feed))
    total = 0
    for _ in range(passes):
        arguments = next(cell.feed)
        start = perf_counter_ns()
        cell.loop(*arguments)
        total += perf_counter_ns() - start
    return total


@contextmanager
def _collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
