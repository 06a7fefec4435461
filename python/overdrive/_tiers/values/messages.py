"""MessagePack and JSON, by msgspec, which is imported when the first value needs it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("json", "msgpack", "msgpack_decoder")


@cache
def msgpack() -> tuple[Callable[[Any], bytes], Callable[[bytes | memoryview], Any]]:
    """The functions that encode and decode MessagePack."""
    from msgspec.msgpack import Decoder, Encoder

    return Encoder().encode, Decoder().decode


@cache
def json() -> tuple[Callable[[Any], bytes], Callable[[bytes | memoryview], Any]]:
    """The functions that encode and decode JSON."""
    from msgspec.json import Decoder, Encoder

    return Encoder().encode, Decoder().decode


def msgpack_decoder(of: Any) -> Callable[[bytes | memoryview], Any]:
    """The function that decodes MessagePack as a type, and raises if it is none of it.

    Raises:
        TypeError: if msgspec does not know the type.
    """
    from msgspec.msgpack import Decoder

    return Decoder(of).decode
