"""The breaker: after failures it answers in the place of the server, until a probe finds it back.

closed: calls go through. open: no call does, until a time. half-open: one call does, the probe; it closes the breaker,
or opens it for twice as long. One breaker serves threads and event loops alike, so it never waits for anything.
"""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    State: TypeAlias = Literal["closed", "open", "half-open"]

__all__ = ("Breaker", "BreakerStats", "Change")

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"

IN_A_ROW: Final = 5
WINDOW: Final = 10  # seconds
SAMPLE: Final = 20
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
#: A probe that never reports, as its event loop was stopped, must not keep the breaker half-open for good.
LONGEST_PROBE: Final = 5.0


class Change(NamedTuple):
    """A change of state.

    Attributes:
        old: the state before.
        new: the state now.
        reason: why, in words: the last failure.
        pause: seconds until a probe is let through, if it opened.
        lasted: seconds that the breaker had been other than closed.
    """

    old: State
    new: State
    reason: str
    pause: float
    lasted: float


class BreakerStats(NamedTuple):
    """What a breaker did so far."""

    state: State
    opened: int
    refused: int
    failures: int
    probes: int
    reason: str


class Breaker:
    """Decides whether a call may be tried.

    Args:
        clock: seconds, monotonic.
        jitter: makes of a pause in seconds the one that is waited, so that not all processes probe at once.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float], float] = lambda pause: pause * random.uniform(0.8, 1.2),
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._listeners: list[Callable[[Change], None]] = []
        self._lock = threading.RLock()
        self._state: State = CLOSED
        self._permit = 1  # of this state; results of calls that were let through in another one do not count
        self._in_a_row = 0
        self._calls = [0] * WINDOW
        self._errors = [0] * WINDOW
        self._second = 0
        self._pause = FIRST_PAUSE
        self._until = 0.0
        self._since = 0.0
        self._reason = ""
        self._opened = self._refused = self._failures = self._probes = 0

    @property
    def state(self) -> State:
        """The state as of the last call."""
        return self._state

    @property
    def reason(self) -> str:
        """The last failure, in words."""
        return self._reason

    @property
    def retry_in(self) -> float:
        """Seconds until a probe is let through; 0 if one is."""
        return max(0.0, self._until - self._clock()) if self._state != CLOSED else 0.0

    def subscribe(self, listener: Callable[[Change], None]) -> None:
        """Have `listener` called at every change, by the thread whose call caused it."""
        self._listeners.append(listener)

    def admit(self) -> int:
        """Ask for a call to be let through.

        Returns:
            A permit, to be handed to `succeed`, `fail` or `release`; 0 if the call must not be tried.
        """
        if self._state == CLOSED:
            return self._permit
        with self._lock:
            if self.state == CLOSED:
                return self._permit
            now = self._clock()
            if now < self._until:
                self._refused += 1
                return 0
            change = None if self._state == HALF_OPEN else self._enter(HALF_OPEN, now)
            self._until = now + LONGEST_PROBE
            self._permit += 1
            self._probes += 1
            permit = self._permit
        self._tell(change)
        return permit

    def retry(self) -> None:
        """Let a probe through now, as there are signs that the server is back."""
        with self._lock:
            if self._state == OPEN:
                self._until = self._clock()

    def succeed(self, permit: int) -> None:
        """Report that the server answered."""
        with self._lock:
            if permit != self._permit:
                return
            self._in_a_row = 0
            if self._state == CLOSED:
                self._calls[self._slot(self._clock())] += 1
                return
            change = self._enter(CLOSED, self._clock())
        self._tell(change)

    def fail(self, permit: int, reason: str) -> None:
        """Report that the server did not answer, or not in time."""
        with self._lock:
            self._failures += 1
            if permit != self._permit:
                return
            now = self._clock()
            self._reason = reason
            if self._state == CLOSED:
                self._in_a_row += 1
                slot = self._slot(now)
                self._calls[slot] += 1
                self._errors[slot] += 1
                calls = sum(self._calls)
                if self._in_a_row < IN_A_ROW and (calls < SAMPLE or 2 * sum(self._errors) < calls):
                    return
            change = self._enter(OPEN, now)
        self._tell(change)

    def release(self, permit: int) -> None:
        """Report that the call did not get as far as the server."""
        with self._lock:
            if self._state == HALF_OPEN and permit == self._permit:
                self._until = self._clock()

    def stats(self) -> BreakerStats:
        """Return what it did so far."""
        with self._lock:
            return BreakerStats(self._state, self._opened, self._refused, self._failures, self._probes, self._reason)

    def after_fork(self) -> None:
        """Make it usable in a process that was forked while another thread may have held its lock."""
        self._lock = threading.RLock()

    def _slot(self, now: float) -> int:
        second = int(now)
        passed = second - self._second
        if passed:
            for step in range(1, min(passed, WINDOW) + 1):
                slot = (self._second + step) % WINDOW
                self._calls[slot] = self._errors[slot] = 0
            self._second = second
        return second % WINDOW

    def _enter(self, new: State, now: float) -> Change:
        old = self._state
        pause = 0.0
        self._permit += 1
        if old == CLOSED:
            self._since = now
        if new == OPEN:
            self._pause = FIRST_PAUSE if old == CLOSED else min(2 * self._pause, LONGEST_PAUSE)
            pause = self._jitter(self._pause)
            self._until = now + pause
            self._opened += old == CLOSED
        elif new == CLOSED:
            self._in_a_row = 0
            self._calls = [0] * WINDOW
            self._errors = [0] * WINDOW
        self._state = new
        return Change(old, new, self._reason, pause, now - self._since)

    def _tell(self, change: Change | None) -> None:
        if change is not None:
            for listener in self._listeners:
                listener(change)
