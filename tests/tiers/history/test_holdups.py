"""What holdups explain of a delay, on intervals made by hand."""

from __future__ import annotations

import pytest

from tests.tiers.history.checker import Read, Stale
from tests.tiers.history.holdups import Interval, unexplained

STALE = Stale(Read(0, 0, 0, began=10.0, ended=10.1), seconds=4.0, own=False)  # from 6 to 10


@pytest.mark.parametrize(
    ("holdups", "left"),
    [
        ([], 4.0),
        ([(1.0, 6.0), (10.0, 12.0)], 4.0),  # before and after
        ([(7.0, 8.0)], 3.0),
        ([(5.0, 7.0), (9.0, 11.0)], 2.0),  # only what is within
        ([(7.0, 9.0), (8.0, 9.5), (7.5, 8.0)], 1.5),  # once, however many were held up
        ([(8.0, 9.0), (6.5, 7.0)], 2.5),  # in any order
        ([(0.0, 20.0)], 0.0),
    ],
)
def test_time_in_holdups_is_not_counted(holdups: list[Interval], left: float) -> None:
    assert unexplained(STALE, holdups) == pytest.approx(left)
