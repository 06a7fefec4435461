"""What writes a value, by number. `docs/envelope.md` lists the numbers; one that was given out is never reused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from overdrive.exceptions import SerializationError

__all__ = (
    "BYTES",
    "EXACT",
    "FIRST_OF_USERS",
    "JSON",
    "MSGPACK",
    "PICKLE",
    "RAW",
    "STR",
    "Part",
    "Payload",
    "Reader",
    "Serializer",
    "ValueTooLargeError",
)

Part: TypeAlias = bytes | memoryview
Reader: TypeAlias = Callable[[bytes | memoryview], Any]

BYTES: Final = 0
STR: Final = 1
MSGPACK: Final = 2
JSON: Final = 3
PICKLE: Final = 4
RAW: Final = 5
EXACT: Final = 6
FIRST_OF_USERS: Final = 128


class Payload(NamedTuple):
    """What a serializer made of a value.

    Attributes:
        serializer: its number.
        data: bytes, or several pieces that follow each other.
        flags: bits for the header of the envelope.
    """

    serializer: int
    data: Part | tuple[Part, ...]
    flags: int = 0

    @property
    def length(self) -> int:
        """How many bytes it is."""
        parts = self.data if isinstance(self.data, tuple) else (self.data,)
        return sum(part.nbytes if isinstance(part, memoryview) else len(part) for part in parts)


class Serializer(NamedTuple):
    """A serializer of the user's own.

    Attributes:
        id: its number in envelopes, from 128 to 255; it must stay the same.
        name: what it is called in messages.
        dumps: makes bytes of a value; may raise.
        loads: makes the value of the bytes. It is called with bytes that were checked, and signed if there is a
            secret; whatever it raises makes the value a miss.
    """

    id: int
    name: str
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


class ValueTooLargeError(SerializationError):
    """A value takes more bytes than values may."""

    def __init__(self, size: int | None, limit: int) -> None:
        told = f"a value of {size:,} bytes" if size is not None else "the value"
        super().__init__(f"{told} exceeds max_bytes={limit:,}")


Serializer.__module__ = "overdrive"
