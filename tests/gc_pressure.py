"""A pytest plugin that collects garbage as often as Python can be made to.

Run with `-p tests.gc_pressure`. A collection at every allocation of a container lands inside of
every callback and between any two steps of an operation, where a cache that is visited, cleared or
locked at the wrong moment fails.

Left out by the Makefile: `tests/hostile`, whose scenarios run in child processes and set their own
thresholds, `tests/demo`, `tests/equivalence`, `tests/simulate`, `tests/snapshots` and the random walks
of `tests/memory`, which make objects by the million and say nothing new here; and of the policies,
which hold no objects, all but a few.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _collect_at_every_allocation() -> Iterator[None]:
    """Keep the young generation at one object for the length of a test, not of collection and set-up."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what was there before the test need not be visited at every allocation
    gc.set_threshold(1, 1, 1)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
