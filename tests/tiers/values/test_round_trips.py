"""Values come back as they were: the same types, throughout."""

from __future__ import annotations

import pickle
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import overdrive
from overdrive._tiers.values.codec import Codec, Decoded
from overdrive._tiers.values.serializers import BYTES, EXACT, JSON, MSGPACK, PICKLE, RAW, STR, Serializer
from tests.snapshots.values import SAMPLES, VALUES, same
from tests.strategies import Twin
from tests.tiers.values import reference
from tests.tiers.values.kit import NOW, SECRET, put, through

PLAIN = Codec("app")
SIGNED = Codec("app", secret=SECRET)
ENCRYPTED = Codec("app", secret=SECRET, encrypt=True, compression="lz4")
CODECS = pytest.mark.parametrize("codec", [PLAIN, SIGNED, ENCRYPTED], ids=["plain", "signed", "encrypted"])

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def serializer_of(value: object, codec: Codec = PLAIN) -> int:
    header = codec.header(put(codec, value))
    assert header is not None
    return header.serializer


@CODECS
@pytest.mark.parametrize("value", SAMPLES, ids=lambda value: type(value).__name__)
def test_every_built_in_type(codec: Codec, value: Any) -> None:
    assert same(value, through(codec, value))
    assert same([{"in": (value,)}], through(codec, [{"in": (value,)}]))


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=200)
@given(value=VALUES)
def test_any_value_of_built_in_types(value: Any) -> None:
    assert same(value, through(SIGNED, value))
    assert same(value, through(Codec("app", serializer="exact"), value))


@given(value=JSON_VALUES)
def test_any_value_of_json(value: Any) -> None:
    for name, number in [("json", JSON), ("msgpack", MSGPACK), ("auto", None)]:
        codec = Codec("app", serializer=name)
        assert same(value, through(codec, value))
        assert value is None or number in {None, serializer_of(value, codec)}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"bytes", BYTES),
        ("text", STR),
        ("\ud800", EXACT),
        ({"a": [1, 2.5, None, True, b"b", "c"]}, MSGPACK),
        (7, MSGPACK),
        (2**63, EXACT),
        ((1, 2), EXACT),
        ([(1, 2)], EXACT),
        ({1: 2}, EXACT),
        ({"a": {1, 2}}, EXACT),
        (np.arange(3), RAW),
        (memoryview(b"abc"), RAW),
        (bytearray(b"abc"), EXACT),
        ([np.float32(1)], EXACT),
        (np.float64(1.5), EXACT),
    ],
)
def test_the_serializer_is_chosen_by_the_value(value: Any, number: int) -> None:
    assert serializer_of(value) == number


def test_subclasses_are_not_taken_for_their_bases() -> None:
    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    for value in (Text("a"), [Number(1)], {Text("a"): 1}):
        with pytest.raises(TypeError, match="not stored outside of memory"):
            put(PLAIN, value)


ARRAYS = [
    np.arange(12, dtype=np.int16).reshape(3, 4),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.arange(24)[::3],
    np.arange(6, dtype=">u4"),
    np.array(3.5),
    np.zeros((0, 3)),
    np.array([True, False]),
    np.array([1 + 2j]),
    np.array(["a", "bcd"]),
    np.array([b"a", b"bcd"]),
    np.array(["2026-11-25T05:05", "NaT"], dtype="M8[s]"),
    np.array([1, 2], dtype="m8[25us]"),
    np.arange(100_000, dtype=np.float32),
    np.random.default_rng(1).random((70, 70)),
]


@CODECS
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_arrays(codec: Codec, array: Any) -> None:
    assert serializer_of(array, codec) == RAW
    again = through(codec, array)
    assert type(again) is np.ndarray
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert again.flags.f_contiguous == array.flags.f_contiguous or not array.flags.c_contiguous
    np.testing.assert_array_equal(again, array)
    assert not again.flags.writeable


def test_a_large_array_is_not_copied_when_it_is_read() -> None:
    codec = Codec("app", secret=SECRET, compression=None)
    blob = put(codec, np.random.default_rng(1).random(10_000))
    decoded = codec.decode(b"k", blob, NOW)
    assert isinstance(decoded, Decoded)
    assert np.shares_memory(decoded.value, np.frombuffer(blob, np.uint8))
    assert decoded.value.flags.aligned


@pytest.mark.parametrize(
    "view",
    [
        memoryview(b"abc"),
        memoryview(b""),
        memoryview(bytearray(b"abcdefgh")).cast("i"),
        memoryview(bytearray(b"abcdefgh")).cast("H", (2, 2)),
        memoryview(b"abcdefgh")[::2],
        memoryview(np.arange(6.0).reshape(2, 3).data),
    ],
)
def test_memoryviews(view: memoryview) -> None:
    again = through(SIGNED, view)
    assert type(again) is memoryview
    assert (again.tolist(), again.shape) == (view.tolist(), view.shape)
    assert again.readonly


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.zeros(2, dtype=[("a", "i4")]),
        np.array([""], dtype="U0"),
        np.ma.masked_array([1, 2], mask=[True, False]),
        np.zeros((2, 2)).data[:0],
        np.zeros(2, dtype=[("a", "i4")]).data,
    ],
    ids=lambda value: type(value).__name__,
)
def test_buffers_that_are_more_than_their_bytes_are_refused(value: Any) -> None:
    if getattr(value, "dtype", None) == np.dtype("U1"):
        assert through(SIGNED, value).dtype == value.dtype
        return
    with pytest.raises(overdrive.SerializationError, match="which is not stored outside of memory"):
        put(PLAIN, value)


