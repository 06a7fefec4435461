"""What cannot be written is told with its type, and where it is."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import Any

import pytest

import overdrive
from overdrive._tiers.values.codec import Codec
from overdrive._tiers.values.serializers import ValueTooLargeError
from tests.tiers.values.kit import NOW, SECRET, put


@dataclass
class Report:
    name: str
    handle: Any


class Items(list[int]):
    pass


class Members(set[int]):
    pass


class Slotted:
    __slots__ = ("empty", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()


AUTO = Codec("app")
PICKLE = Codec("app", serializer="pickle", secret=SECRET)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object(), "value is a object, which is not stored outside of memory"),
        ({"items": [1, 2, 3, sys.stdout.__class__]}, "value['items'][3] is a type,"),
        ({"items": [(Report("a", 1),)]}, "value['items'][0][0] is a tests.tiers.values.test_refused_values.Report,"),
        ({object: 1}, "value (its key <class 'object'>) is a type,"),
        ({"a", threading.Lock}, "is a builtin_function_or_method,"),
        ([Items([1])], "value[0] is a tests.tiers.values.test_refused_values.Items,"),
        ([Members([1])], "value[0] is a tests.tiers.values.test_refused_values.Members,"),
        ([{"k" * 100: object()}], f"value[0]['{'k' * 39}...] is a object,"),
    ],
)
def test_the_path_to_what_is_of_no_known_type(value: object, told: str) -> None:
    with pytest.raises(overdrive.SerializationError) as caught:
        put(AUTO, value)
    assert told in str(caught.value)


def test_the_path_goes_through_attributes_where_objects_can_be_stored() -> None:
    with pytest.raises(overdrive.SerializationError, match="is a _io") as caught:
        put(PICKLE, {"items": [1, 2, 3, Report("a", sys.__stdout__)]})
    assert str(caught.value).startswith("value['items'][3].handle is a _io.TextIOWrapper, which pickle does not take")
    with pytest.raises(overdrive.SerializationError, match=r"^value\.lock is a _thread\.lock, which"):
        put(PICKLE, Slotted())
    with pytest.raises(overdrive.SerializationError, match=r"^value\['f'\] is a function, which pickle does not take"):
        put(PICKLE, {"f": lambda: 1})


def test_objects_that_refer_to_each_other_do_not_hide_what_is_at_fault() -> None:
    a, b = Report("a", None), Report("b", threading.Lock())
    a.handle, b.name = b, a  # type: ignore[assignment]
    with pytest.raises(overdrive.SerializationError, match=r"^value\.handle\.handle is a _thread\.lock"):
        put(PICKLE, a)


def test_values_that_contain_themselves() -> None:
    value: dict[str, Any] = {"list": []}
    value["list"].append(value)
    for codec in (AUTO, Codec("app", serializer="exact"), Codec("app", serializer="msgpack")):
        with pytest.raises(overdrive.SerializationError, match="contains itself"):
            put(codec, value)


def test_values_that_nest_too_deep() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    for name in ("auto", "exact", "json"):
        with pytest.raises(overdrive.SerializationError) as caught:
            put(Codec("app", serializer=name), value)
        assert len(str(caught.value)) < 200
    fine: Any = 1
    for _ in range(99):
        fine = [fine]
    assert AUTO.decode(b"k", put(AUTO, fine), NOW)[0] == fine


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("msgpack", {"a": [(1,)]}, "value['a'][0] is a tuple, which MessagePack does not give back as it is"),
        ("msgpack", 2**64, "value is a int, which MessagePack does not"),
        ("json", [float("nan")], "value[0] is a float, which JSON does not give back as it is"),
        ("json", {"a": b"bytes"}, "value['a'] is a bytes, which JSON"),
    ],
)
def test_a_forced_format_takes_only_what_it_gives_back(name: str, value: object, told: str) -> None:
    with pytest.raises(overdrive.SerializationError) as caught:
        put(Codec("app", serializer=name), value)
    assert told in str(caught.value)


@pytest.mark.parametrize("value", [b"x" * 1001, "x" * 1001, ["x"] * 1001, (b"x" * 1001,), memoryview(b"x" * 1001)])
def test_values_that_are_too_large(value: object) -> None:
    codec = Codec("app", max_bytes=1000)
    with pytest.raises(ValueTooLargeError, match="exceeds max_bytes=1,000"):
        put(codec, value)
    assert issubclass(ValueTooLargeError, overdrive.SerializationError)


def test_containers_that_are_in_each_other_many_times_are_too_large_and_take_no_time() -> None:
    value: Any = "x"
    for _ in range(90):
        value = [value, value]
    with pytest.raises(ValueTooLargeError):
        put(Codec("app", max_bytes=10_000), value)


def test_a_hostile_repr_of_a_key_is_not_the_error() -> None:
    class Key:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(overdrive.SerializationError, match="test_refused_values"):
        put(AUTO, {Key(): 1})
