"""Sizes and durations as text."""

from __future__ import annotations

import doctest
import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overdrive._tiers import quantities
from overdrive._tiers.quantities import parse_bytes, parse_seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("64MB", 64_000_000),
        ("64 MiB", 64 * 2**20),
        ("1.5kB", 1500),
        ("0.5KiB", 512),
        (" 2gb ", 2 * 10**9),
        ("1TiB", 2**40),
        ("3tb", 3 * 10**12),
        ("7B", 7),
        (12, 12),
    ],
)
def test_sizes(text: int | str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "MB", "64 M", "64  MB", "-1", "1e6", "1,000", "0.3B", "0.0001kB", "64MBs", ".5MB", "٣MB", "9" * 19, "1 k", -1],
)
def test_other_sizes_are_refused(text: int | str) -> None:
    with pytest.raises(ValueError, match="a size must be"):
        parse_bytes(text)


@pytest.mark.parametrize("value", [1.5, True, None, b"64MB"])
def test_sizes_of_other_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="a size must be an int or a str such as '64MB', got "):
        parse_bytes(value)


@given(st.integers(0, 10**15), st.sampled_from(("kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB")))
def test_sizes_are_exact(count: int, unit: str) -> None:
    power = 1 + "kMGT".index(unit[0].replace("K", "k"))
    assert parse_bytes(f"{count}{unit}") == count * (1024 if "i" in unit else 1000) ** power


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("0", 0),
        ("1.5", 1.5),
        ("5m", 300),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("10us", 1e-5),
        ("1w2d3h4m5s6ms7us", 604_800 + 2 * 86_400 + 3 * 3600 + 4 * 60 + 5.006007),
        ("0.5h", 1800),
        (" 2s ", 2),
        ("inf", math.inf),
        (3, 3),
        (0.25, 0.25),
        (math.inf, math.inf),
        (timedelta(minutes=5), 300),
    ],
)
def test_durations(text: float | timedelta | str, expected: float) -> None:
    assert parse_seconds(text) == expected


def test_whole_durations_are_ints() -> None:
    assert repr(parse_seconds("0.5h")) == "1800"
    assert repr(parse_seconds("90")) == "90"


@pytest.mark.parametrize(
    "text",
    ["", "m", "5 m", "5min", "30m1h", "1m1m", "5M", "-5", "1e3", "nan", "1h30", "1h 30m", "٣s", -1, -0.5, math.nan],
)
def test_other_durations_are_refused(text: float | str) -> None:
    with pytest.raises(ValueError, match="a duration must be"):
        parse_seconds(text)


def test_negative_timedeltas_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a duration must be at least 0 seconds, got -1.0"):
        parse_seconds(timedelta(seconds=-1))


@pytest.mark.parametrize("value", [True, None, b"5m", []])
def test_durations_of_other_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="a duration must be a number of seconds, a timedelta or a str such as '5m'"):
        parse_seconds(value)


def test_examples_in_docstrings_hold() -> None:
    outcome = doctest.testmod(quantities)
    assert outcome.attempted > 0
    assert outcome.failed == 0
