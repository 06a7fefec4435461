"""The leases that this process holds: extended while their loads go on, however long these take."""

from __future__ import annotations

import os
from threading import Event, RLock, Thread
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from overdrive._tiers.log import logger
from overdrive.exceptions import TierUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Leases",)

# A lease is extended when this part of it is over: then one lost request does not lose it.
_EXTEND_AFTER = 1 / 3
# The thread ends when there has been nothing to extend for so long, in seconds.
_IDLE_SECONDS = 30.0


class _Held(NamedTuple):
    key: bytes
    token: bytes


class Leases:
    """Leases under which something is being loaded.

    Args:
        extend: called as `extend(key, token)`, in a thread; raises `TierUnavailable` if it cannot.
        lease_seconds: how long a lease lasts unless it is extended.
    """

    def __init__(self, extend: Callable[[bytes, bytes], object], lease_seconds: float) -> None:
        self._extend = extend
        self._period = lease_seconds * _EXTEND_AFTER
        self._held: dict[_Held, float] = {}  # since when
        self._lock = RLock()
        self._wake = Event()
        self._thread: Thread | None = None
        self._pid = os.getpid()
        self._is_closed = False

    def hold(self, token: bytes, key: bytes) -> None:
        """Extend a lease from now on."""
        self._held[_Held(key, token)] = monotonic()
        if self._thread is None or self._pid != os.getpid():
            self._start()

    def drop(self, token: bytes, key: bytes) -> None:
        """Extend it no more."""
        self._held.pop(_Held(key, token), None)

    def close(self) -> None:
        """Extend nothing any more."""
        self._is_closed = True
        self._held.clear()
        self._wake.set()

    def _start(self) -> None:
        if self._pid != os.getpid():  # in the child of a fork: the lock and the thread are the parent's
            self._lock, self._wake, self._thread, self._pid = RLock(), Event(), None, os.getpid()
        with self._lock:
            if self._thread is None and not self._is_closed:
                self._thread = Thread(target=self._work, name="overdrive leases", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # no more threads: loads that take longer than their lease will not be kept
                    self._thread = None

    def _work(self) -> None:
        idle_since = monotonic()
        while not self._wake.wait(self._period):
            now = monotonic()
            for held in [held for held, since in list(self._held.items()) if now - since >= self._period]:
                try:
                    self._extend(held.key, held.token)
                except TierUnavailable:
                    break  # it is counted there, and tried again
                except Exception:  # noqa: BLE001 - a thread of its own: there is nobody to raise it to
                    logger().exception("a lease could not be extended")
            if self._held:
                idle_since = now
            elif now - idle_since > _IDLE_SECONDS:
                with self._lock:
                    if not self._held:
                        self._thread = None
                        return
