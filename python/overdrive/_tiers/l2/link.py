"""A connection to Redis that one thread has for itself."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from overdrive._tiers.l2.step import Argument

__all__ = ("ConnectionLink", "Link")


class Link(Protocol):
    """A connection of its own: for requests that block, and for what a server says unasked.

    Every error of it means that it is of no use any more.
    """

    def ask(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """Send commands in one write and return their replies; an error reply is raised."""
        ...

    def on_invalidation(self, handler: Callable[[list[bytes] | None], object]) -> None:
        """Set who is told of keys that the server reports as changed, None for all of them, while `ask` waits."""
        ...

    def abort(self) -> None:
        """Make an `ask` of another thread fail now."""
        ...

    def close(self) -> None:
        """Close it; may be called twice."""
        ...


class ConnectionLink:
    """A `Link` over a connection of redis-py that is connected, speaks RESP3 and belongs to no pool."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - of a class that only `connections` knows
        self._connection = connection

    def ask(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """See `Link`."""
        connection = self._connection
        if connection._sock is None:
            # It would connect by itself, and what was agreed upon on the old connection would be lost unnoticed.
            raise ConnectionError("the connection is closed")
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        return [connection.read_response() for _ in commands]

    def on_invalidation(self, handler: Callable[[list[bytes] | None], object]) -> None:
        """See `Link`."""
        self._connection._parser.set_invalidation_push_handler(lambda push: handler(push[1]))

    def abort(self) -> None:
        """See `Link`."""
        with suppress(OSError):  # not connected any more, which is what is wanted
            if (sock := self._connection._sock) is not None:
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See `Link`."""
        self._connection.disconnect()