def forged(payload: bytes, serializer: int, flags: int = 0) -> bytes:
    fields = reference.Fields(payload, flags=flags, serializer=serializer, raw_length=len(payload))
    return reference.write(b"app", b"k", fields)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"rows |O8 4",
        b"rows <V8 4",
        b"rows <M8[x] 4",
        b"rows <f8",
        b"rows <f8 -2,-2",
        b"rows <f8 9999999999,9",
        b"rows <f8 " + b"1," * 70 + b"4",
        b"what <f8 4",
        b"view <P8 4",
        b"view >d8 4",
        b"view <d4 4",
        b"view  ",
        b"\xff\xff\xff",
    ],
)
def test_a_damaged_description_of_a_buffer_is_a_miss(line: bytes) -> None:
    def with_line(line: bytes) -> bytes:
        return forged(bytes(32) + line + len(line).to_bytes(2, "little"), RAW)

    assert isinstance(PLAIN.decode(b"k", with_line(b"rows <f8 2,2"), NOW), Decoded)
    assert isinstance(PLAIN.decode(b"k", with_line(b"view <d8 4"), NOW), Decoded)
    assert PLAIN.decode(b"k", with_line(line), NOW) == ("decode",)


def test_random_bytes_for_any_serializer_are_values_or_misses() -> None:
    codec = Codec("app", serializer=Serializer(200, "text", str.encode, bytes.decode))
    for seed in range(1000):
        chance = random.Random(seed)
        payload = chance.randbytes(chance.randrange(60))
        blob = forged(payload, chance.choice([0, 1, 2, 3, 4, 5, 6, 7, 200, 201]), chance.choice([0, 2, 16, 32]))
        codec.decode(b"k", blob, NOW)
    assert set(codec.refusals) == {"decode", "serializer"}


def test_a_serializer_of_the_user() -> None:
    codec = Codec(
        "app",
        serializer=Serializer(130, "complex", lambda value: repr(value).encode(), lambda data: complex(data.decode())),
    )
    assert through(codec, 1 + 2j) == 1 + 2j
    assert serializer_of(1 + 2j, codec) == 130
    # What others wrote before is still read; what it wrote is read by no other.
    assert codec.decode(b"k", put(PLAIN, [1]), NOW)[0] == [1]
    assert PLAIN.decode(b"k", put(codec, 1j), NOW) == ("serializer",)


def test_errors_of_the_users_serializer_are_passed_on_when_it_writes_and_are_misses_when_it_reads() -> None:
    def fail(_: object) -> bytes:
        raise KeyError("mine")

    broken = Codec("app", serializer=Serializer(130, "broken", fail, fail))
    with pytest.raises(KeyError, match="mine"):
        put(broken, 1)
    writing = Codec("app", serializer=Serializer(130, "broken", lambda _: b"x", fail))
    assert writing.decode(b"k", put(writing, 1), NOW) == ("decode",)
    wrong = Codec("app", serializer=Serializer(130, "wrong", lambda _: "text", fail))  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="dumps of the serializer 'wrong' must return bytes, got str"):
        put(wrong, 1)


@pytest.mark.parametrize(
    "value",
    [
        {"a": (1, np.arange(5))},
        [np.arange(1000.0), b"x" * 100, np.arange(7, dtype="u1"), np.zeros(0)],
        Twin(3),
        {1, "a"},
        [1, None, ...],
    ],
)
def test_pickles(value: Any) -> None:
    codec = Codec("app", serializer="pickle", secret=SECRET)
    again = through(codec, value)
    assert type(again) is type(value)
    assert repr(again) == repr(value)
    assert serializer_of(value, codec) == PICKLE


@pytest.mark.parametrize("end", [(1 << 31, 4), (5, 0), (1 << 40, 1)])
def test_buffers_of_a_pickle_that_are_not_there_are_a_miss(end: tuple[int, int]) -> None:
    length, count = end
    payload = bytes(16) + pickle.dumps(1) + length.to_bytes(8, "little") + (count or 1 << 31).to_bytes(4, "little")
    codec = Codec("app", serializer="pickle", allow_unsigned_pickle=True)
    assert codec.decode(b"k", forged(payload, PICKLE, 16), NOW) == ("decode",)


def test_arrays_are_not_copied_out_of_a_pickle() -> None:
    codec = Codec("app", serializer="pickle", secret=SECRET, compression=None)
    blob = put(codec, {"a": np.arange(10_000.0), "b": np.arange(1001, dtype="u1")})
    decoded = codec.decode(b"k", blob, NOW)
    assert isinstance(decoded, Decoded)
    for array in decoded.value.values():
        assert np.shares_memory(array, np.frombuffer(blob, np.uint8))
        assert array.flags.aligned
