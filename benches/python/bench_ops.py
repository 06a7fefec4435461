"""The operations of compare.py under pytest-benchmark: a group per operation and class.

One round is one pass over all keys, so a time is that of `operations` (see extra_info) operations.
Contenders do not take turns here; compare.py is the one to quote ratios from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

import workload
from contenders import CLASSES, DEFAULT, Contender, load
from measure import UNSUPPORTED
from operations import LARGE, OPERATIONS, Operation

CONTENDERS, _ = load(DEFAULT)


class Benchmark(Protocol):
    """What is used of pytest-benchmark's fixture."""

    group: str
    extra_info: dict[str, object]

    def pedantic(
        self, target: Callable[..., object], *, setup: Callable[[], object], rounds: int, warmup_rounds: int
    ) -> object:
        """Time the target; `setup` returns its arguments and is not timed."""


def _cases() -> Iterator[object]:
    for operation in OPERATIONS:
        for policy in CLASSES:
            for contender in CONTENDERS:
                name = f"{operation.name}-{policy}-{contender.name}"
                yield pytest.param(operation, policy, contender, id=name)


@pytest.mark.parametrize(("operation", "policy", "contender"), list(_cases()))
def test_operation(benchmark: Benchmark, operation: Operation, policy: str, contender: Contender) -> None:
    try:
        cell = operation.prepare(contender, policy)
        if cell is None:
            pytest.skip(f"{contender.name} has no {operation.name} for {policy}")
        for _ in range(workload.ORDERS):
            cell.loop(*next(cell.feed))
    except UNSUPPORTED as error:
        pytest.skip(f"{contender.name} cannot do it: {error}")
    benchmark.group = f"{operation.name} {policy}"
    benchmark.extra_info["operations"] = operation.entries
    benchmark.pedantic(
        cell.loop,
        setup=lambda: (next(cell.feed), {}),
        rounds=5 if operation.entries >= LARGE else 30,
        warmup_rounds=1,
    )
