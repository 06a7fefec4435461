"""MessagePack and JSON, by msgspec, which is imported when the first value needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    _Codec = tuple[Callable[[Any], bytes], Callable[[bytes | memoryview], Any]]

__all__ = ("json", "msgpack", "msgpack_decoder")

_codecs: Final[dict[str, _Codec]] = {}


def msgpack() -> _Codec:
    """The functions that encode and decode MessagePack."""
    codec = _codecs.get("msgpack")
    if codec is None:
        from msgspec.msgpack import Decoder, Encoder

        codec = _codecs["msgpack"] = Encoder().encode, Decoder().decode
    return codec


def json() -> _Codec:
    """The functions that encode and decode JSON."""
    codec = _codecs.get("json")
    if codec is None:
        from msgspec.json import Decoder, Encoder

        codec = _codecs["json"] = Encoder().encode, Decoder().decode
    return codec


def msgpack_decoder(of: Any) -> Callable[[bytes | memoryview], Any]:
    """The function that decodes MessagePack as a type, and raises if it is none of it.

    Raises:
        TypeError: if msgspec does not know the type.
    """
    from msgspec.msgpack import Decoder

    return Decoder(of).decode
