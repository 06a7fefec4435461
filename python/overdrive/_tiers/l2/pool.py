"""The connections of blocking code: at most so many, each used by one thread at a time."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from overdrive._tiers.l2.connections import Link
    from overdrive._tiers.l2.route import Route

__all__ = ("Pool", "PoolExhausted")


class PoolExhausted(Exception):  # noqa: N818 - a state that passes
    """All connections were in use until the deadline."""


class Pool:
    """Connections to where a route leads.

    Args:
        route: the way.
        size: how many connections there may be, >= 1.
        name: what they are called in `CLIENT LIST`.
    """

    def __init__(self, route: Route, size: int, name: str) -> None:
        self._route = route
        self._size: Final = size
        self._name = name
        self._changed = threading.Condition()
        self._idle: list[Link] = []  # the last one used is the first one taken: the others may be closed by the server
        self._count = 0  # of all, idle or in use or about to be opened
        self._waiting = 0
        self._closed = False

    @property
    def count(self) -> int:
        """How many connections there are."""
        return self._count

    @property
    def idle(self) -> int:
        """How many of them nobody uses."""
        return len(self._idle)

    def take(self, deadline: float, *, fresh: bool = False) -> Link:
        """Return a connection for the caller alone, which must `give` it back or `discard` it.

        Args:
            deadline: on `time.monotonic`, for waiting and connecting together.
            fresh: one that was never used; those that nobody uses are closed, as one of their age turned out dead.

        Raises:
            PoolExhausted: none became free.
            OSError: none was free, and opening another failed.
        """
        with self._changed:
            if fresh:
                self._close_idle()
            while True:
                if self._idle:
                    return self._idle.pop()
                if self._count < self._size:
                    self._count += 1
                    break
                self._waiting += 1
                try:
                    if not self._changed.wait(deadline - monotonic()):
                        raise PoolExhausted
                finally:
                    self._waiting -= 1
        try:
            return self._route.open(deadline, name=self._name)
        except BaseException:
            self._forget()
            raise

    def give(self, link: Link) -> None:
        """Take back a connection on which every request was answered."""
        with self._changed:
            if not self._closed and link.address == self._route.address:
                self._idle.append(link)
                if self._waiting:
                    self._changed.notify()
                return
        self.discard(link)

    def discard(self, link: Link) -> None:
        """Close a connection on which a reply may still come, or none any more."""
        link.close()
        self._forget()

    def close(self) -> None:
        """Close the connections that nobody uses, and the others when they are given back."""
        with self._changed:
            self._closed = True
            self._close_idle()

    def abandon(self) -> None:
        """Close, in a process that was forked, its copies of the parent's connections."""
        for link in self._idle:
            link.close()

    def _forget(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify()

    def _close_idle(self) -> None:
        self._count -= len(self._idle)
        for link in self._idle:
            link.close()
        self._idle.clear()
