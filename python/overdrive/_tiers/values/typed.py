"""Values of a declared type: dataclasses, structs of msgspec, models of pydantic, and containers of them.

Such a value is written without its types, and made again from the declaration, which refuses what does not fit.
Before it is written, it is seen whether it comes back as it is: annotations say what is expected, not what is there.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING, Any

from overdrive._tiers.values import messages
from overdrive._tiers.values.blame import blame, name_of
from overdrive._tiers.values.serializers import JSON, MSGPACK, Payload
from overdrive.exceptions import ConfigError, SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from overdrive._tiers.values.serializers import Reader

__all__ = ("typed",)

REFUSALS = (TypeError, ValueError, OverflowError, RecursionError)


def typed(of: Any) -> tuple[Callable[[object, int], Payload], dict[int, Reader]]:
    """The function that writes values of a type, and those that read them, by the number of the serializer.

    Raises:
        ConfigError: if values cannot be made of the type.
    """
    if hasattr(of, "model_validate_json") and hasattr(of, "model_dump_json"):
        return _model(of)
    encode = messages.msgpack()[0]
    try:
        decode = messages.msgpack_decoder(of)
    except TypeError as error:
        raise ConfigError(f"type={of!r} is none that values can be made of: {error}") from error

    def is_fine(value: object) -> bool:
        try:
            encode(value)
        except REFUSALS:
            return False
        return True

    def write(value: object, limit: int) -> Payload:  # noqa: ARG001 - it is measured when it is written
        try:
            data = encode(value)
        except REFUSALS as error:
            raise blame(value, is_fine, "which msgspec does not write", attributes=True) from error
        _compare(value, data, decode, of)
        return Payload(MSGPACK, data)

    return write, {MSGPACK: decode}


def _model(of: Any) -> tuple[Callable[[Any, int], Payload], dict[int, Reader]]:
    def read(payload: bytes | memoryview) -> object:
        value: object = of.model_validate_json(bytes(payload))
        return value

    def write(value: Any, limit: int) -> Payload:  # noqa: ARG001 - it is measured when it is written
        if type(value) is not of:
            raise SerializationError(f"value is a {name_of(type(value))}, and type={of!r}")
        data: bytes = value.model_dump_json().encode()
        _compare(value, data, read, of)
        return Payload(JSON, data)

    return write, {JSON: read}


def _compare(value: object, data: bytes, decode: Reader, of: object) -> None:
    try:
        again = decode(data)
    except ValueError as error:  # as msgspec's and pydantic's errors are
        raise SerializationError(f"value is not of type={of!r}: {error}") from error
    difference = _difference(value, again, "value")
    if difference is not None:
        raise SerializationError(f"{difference} if it is read as type={of!r}")


def _difference(value: Any, again: Any, path: str) -> str | None:
    """Where two values differ, in types or in what they are; None if they do not."""
    kind = type(value)
    if kind is not type(again):
        return f"{path} is a {name_of(kind)}, and would come back as a {name_of(type(again))}"
    if isinstance(value, dict | list | tuple) and len(value) != len(again):
        return f"{path} would come back with another length"
    if isinstance(value, dict):
        keys = list(zip(value, again, strict=True))
        pairs = [(f" (its key {key!r})", key, key_again) for key, key_again in keys]
        pairs += [(f"[{key!r}]", value[key], again[key_again]) for key, key_again in keys]
    elif isinstance(value, list | tuple):
        pairs = [(f"[{index}]", *items) for index, items in enumerate(zip(value, again, strict=True))]
    elif (names := _field_names(value)) is not None:
        pairs = [(f".{name}", getattr(value, name), getattr(again, name)) for name in names]
    elif isinstance(value, datetime | time):  # which are equal in different time zones
        return None if repr(value) == repr(again) else f"{path} would come back as {again!r}"
    else:
        is_same = value == again or (value != value and again != again)
        return None if is_same else f"{path} would come back as another {name_of(kind)}"
    for step, part, part_again in pairs:
        difference = _difference(part, part_again, path + step)
        if difference is not None:
            return difference
    return None


def _field_names(value: Any) -> list[str] | None:
    if is_dataclass(value):
        return [field.name for field in fields(value)]
    names = getattr(value, "__struct_fields__", None) or getattr(type(value), "model_fields", None)
    return None if names is None else list(names)
