from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from overdrive.testing import StampedeReport

REPORT: StampedeReport[Any] = StampedeReport(
    callers=5, loads=1, results=[1, 1], errors=[], cancelled=[], hung={}, seconds=0.5
)


def test_shows_the_counts() -> None:
    assert repr(REPORT) == "<stampede: 5 callers; 1 loads; 2 results>"
    assert repr(replace(REPORT, loads=None)) == "<stampede: 5 callers; 2 results>"


def test_shows_what_went_wrong() -> None:
    wrong = replace(REPORT, errors=[LookupError("a"), OSError("b")], cancelled=[4], hung={3: "  in wait", 7: "there"})
    assert repr(wrong) == (
        "<stampede: 5 callers; 1 loads; 2 results; 2 errors, such as LookupError('a'); 1 cancelled; "
        "hung: 3, 7; caller 3 at\n  in wait>"
    )


def test_is_a_value() -> None:
    assert replace(REPORT) == REPORT
    with pytest.raises(FrozenInstanceError):
        REPORT.loads = 2  # type: ignore[misc]
