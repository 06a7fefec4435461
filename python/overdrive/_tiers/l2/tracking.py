"""Invalidation by whoever changes a value in Redis without telling: another program, `redis-cli`, expiry, a flush.

The server reports the keys under a prefix that change (`CLIENT TRACKING ON BCAST`), on the connection that the
listener polls. A report precedes, on that connection, the reply to whatever was asked after the change, so a poll that
returned has seen the changes from before it, as it has seen the entries of the stream.

A report carries neither version nor author, and this process's own writes are reported too. Dropping what it just
stored would make every load a load and a read; so for a key that it wrote itself, the version that the value has now
is read from its header and compared. That costs one short read, on a second connection, per value that this process
writes. The fills of other nodes outdate the copy that this one holds: one read of Redis per fill and node. Reports that
are missed cannot be had again: every new connection suspects everything.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from overdrive._tiers.l2.link import BackplaneLink

__all__ = ("Tracking",)

HEADER_BYTES = 56


class Tracking:
    """Tells which reported keys were changed by others; thread-safe.

    Args:
        version_of: the version in the first bytes of a value; None if they are no header.
        capacity: how many writes of this process are remembered until they are reported, > 0.

    Attributes:
        reports: how many keys were reported.
        own: how many of them were this process's own writes.
    """

    __slots__ = ("_capacity", "_lock", "_version_of", "_written", "own", "reports")

    def __init__(self, version_of: Callable[[bytes], int | None], *, capacity: int = 10_000) -> None:
        self._version_of = version_of
        self._capacity = capacity
        self._written: dict[bytes, int] = {}
        self._lock = RLock()
        self.reports = 0
        self.own = 0

    def writing(self, key: bytes, version: int) -> None:
        """Remember what is about to be written; to be called before it is sent."""
        with self._lock:
            self._written.pop(key, None)
            self._written[key] = version
            if len(self._written) > self._capacity:
                # The oldest may still be reported: it is then taken for a change by someone else.
                del self._written[next(iter(self._written))]

    def after_fork(self) -> None:
        """Have written nothing, in a child process: a thread that is not here may have been changing the table."""
        self._lock = RLock()
        self._written = {}

    def start(self, link: BackplaneLink, prefix: bytes) -> None:
        """Ask the server to report changes of values on this link."""
        link.ask(("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", prefix + b"v:"))

    def foreign(self, reported: Sequence[bytes], prefix: bytes, ask: Callable[..., list[Any]]) -> list[bytes]:
        """Return the keys that someone else changed, without their prefix.

        Args:
            reported: the keys of values, as the server reports them.
            prefix: what all keys of the namespace begin with.
            ask: reads headers: sends commands on a second link and returns their replies, empty if it cannot.
        """
        values = prefix + b"v:"
        keys = [name[len(values) :] for name in reported if name.startswith(values)]
        self.reports += len(keys)
        with self._lock:
            found = {key: self._written.pop(key, None) for key in keys}
            written = {key: version for key, version in found.items() if version is not None}
        own = self._unchanged(written, values, ask) if written else set()
        self.own += len(own)
        return [key for key in keys if key not in own]

    def _unchanged(self, written: dict[bytes, int], values: bytes, ask: Callable[..., list[Any]]) -> set[bytes]:
        headers = ask(*(("GETRANGE", values + key, 0, HEADER_BYTES - 1) for key in written))
        return {
            key
            for (key, version), header in zip(written.items(), headers, strict=True)
            if header and self._version_of(header) == version
        }
