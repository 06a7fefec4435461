"""A connection that waits: for a stream, and for what a server says unasked."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Protocol

from overdrive._tiers.l2.connections import require_client
from overdrive._tiers.l2.resp import Push, ReplyError, pack

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from overdrive._tiers.l2.connections import Link
    from overdrive._tiers.l2.route import Route
    from overdrive._tiers.l2.step import Argument

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
        route: the way that led to it, which is looked for anew when it fails.
        timeout: seconds for which replies are waited for.
    """

    __slots__ = ("_handler", "_link", "_route", "_timeout")

    def __init__(self, link: Link, route: Route, timeout: float) -> None:
        self._link = link
        self._route = route
        self._timeout = timeout
        self._handler: Callable[[Report], object] | None = None

    def ask(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """See `BackplaneLink`."""
        deadline = monotonic() + self._timeout
        try:
            self._link.send(b"".join(map(pack, commands)), deadline)
            return [self._reply(deadline) for _ in commands]
        except BaseException:
            self._route.forget(self._link.address)
            raise

    def _reply(self, deadline: float) -> Any:
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
        self._link.abort()

    def close(self) -> None:
        """See `BackplaneLink`."""
        self._link.close()


def connector(route: Route, *, reports: bool = False) -> Callable[[float], BackplaneLink]:
    """Return what opens a link whose waits have the timeout that it is given, in seconds.

    Args:
        route: the way to the server that holds the namespace.
        reports: whether the server is to be asked to report changes, which takes RESP3.
    """

    def connect(timeout: float) -> BackplaneLink:
        require_client()  # whose first import is no part of the wait
        link = route.open(monotonic() + timeout, protocol=3 if reports else 2, name="overdrive-listener")
        return Waiting(link, route, timeout)

    return connect
