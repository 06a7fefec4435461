"""How commands and replies are written: RESP 2 and 3, parsed by hiredis if it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, TypeAlias

    from overdrive._tiers.l2.step import Argument

    #: Whatever a command replies with.
    Reply: TypeAlias = Any

try:
    import hiredis
except ImportError:
    hiredis = None  # type: ignore[assignment]

__all__ = ("NOTHING", "ProtocolError", "Push", "Reader", "ReplyError", "make_reader", "pack")

#: What a reader returns when the rest of a reply has not arrived.
NOTHING: Final = object()


class ReplyError(Exception):
    """An error that the server replied with; it is returned like any other reply."""

    @property
    def code(self) -> str:
        """The first word, which is what programs go by."""
        return str(self).partition(" ")[0]


class ProtocolError(ConnectionError):
    """What arrived is no RESP: another service listens there, or bytes were lost."""


class Reader(Protocol):
    """Makes replies of bytes."""

    def feed(self, data: bytes, /) -> object:
        """Take what arrived."""

    def gets(self) -> Reply:
        """Return the next reply, or `NOTHING` if it has not arrived completely."""


class _Push(list["Reply"]):
    """A message that no command asked for (RESP 3)."""

    __slots__ = ()


class PythonReader:
    """The reader for where hiredis is not installed."""

    __slots__ = ("_at", "_data", "_parsing")

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0
        self._parsing: Generator[None, None, Reply] | None = None

    def feed(self, data: bytes, /) -> None:
        """Take what arrived."""
        self._data += data

    def gets(self) -> Reply:
        """Return the next reply, or `NOTHING` if it has not arrived completely.

        Raises:
            ProtocolError: what arrived is no RESP.
        """
        parsing = self._parsing or self._value()
        try:
            next(parsing)
        except StopIteration as done:
            self._parsing = None
            del self._data[: self._at]
            self._at = 0
            return done.value
        self._parsing = parsing
        return NOTHING

    def _line(self) -> Generator[None, None, bytes]:
        searched = self._at
        while (end := self._data.find(b"\r\n", searched)) < 0:
            searched = max(self._at, len(self._data) - 1)
            yield
        line = bytes(self._data[self._at : end])
        self._at = end + 2
        return line

    def _bytes(self, size: int) -> Generator[None, None, bytes]:
        while len(self._data) < self._at + size + 2:
            yield
        content = bytes(self._data[self._at : self._at + size])
        self._at += size + 2
        return content

    def _values(self, count: int) -> Generator[None, None, list[Reply]]:
        values: list[Reply] = []
        while len(values) < count:
            values.append((yield from self._value()))
        return values

    def _value(self) -> Generator[None, None, Reply]:
        line = yield from self._line()
        kind, rest = line[:1], line[1:]
        try:
            match kind:
                case b"+":
                    return rest
                case b"-":
                    return ReplyError(rest.decode(errors="replace"))
                case b":" | b"(":
                    return int(rest)
                case b"_":
                    return None
                case b"#":
                    return rest == b"t"
                case b",":
                    return float(rest)
            size = int(rest)
        except ValueError:
            raise ProtocolError(f"not a reply of Redis: {line[:40]!r}") from None
        if size < 0:
            return None
        match kind:
            case b"$":
                return (yield from self._bytes(size))
            case b"=":
                return (yield from self._bytes(size))[4:]
            case b"!":
                return ReplyError((yield from self._bytes(size)).decode(errors="replace"))
            case b"*" | b"~":
                return (yield from self._values(size))
            case b">":
                return _Push((yield from self._values(size)))
            case b"%":
                flat = yield from self._values(2 * size)
                return dict(zip(flat[::2], flat[1::2], strict=True))
        raise ProtocolError(f"not a reply of Redis: {line[:40]!r}")


def _pack(command: tuple[Argument, ...], /) -> bytes:
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        content = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(content), content))
    return b"".join(parts)


if hiredis is None:
    pack: Callable[[tuple[Argument, ...]], bytes] = _pack
    #: A message that no command asked for (RESP 3).
    Push: type[list[Reply]] = _Push

    def make_reader() -> Reader:
        """Return a reader for a new connection."""
        return PythonReader()
else:
    pack = hiredis.pack_command  # type: ignore[assignment] # its stub describes tuples of one
    Push = hiredis.PushNotification

    def make_reader() -> Reader:
        """Return a reader for a new connection."""
        return hiredis.Reader(protocolError=ProtocolError, replyError=ReplyError, notEnoughData=NOTHING)
