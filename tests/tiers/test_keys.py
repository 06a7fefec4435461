"""Keys as bytes: equal if and only if the keys are."""

# ruff: noqa: DTZ001, DTZ901 - naive datetimes are keys, too

from __future__ import annotations

import doctest
import math
import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overdrive import keys as key_functions
from overdrive._core import Keywords
from overdrive._memoize.signatures import normalizing_key
from overdrive._tiers import keys
from overdrive._tiers.keys import call_encoder, encode_key, function_key, hash_key, key_encoder, named_key, show_key
from tests.identifiers import shown


class Color(Enum):
    RED = 1
    CRIMSON = RED  # an alias
    BLUE = "b"


class Paint(Enum):
    RED = 1


class Size(IntEnum):
    SMALL = 1


class Unit(StrEnum):
    METRE = "m"


class Access(Flag):
    READ = 1
    WRITE = 2


class Name(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "other"


class Folded(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __hash__(self) -> int:
        return hash(self.lower())


class Point(NamedTuple):
    x: Any
    y: Any


class Autumn(tzinfo):
    """Sets its clock back an hour at 3:00 on October 25th, 2020."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def dst(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        wall = moment.replace(tzinfo=None)
        if wall < datetime(2020, 10, 25, 2) or (wall < datetime(2020, 10, 25, 3) and not moment.fold):
            return timedelta(hours=1)
        return timedelta(0)

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=1) + self.dst(moment)

    def tzname(self, moment: datetime | None) -> str:
        return self.name


AUTUMN = Autumn()
ZONES = (None, UTC, timezone(timedelta(hours=1)), timezone(timedelta(hours=-5, minutes=-30)), AUTUMN)
# Small domains, so that many draws are equal to each other; and those of which bugs are made.
NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 10, 2**53, 2**53 + 1, 2**64, 2**64 - 1, -(2**64), 2**1024, 10**400),
    *(0.0, -0.0, 1.0, -1.0, 0.5, 0.1, 1e22, 1e300, 5e-324, 2.0**53, 2.0**64, math.inf, -math.inf),
    *(True, False),
    *(Decimal(1), Decimal("1.0"), Decimal("0.5"), Decimal("0.1"), Decimal("-0"), Decimal("1e22"), Decimal("1e400")),
    *(Decimal("1e-400"), Decimal("inf"), Decimal(1) / 3, Decimal(2**-60)),
    *(
        Fraction(1),
        Fraction(1, 2),
        Fraction(1, 3),
        Fraction(1, 10),
        Fraction(0.1),
        Fraction(1, 2**60),
        Fraction(1, 2**1100),
    ),
    *(Fraction(1, 2**1100), Fraction(2**1100 + 1, 2), Size.SMALL),
)
TEXTS: tuple[Any, ...] = (
    *("", "a", "b", "m", "1", "i1;", "N", "s1:a", "\x00", "\x00i1;", "\x00s1:a", "\ud800", "\udc00", "\ud800\udc00"),
    *("\U00010000", "é", "e\u0301", Name("a"), Name(""), Name("\x00i1;"), Unit.METRE, "()", "(", ")", "RED"),
    *(b"", b"a", b"i1;", b"\x00", b"\xff"),
)
moments = st.datetimes(datetime(2020, 10, 25, 0), datetime(2020, 10, 25, 4)).map(
    lambda moment: moment.replace(minute=moment.minute // 30 * 30, second=0, microsecond=0)
)
scalars: st.SearchStrategy[Any] = st.one_of(
    # By index, as the strategy would be spelled out with everything in it.
    st.integers(0, len(NUMBERS) - 1).map(lambda index: NUMBERS[index]),
    st.integers(0, len(TEXTS) - 1).map(lambda index: TEXTS[index]),
    st.sampled_from((None, Color.RED, Color.CRIMSON, Color.BLUE, Paint.RED, *Access, Access(3), Access(0))),
    st.sampled_from((int, float, Color, Keywords)),
    st.integers(),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False, places=3),
    st.fractions(),
    st.text(),
    st.text(st.characters(codec=None)),
    st.binary(),
    st.uuids(),
    st.dates(),
    st.sampled_from((date(2020, 10, 25), timedelta(0), timedelta(days=1), timedelta(hours=24))),
    st.timedeltas(),
    st.datetimes(),
    st.builds(lambda at, zone: at.replace(tzinfo=zone), moments, st.sampled_from(ZONES[:-1])),
)
keys_of_all_types: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3), st.builds(Point, inner, inner)
    ),
    max_leaves=6,
)


def encode(key: Any) -> bytes:
    return encode_key(key, math.inf)


@given(keys_of_all_types, keys_of_all_types)
def test_keys_have_the_same_bytes_if_and_only_if_they_are_equal(one: Any, other: Any) -> None:
    assert (encode(one) == encode(other)) is (one == other)


def test_every_pair_of_the_hard_cases_agrees_with_equality() -> None:
    moments = [datetime(2020, 10, 25, hour, tzinfo=zone) for hour in range(1, 4) for zone in ZONES[:-1]]
    hard = [*NUMBERS, *TEXTS, *moments, Color.RED, Paint.RED, int, bool, timedelta(1), date(2020, 10, 25)]
    hard += [(key,) for key in hard] + [frozenset({key}) for key in hard]
    for one in hard:
        for other in hard:
            assert (encode(one) == encode(other)) is (one == other), (one, other)


@given(st.lists(scalars, max_size=4), st.lists(scalars, max_size=4))
def test_a_tuple_is_its_items_and_nothing_else(one: list[Any], other: list[Any]) -> None:
    assert (encode(tuple(one)) == encode(tuple(other))) is (one == other)


@given(st.text(st.characters(codec="utf-8")))
def test_a_str_can_be_read(text: str) -> None:
    if not text.startswith("\x00"):
        assert encode(text) == text.encode()


def test_a_subclass_is_what_it_equals_whatever_its_methods_say() -> None:
    assert encode_key(Name("a")) == encode_key("a") == b"a"
    assert encode_key(Size.SMALL) == encode_key(True) == encode_key(1)
    assert encode_key(Point(1, 2)) == encode_key((1, 2))
    assert encode_key(Color.CRIMSON) == encode_key(Color.RED)


# --- times ------------------------------------------------------------------------------------


def test_aware_datetimes_are_their_moment() -> None:
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    assert encode_key(noon) == encode_key(noon.astimezone(timezone(timedelta(hours=2))))
    assert encode_key(noon) == encode_key(noon.astimezone(AUTUMN))
    assert encode_key(noon) != encode_key(noon.replace(tzinfo=None))


def test_a_datetime_is_not_the_date_of_its_day() -> None:
    assert encode_key(datetime(2020, 1, 1)) != encode_key(date(2020, 1, 1))


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
@pytest.mark.parametrize("hours", [-14, 14])
def test_datetimes_at_the_ends_of_the_calendar_have_keys(moment: datetime, hours: int) -> None:
    assert encode_key(moment.replace(tzinfo=timezone(timedelta(hours=hours))))


def test_the_repeated_hour_of_a_zone_has_the_keys_that_equality_says() -> None:
    first = datetime(2020, 10, 25, 2, 30, tzinfo=AUTUMN)
    second = first.replace(fold=1)
    assert first == second
    assert encode_key(first) == encode_key(second)
    for moment in (first, second):
        assert moment != moment.astimezone(UTC)
        assert encode_key(moment) != encode_key(moment.astimezone(UTC))
    # Zones that are set alike: the same moment.
    assert encode_key(first) == encode_key(first.replace(tzinfo=Autumn("twin")))


# --- numpy ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scalar", "plain"),
    [
        (np.int64(5), 5),
        (np.uint8(5), 5),
        (np.bool_(True), True),
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.float64(2.0), 2),
        (np.str_("a"), "a"),
        (np.bytes_(b"a"), b"a"),
    ],
    ids=shown,
)
def test_scalars_of_numpy_are_what_they_equal(scalar: Any, plain: Any) -> None:
    assert (scalar, hash(scalar)) == (plain, hash(plain))
    assert encode_key(scalar) == encode_key(plain)
    assert encode_key((scalar,)) == encode_key((plain,))


@pytest.mark.parametrize("scalar", [np.complex128(1), np.datetime64("2020-01-01"), np.longdouble(0.5)], ids=shown)
def test_other_scalars_of_numpy_are_refused(scalar: Any) -> None:
    with pytest.raises(TypeError, match=r"key is of type numpy\.\w+[,;]"):
        encode_key(scalar)


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ([], "key is of type list; keys are None, bool,"),
        ((1, ("a", [])), "key[1][1] is of type list;"),
        ((frozenset({1j}),), "key[0] (an element) is of type complex;"),
        (object(), "key is of type object;"),
        ((Folded("A"),), "key[0] is of type tests.tiers.test_keys.Folded, a str with its own __eq__;"),
        (bytearray(b"a"), "key is of type bytearray;"),
    ],
    ids=shown,
)
def test_other_types_are_refused_with_the_type_and_the_place(key: Any, place: str) -> None:
    with pytest.raises(TypeError) as caught:
        encode_key(key)
    assert str(caught.value).startswith(place)


@pytest.mark.parametrize("key", [math.nan, Decimal("nan"), Decimal("snan")], ids=shown)
def test_nan_is_refused(key: Any) -> None:
    with pytest.raises(ValueError, match=r"key\[1\] is NaN, which does not equal itself"):
        encode_key((1, key))


def test_classes_made_by_functions_are_refused() -> None:
    class Local(Enum):
        ONE = 1

    for key in (Local, Local.ONE):
        with pytest.raises(TypeError, match="Local, which is made by a function: others could have its name"):
            encode_key(key)


def test_deep_keys_are_refused() -> None:
    key: Any = ()
    for _ in range(63):
        key = (key,)
    assert encode_key(key)
    with pytest.raises(ValueError, match="is nested more than 64 deep"):
        encode_key((key,))


def test_long_keys_are_refused_with_length_and_limit() -> None:
    assert len(encode_key("x" * 1024)) == 1024
    with pytest.raises(ValueError, match="key takes 1025 bytes, which exceeds the limit of 1024: xxx"):
        encode_key("x" * 1025)
    with pytest.raises(ValueError, match="key takes 11 bytes, which exceeds the limit of 10"):
        encode_key("x" * 11, 10)


def test_decimals_of_absurd_size_are_refused_before_they_take_memory() -> None:
    for text in ("1e999999", "1e-999999", "-1e30000"):
        with pytest.raises(ValueError, match="the limit is 20000"):
            encode_key(Decimal(text))


# --- calls ------------------------------------------------------------------------------------

arguments = st.lists(scalars, max_size=3).map(tuple)
keywords = st.dictionaries(st.sampled_from(("a", "b", "c")), scalars, max_size=2)
names = st.sampled_from(("m.f", "m.f.<locals>.g", "m", "é.f"))


@given(names, arguments, keywords, names, arguments, keywords)
def test_calls_have_the_same_bytes_if_and_only_if_their_keys_are_equal(
    name: str, args: Any, kwargs: Any, name2: str, args2: Any, kwargs2: Any
) -> None:
    one = function_key(name, args, kwargs, max_bytes=math.inf)
    other = function_key(name2, args2, kwargs2, max_bytes=math.inf)
    same = (name, key_functions.hashkey(*args, **kwargs)) == (name2, key_functions.hashkey(*args2, **kwargs2))
    assert (one == other) is same


@given(names, keys_of_all_types, keys_of_all_types)
def test_no_call_has_the_bytes_of_a_key(name: str, key: Any, other: Any) -> None:
    assert named_key(name, key, math.inf) != encode(other)


def test_a_call_can_be_read() -> None:
    assert function_key("shop.price", (42,), {"currency": "eur"}).startswith(b"shop.price(i42;")


def test_typed_calls_tell_types_apart() -> None:
    assert function_key("f", (1,)) == function_key("f", (1.0,))
    assert function_key("f", (1,), typed=True) != function_key("f", (1.0,), typed=True)


def test_the_order_of_keywords_does_not_matter() -> None:
    assert function_key("f", (), {"a": 1, "b": 2}) == function_key("f", (), {"b": 2, "a": 1})


def test_the_keys_that_memoize_makes_can_be_encoded() -> None:
    def search(text: str, filters: Any = None, *more: Any, **options: Any) -> None: ...

    key = normalizing_key(search, freeze=True, typed=True)
    one = key("rust", {"years": [2020, 2021]}, 3, page={1})
    other = key("rust", {"years": [2020, 2022]}, 3, page={1})
    assert named_key("search", one) == named_key("search", key("rust", {"years": [2020, 2021]}, 3, page={1}))
    assert named_key("search", one) != named_key("search", other)


@pytest.mark.parametrize("name", ["", "f(", "f\x00"])
def test_names_that_would_be_ambiguous_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a function must be text without"):
        named_key(name, ())


def test_a_long_call_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"key of a call takes 11\d\d bytes, .* limit of 1024; pass key=..., or hash"):
        function_key("f", ("x" * 1100,))


# --- hashed -----------------------------------------------------------------------------------


def test_hashed_keys_are_short_and_do_not_tell() -> None:
    encode = key_encoder(hash_keys=True, secret=b"s" * 32)
    hashed = encode("ada@example.org")
    assert len(hashed) == 18
    assert b"ada" not in hashed
    assert hashed == encode("ada@example.org") != encode("bob@example.org")
    assert len(encode("x" * 100_000)) == 18


def test_hashes_depend_on_the_secret() -> None:
    assert len({hash_key(b"a", secret) for secret in (None, b"one", b"two")}) == 3


@given(keys_of_all_types)
def test_no_key_has_the_bytes_of_a_hash(key: Any) -> None:
    assert not encode(key).startswith(b"\x00h")


def test_an_encoder_keeps_its_limit() -> None:
    assert key_encoder() is encode_key
    with pytest.raises(ValueError, match="limit of 3"):
        key_encoder(max_bytes=3)("four")


def test_hashed_calls_keep_their_name() -> None:
    encode = call_encoder("shop.price", hash_keys=True, secret=b"s" * 32)
    hashed = encode(("ada@example.org",))
    assert hashed.startswith(b"shop.price(h")
    assert len(hashed) == len("shop.price(h") + 16 + 2
    assert hashed == encode(("ada@example.org",)) != encode(("bob@example.org",))
    assert len(encode(("x" * 100_000,))) == len(hashed)
    assert hashed != call_encoder("shop.price", hash_keys=True)(("ada@example.org",))


@given(names, keys_of_all_types)
def test_no_call_has_the_bytes_of_a_hashed_one(name: str, key: Any) -> None:
    body = named_key(name, key, math.inf)[len(name.encode()) :]
    assert not body.startswith(b"(h")


def test_calls_are_encoded_within_the_limit() -> None:
    assert call_encoder("f")((1,)) == named_key("f", (1,))
    with pytest.raises(ValueError, match="limit of 9"):
        call_encoder("f", max_bytes=9)(("a" * 9,))
    with pytest.raises(ValueError, match="name of a function"):
        call_encoder("", hash_keys=True)


# --- for people -------------------------------------------------------------------------------


@given(keys_of_all_types)
def test_shown_keys_have_no_control_characters(key: Any) -> None:
    assert show_key(encode(key)).isprintable()


def test_shown_hashes_are_hexadecimal() -> None:
    assert show_key(hash_key(b"a")) == "#" + hash_key(b"a")[2:].hex()
    shown = show_key(call_encoder("shop.price", hash_keys=True)((1,)))
    assert re.fullmatch(r"shop\.price\(#[0-9a-f]{32}\)", shown)


def test_examples_in_docstrings_hold() -> None:
    outcome = doctest.testmod(keys)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_uuids_are_keys() -> None:
    assert encode_key(UUID(int=1)) != encode_key(UUID(int=2))
