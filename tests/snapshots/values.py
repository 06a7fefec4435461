"""Values that snapshots hold, and comparing them more closely than `==` does."""

from __future__ import annotations

import math
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

NEW_YORK = ZoneInfo("America/New_York")

#: At least one of every supported type, and the odd ones of each.
SAMPLES: list[Any] = [
    None,
    True,
    False,
    ...,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    -(2**63) - 1,
    10**400,
    -(10**400),
    255,
    -256 << 60,
    0.0,
    -0.0,
    math.inf,
    math.nan,
    5e-324,
    complex(-0.0, math.inf),
    "",
    "a",
    "é",
    "plain",
    "latin é",
    "snowman ☃",
    "emoji \U0001f600",
    "\ud800 alone",
    "nul\0inside",
    b"",
    b"bytes\0\xff",
    bytearray(b"array"),
    (),
    (1, "two", (3.0,)),
    [],
    [1, [2, [3]]],
    {},
    {"z": 1, "a": 2, (1, 2): {"nested": None}},
    set(),
    {1, "one", (1,)},
    frozenset(),
    frozenset({frozenset({1}), b""}),
    range(0),
    range(10**30, -5, -7),
    date(1, 1, 1),
    date(9999, 12, 31),
    time(23, 59, 59, 999999),
    time(1, 30, fold=1, tzinfo=UTC),
    datetime(2026, 11, 25, 5, 5, 24, 123456),  # noqa: DTZ001 - naive ones can be saved, too
    datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=NEW_YORK),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45, microseconds=1), "odd")),
    timedelta(days=-999999999),
    timedelta(days=999999999, seconds=86399, microseconds=999999),
    timedelta(microseconds=-1),
    UTC,
    timezone(timedelta(hours=-3)),
    NEW_YORK,
    Decimal("1.10"),
    Decimal("-0"),
    Decimal("1E+999999"),
    Decimal("sNaN123"),
    Decimal("-Infinity"),
    UUID("12345678-1234-5678-1234-567812345678"),
]


def same(a: Any, b: Any) -> bool:
    """Whether two values are of the same types and content throughout, NaN, signs and orders included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, set | frozenset):
        return same(sorted(map(described, a)), sorted(map(described, b)))
    if isinstance(a, Decimal):
        return str(a) == str(b)
    if isinstance(a, datetime | time):
        return repr(a) == repr(b) and a.fold == b.fold and same(a.tzinfo, b.tzinfo)
    return bool(a == b) and repr(a) == repr(b)


def described(value: Any) -> str:
    """Return a string that is the same only for values that are."""
    if isinstance(value, frozenset):
        return f"frozenset({sorted(map(described, value))})"
    if isinstance(value, tuple):
        return f"({list(map(described, value))})"
    return f"{type(value).__name__} {value!r}"


_ZONES = st.one_of(
    st.none(),
    st.just(UTC),
    st.just(NEW_YORK),
    st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23))),
)

HASHABLE_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.dates(),
    st.times(timezones=_ZONES),
    st.datetimes(timezones=_ZONES),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
)
HASHABLE = st.recursive(
    HASHABLE_LEAVES.filter(lambda value: not (isinstance(value, Decimal) and value.is_snan())),
    lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner, max_size=3)),
    max_leaves=4,
)
VALUES = st.recursive(
    st.one_of(HASHABLE_LEAVES, st.binary().map(bytearray)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.sets(HASHABLE, max_size=4),
    ),
    max_leaves=12,
)
