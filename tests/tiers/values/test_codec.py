"""What a codec says about values, and which it gives back."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

import overdrive
from overdrive._tiers.values.codec import Codec, Decoded, tag_hash
from overdrive._tiers.values.negative import Negative
from overdrive._tiers.values.schema import schema_id
from overdrive._tiers.values.serializers import BYTES, JSON, Serializer
from tests.tiers.values.kit import NOW, SECRET, put, through


class Colour(enum.Enum):
    RED = 1


@dataclass
class Address:
    street: str
    lines: list[str] = field(default_factory=list)


@dataclass
class User:
    name: str
    address: Address
    pair: tuple[int, str] = (1, "a")
    score: float = 0.0
    colour: Colour = Colour.RED


class Point(msgspec.Struct, eq=False):
    x: float
    y: Any = None


class Shrinking:
    """A model that does not give back what it has."""

    model_fields = ("items",)

    def __init__(self, items: Any) -> None:
        self.items = items

    def model_dump_json(self) -> str:
        return msgspec.json.encode(self.items[:1]).decode()

    @classmethod
    def model_validate_json(cls, data: bytes) -> Shrinking:
        return cls(msgspec.json.decode(data))


class Model:
    """What a model of pydantic looks like."""

    model_fields = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def model_dump_json(self) -> str:
        return str(self.number)

    @classmethod
    def model_validate_json(cls, data: bytes) -> Model:
        return cls(int(data))


def test_what_is_said_about_a_value_is_read_without_the_value() -> None:
    codec = Codec("app", secret=SECRET)
    blob = put(codec, [1], epoch=5, tags=("a", "b"), cost=0.25, version=77)
    header = codec.header(blob[:56])
    assert header is not None
    assert (header.version, header.created_ms, header.soft, header.hard, header.cost) == (77, NOW, 10, 60, 0.25)
    decoded = codec.decode(b"k", blob, NOW)
    assert isinstance(decoded, Decoded)
    assert (decoded.header.epoch, decoded.header.tags) == (5, [tag_hash("a"), tag_hash("b")])
    assert "version=77" in repr(decoded.header)
    assert codec.header(b"something else") is None


def test_versions_grow_also_if_the_clock_goes_backwards() -> None:
    codec = Codec("app")
    times = [NOW, NOW, NOW - 5, NOW + 1, NOW + 1]
    headers = [codec.header(put(codec, 1, now_ms=time)) for time in times]
    versions = [header.version for header in headers if header is not None]
    assert versions == sorted(set(versions))
    assert versions[0] >> 20 == NOW


def test_none_is_remembered_as_such() -> None:
    for codec in (Codec("app"), Codec("app", type=User), Codec("app", secret=SECRET, serializer="pickle")):
        blob = put(codec, None)
        decoded = codec.decode(b"k", blob, NOW)
        assert isinstance(decoded, Decoded)
        assert decoded.value is None
        assert decoded.header.null
        assert decoded.header.serializer == BYTES
    header = Codec("app").header(put(Codec("app"), [None]))
    assert header is not None
    assert not header.null


def test_errors_are_remembered_if_their_type_is_allowed() -> None:
    codec = Codec("app", errors=(KeyError, LookupError))
    decoded = codec.decode(b"k", put(codec, Negative(KeyError("user", 7))), NOW)
    assert isinstance(decoded, Decoded)
    assert decoded.header.null
    assert isinstance(decoded.value, Negative)
    assert type(decoded.value.error) is KeyError
    assert decoded.value.error.args == ("user", 7)
    assert repr(decoded.value) == "Negative(KeyError('user', 7))"
    # Neither a subclass of an allowed type, nor what another program allows.
    with pytest.raises(overdrive.SerializationError, match="type IndexError is not one of those"):
        put(codec, Negative(IndexError()))
    with pytest.raises(overdrive.SerializationError, match="arguments of a KeyError cannot be stored"):
        put(codec, Negative(KeyError(object())))
    assert Codec("app").decode(b"k", put(codec, Negative(KeyError())), NOW) == ("decode",)


def test_values_of_a_declared_type() -> None:
    user = User("jane", Address("x", ["a", "b"]), score=float("nan"))
    codec = Codec("app", type=User)
    again = through(codec, user)
    assert type(again) is User
    assert (again.address, again.pair, again.colour, again.score != again.score) == (
        user.address,
        (1, "a"),
        Colour.RED,
        True,
    )
    users = Codec("app", type=dict[str, list[User]])
    assert through(users, {"a": []}) == {"a": []}
    [point] = through(Codec("app", type=list[Point]), [Point(1.0, [1])])
    assert (type(point), point.x, point.y) == (Point, 1.0, [1])
    assert through(Codec("app", type=tuple[int, ...]), (1, 2)) == (1, 2)
    assert through(Codec("app", type=set[str]), {"a", "b"}) == {"a", "b"}
    assert through(Codec("app", type=datetime), datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("of", "value", "told"),
    [
        (User, {"name": "x"}, "value is not of type="),
        (User, User("x", Address("y"), pair=[1, "a"]), "value.pair is a list, and would come back as a tuple"),  # type: ignore[arg-type]
        (User, User("x", Address("y", ("a",))), "value.address.lines is a tuple, and would come back as a list"),  # type: ignore[arg-type]
        (User, User("x", Address("y"), score=1), "value.score is a int, and would come back as a float"),
        (User, User(1, Address("y")), "value is not of type="),  # type: ignore[arg-type]
        (list[Point], [Point(1.0, (1,))], "value[0].y is a tuple, and would come back as a list"),
        (list[Point], [Point(1.0, object())], "value[0].y is a object, which msgspec does not write"),
        (list[int], {1, 2}, "value is a set, and would come back as a list"),
        (datetime, datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Rome")), "value would come back as datetime.datetime("),
        (dict[float, int], {1: 2}, "value (its key 1) is a int, and would come back as a float"),
        (Shrinking, Shrinking([1, 2]), "value.items would come back with another length"),
        (Shrinking, Shrinking("text"), "value.items would come back as another str"),
    ],
)
def test_a_value_that_would_come_back_as_another_type_is_not_written(of: Any, value: object, told: str) -> None:
    with pytest.raises(overdrive.SerializationError) as caught:
        put(Codec("app", type=of), value)
    assert told in str(caught.value)


def test_what_does_not_fit_the_type_when_it_is_read_is_a_miss() -> None:
    one, other = Codec("app", type=User), Codec("app", type=Point)
    assert other.decode(b"k", put(one, User("x", Address("y"))), NOW) == ("schema",)
    other.schema = one.schema
    assert other.decode(b"k", put(one, User("x", Address("y"))), NOW) == ("decode",)


def test_models_as_pydantic_has_them() -> None:
    codec = Codec("app", type=Model)
    header = codec.header(put(codec, Model(3)))
    assert header is not None
    assert header.serializer == JSON
    again = through(codec, Model(3))
    assert (type(again), again.number) == (Model, 3)
    with pytest.raises(overdrive.SerializationError, match="value is a int, and type="):
        put(codec, 3)


def test_the_schema_changes_with_the_version_and_with_fields_at_any_depth() -> None:
    def user(of: Any) -> Any:
        return msgspec.defstruct("User", [("name", str), ("address", of)])

    def address(*fields: tuple[str, Any]) -> Any:
        return msgspec.defstruct("Address", list(fields))

    one = user(address(("street", str)))
    same = user(address(("street", str)))
    others = [user(address(("street", bytes))), user(address(("road", str))), list[one], user(str)]  # type: ignore[valid-type]
    assert schema_id(0, one) == schema_id(0, same)
    ids = {schema_id(0), schema_id(1), schema_id("1"), schema_id(0, one), schema_id(1, one)}
    ids |= {schema_id(0, other) for other in others}
    assert len(ids) == 9
    assert schema_id(0) == 0
    assert schema_id(0, Colour) != schema_id(0, User)
    assert schema_id(0, int | None) != schema_id(0, int)


def test_a_type_whose_annotations_cannot_be_looked_up_has_a_schema() -> None:
    one, other = (type("Unknown", (), {"__annotations__": {"field": name}}) for name in ("Missing", "Absent"))
    assert schema_id(0, one) == schema_id(0, one)
    assert schema_id(0, one) != schema_id(0, other)


def test_a_type_that_refers_to_itself_has_a_schema() -> None:
    assert schema_id(0, Node) == schema_id(0, Node)
    assert through(Codec("app", type=Node), Node(1, Node(2))) == Node(1, Node(2))


@dataclass
class Node:
    number: int
    next: Node | None = None


def test_clocks_that_are_apart_are_told_and_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    codec = Codec("app")
    blob = put(codec, 1)
    with caplog.at_level(logging.WARNING):
        assert codec.decode(b"k", blob, NOW - 60_000)[0] == 1
        assert caplog.records == []
        for _ in range(3):
            assert codec.decode(b"k", blob, NOW - 61_000)[0] == 1
    [record] = caplog.records
    assert record.getMessage() == "cache app: a stored value is from 61 s in the future; the clocks of two hosts differ"
    assert codec.refusals == {}


def test_variants_share_keys_and_counts() -> None:
    codec = Codec("app", secret=SECRET)
    users = codec.variant(type=User, version=3)
    blob = put(users, User("x", Address("y")))
    assert codec.decode(b"k", blob, NOW) == ("schema",)
    assert users.decode(b"k", blob, NOW)[0] == User("x", Address("y"))
    assert users.decode(b"l", blob, NOW) == ("mac",)
    assert codec.refusals == users.refusals == {"schema": 1, "mac": 1}
    assert through(codec, (1,)) == (1,)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"serializer": "yaml"}, "serializer must be one of auto, exact, json, msgpack, pickle, or a Serializer"),
        ({"serializer": Serializer(127, "mine", bytes, bytes)}, "must be from 128 to 255, got 127"),
        ({"serializer": Serializer(256, "mine", bytes, bytes)}, "must be from 128 to 255, got 256"),
        ({"serializer": "json", "type": User}, "serializer='json' does not go with it"),
        ({"type": set[list[object]] | dict[int, int] | list[int] | tuple[int, ...]}, "none that values can be made of"),
        ({"compression": "gzip"}, "compression must be 'zstd', 'lz4' or None, got 'gzip'"),
        ({"max_bytes": 0}, "max_bytes must be from 1 to"),
        ({"max_bytes": 1 << 32}, "max_bytes must be from 1 to"),
    ],
)
def test_options_that_cannot_work_are_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(overdrive.ConfigError) as caught:
        Codec("app", **options)
    assert told in str(caught.value)


def test_too_many_tags_are_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at most 254 tags"):
        put(Codec("app"), 1, epoch=1, tags=[str(number) for number in range(255)])
