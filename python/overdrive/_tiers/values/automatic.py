"""Choosing a serializer by the value: the fastest that gives back the very same types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overdrive._core import _encode_value, _plainness
from overdrive._tiers.values import arrays, messages
from overdrive._tiers.values.blame import blame
from overdrive._tiers.values.serializers import BYTES, EXACT, JSON, MSGPACK, STR, Payload, ValueTooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("write", "write_exact", "write_json", "write_msgpack")

UNKNOWN = "which is not stored outside of memory; declare it by type=..., or use serializer='pickle'"


def write(value: object, limit: int) -> Payload:
    """A value by whatever suits it.

    Raises:
        SerializationError: if nothing gives it back as it is.
    """
    kind = type(value)
    if kind is bytes:
        return Payload(BYTES, value)  # type: ignore[arg-type]
    if kind is str:
        try:
            return Payload(STR, value.encode())  # type: ignore[attr-defined]
        except UnicodeEncodeError:
            return write_exact(value, limit)  # it has lone surrogates
    if _plainness(value, limit):
        return Payload(MSGPACK, messages.msgpack()[0](value))
    buffer = None
    if kind is memoryview:
        buffer = arrays.write_memoryview(value)  # type: ignore[arg-type]
    elif kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        buffer = arrays.write_array(value)
    return write_exact(value, limit) if buffer is None else buffer


def write_exact(value: object, limit: int) -> Payload:
    """A value of built-in types, with its types."""
    try:
        return Payload(EXACT, _encode_value(value, limit))
    except TypeError as error:
        raise blame(value, _fits(_encode_value, limit), UNKNOWN) from error
    except ValueError as error:
        if str(error).startswith("takes more"):
            raise ValueTooLargeError(None, limit) from None
        raise blame(value, _fits(_encode_value, limit), f"which {error}") from error


def write_msgpack(value: object, limit: int) -> Payload:
    """A value as MessagePack, if that gives it back as it is."""
    if _plainness(value, limit):
        return Payload(MSGPACK, messages.msgpack()[0](value))
    why = "which MessagePack does not give back as it is; use serializer='auto'"
    raise blame(value, lambda part: _plainness(part, limit) > 0, why)


def write_json(value: object, limit: int) -> Payload:
    """A value as JSON, if that gives it back as it is."""
    if _plainness(value, limit) > 1:
        return Payload(JSON, messages.json()[0](value))
    why = "which JSON does not give back as it is; use serializer='auto'"
    raise blame(value, lambda part: _plainness(part, limit) > 1, why)


def _fits(encode: Callable[[object, int], bytes], limit: int) -> Callable[[object], bool]:
    def is_fine(part: object) -> bool:
        try:
            encode(part, limit)
        except (TypeError, ValueError):
            return False
        return True

    return is_fine
