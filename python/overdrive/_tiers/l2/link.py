"""A connection that waits: for a stream, and for what a server says unasked."""

from __future__ import annotations

import socket
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from overdrive._tiers.l2.connections import open_link
from overdrive._tiers.l2.resp import Push, ReplyError, pack_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from overdrive._tiers.l2.connections import Link
    from overdrive._tiers.l2.step import Argument
    from overdrive._tiers.l2.url import Address, Target

    Report: TypeAlias = list[bytes] | None

__all__ = ("BackplaneLink", "Waiting", "connector")


class BackplaneLink(Protocol):
    """What the backplane needs of a connection, that one thread has for itself.

    Any error of it, also one that the server replied with, means that it is of no use any more.
    """

    def ask(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """Send commands in one write and return their replies; an error reply is raised."""
        ...

    def on_report(self, handler: Callable[[Report], object]) -> None:
        """Set who is told, while `ask` waits, of keys that changed; None stands for all of them."""
        ...

    def abort(self) -> None:
        """Make an `ask` of another thread fail now."""
        ...

    def close(self) -> None:
        """Close it; may be called twice."""
        ...


class Waiting:
    """A `BackplaneLink` over a connection.

    Args:
        link: the connection.
        timeout: seconds for which replies are waited for.
    """

    __slots__ = ("_handler", "_link", "_timeout")

    def __init__(self, link: Link, timeout: float) -> None:
        self._link = link
        self._timeout = timeout
        self._handler: Callable[[Report], object] | None = None

    def ask(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """See `BackplaneLink`."""
        deadline = monotonic() + self._timeout
        self._link.send(pack_all(commands), deadline)
        return [self._reply(deadline) for _ in commands]

    def _reply(self, deadline: float) -> Any:  # noqa: ANN401 - what the parser makes of it
        while isinstance(reply := self._link.read(deadline), Push):
            if reply[0] == b"invalidate" and self._handler is not None:
                self._handler(reply[1])
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def on_report(self, handler: Callable[[Report], object]) -> None:
        """See `BackplaneLink`."""
        self._handler = handler

    def abort(self) -> None:
        """See `BackplaneLink`."""
        with suppress(OSError):  # closed already, which is what is wanted
            self._link._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See `BackplaneLink`."""
        self._link.close()


def connector(
    target: Target, find: Callable[[float], Address], *, reports: bool = False
) -> Callable[[float], BackplaneLink]:
    """Return what opens a link whose waits have the timeout that it is given, in seconds.

    Args:
        target: how to connect.
        find: the address of the server that has the keys of the namespace, found before a deadline.
        reports: whether the server is to be asked to report changes, which takes RESP3.
    """

    def connect(timeout: float) -> BackplaneLink:
        deadline = monotonic() + timeout
        address = find(deadline)
        protocol = 3 if reports else 2
        return Waiting(
            open_link(target, address, deadline=deadline, protocol=protocol, name="overdrive-listener"), timeout
        )

    return connect
