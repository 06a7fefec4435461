"""Whether the disk is well: reads and writes, writes shed, or nothing at all, and when to look again.

One line is logged per change of state; what happens in between is counted.
"""

from __future__ import annotations

import enum
import logging
import threading
import time

__all__ = ("Condition", "State")

_log = logging.getLogger("overdrive.disk")
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0


class State(enum.Enum):
    """What the tier still does."""

    OK = "ok"
    """Everything."""
    FULL = "full"
    """Reads and deletes; writes are shed."""
    OFF = "off"
    """Nothing; reads are misses, deletes are remembered."""


class Condition:
    """The state, and the backoff of the probes that may end it. Thread-safe.

    `state`, `reason` and `since` (seconds since the epoch) are for reading.
    """

    def __init__(self, where: str) -> None:
        self.state = State.OK
        self.reason = ""
        self.since = time.time()
        self.changes = 0
        self._where = where
        self._wait = _FIRST_WAIT
        self._retry_at = 0.0
        self._lock = threading.RLock()

    def worsen(self, state: State, reason: str) -> None:
        """Note a failure: change to `state` unless it is worse already, and wait longer before the next probe."""
        with self._lock:
            if self.state is State.OFF and state is State.FULL:
                return
            self._retry_at = time.monotonic() + self._wait
            self._wait = min(self._wait * 2, _LONGEST_WAIT)
            if self.state is not state:
                self._change(state, reason)
                _log.warning("disk tier %s: %s (%s)", self._where, state.value, reason)

    def recover(self) -> None:
        """Note that everything works."""
        with self._lock:
            self._wait = _FIRST_WAIT
            if self.state is not State.OK:
                self._change(State.OK, "")
                _log.warning("disk tier %s: ok again", self._where)

    def probe_is_due(self) -> bool:
        """Whether somebody should look again; true for one caller per wait."""
        if time.monotonic() < self._retry_at:
            return False
        with self._lock:
            now = time.monotonic()
            if now < self._retry_at or self.state is State.OK:
                return False
            self._retry_at = now + self._wait
            return True

    def probe_now(self) -> None:
        """Make the next probe due."""
        self._retry_at = 0.0

    def after_fork(self) -> None:
        """Start over with a lock that no thread of the parent holds."""
        self._lock = threading.RLock()

    def _change(self, state: State, reason: str) -> None:
        self.state, self.reason, self.since = state, reason, time.time()
        self.changes += 1
