"""A probe of the backplane: what is written through one connection has to arrive at the listener.

A proxy, a managed service or a version of a client that swallows notices looks like a cache that nobody invalidates.
"""

from __future__ import annotations

import threading
import weakref
from logging import getLogger
from os import getpid, urandom
from time import monotonic
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from overdrive._tiers.l2.listener import Listener

__all__ = ("Canary", "CanaryHealth")

_log = getLogger("overdrive")

CanaryState: TypeAlias = Literal["idle", "healthy", "unhealthy", "unknown"]
REASON = "the canary was not heard"


class CanaryHealth(NamedTuple):
    """What the last probe came to.

    Attributes:
        state: `"healthy"`, `"unhealthy"`: it was written and did not arrive; `"unknown"`: it could not be written,
            which says nothing about what others write; `"idle"`: there was none yet.
        latency: seconds from before it was written until it had arrived; None if it did not.
        probes: how many there were.
        failures: how many were not heard.
    """

    state: CanaryState
    latency: float | None
    probes: int
    failures: int


class Canary:
    """Probes the backplane when it starts and then from time to time; while unhealthy, memory is not trusted.

    Its `heard` is to be called with the token of every probe that arrives, and with every key that is reported as
    changed.

    Args:
        listener: what is probed.
        write: writes a probe with a token, through another connection than the listener's; raises if it cannot.
        touch: sets the value of a key, so that the server has to report it; None if reports are not used.
        interval: seconds between probes, > 0.
    """

    def __init__(
        self,
        listener: Listener,
        write: Callable[[bytes], object],
        *,
        touch: Callable[[bytes], object] | None = None,
        interval: float = 60.0,
    ) -> None:
        if not interval > 0:
            raise ValueError(f"interval must be greater than 0 s, got {interval!r}")
        self._listener = listener
        self._write = write
        self._touch = touch
        self._interval = interval
        self._state: CanaryState = "idle"
        self._latency: float | None = None
        self._probes = self._failures = 0
        self._expected: dict[bytes, threading.Event] = {}
        self._closing = threading.Event()
        self._pid = 0

    def start(self) -> None:
        """Probe from now on, in a daemon thread; does nothing if this process does so already."""
        if self._pid != getpid() and not self._closing.is_set():
            self._pid = getpid()
            self._closing = threading.Event()  # the one of a parent process may be held by a thread that is not here
            threading.Thread(
                target=_run, args=(weakref.ref(self), self._closing), name="overdrive-canary", daemon=True
            ).start()

    def close(self) -> None:
        """Probe no more."""
        self._closing.set()

    def heard(self, token: bytes) -> None:
        """Take in that a token, or a report of it as a key, arrived; those of others are none of its business."""
        if (event := self._expected.get(token)) is not None:
            event.set()

    def probe(self) -> CanaryHealth:
        """Probe now, which takes at most the bound of staleness after what was written is acknowledged."""
        self._probes += 1
        token = b"canary-" + urandom(8).hex().encode()
        ways = [self._write] if self._touch is None else [self._write, self._touch]
        began = monotonic()
        for way in ways:
            arrived = self._expected[token] = threading.Event()
            try:
                way(token)
                if not arrived.wait(self._listener.max_staleness):
                    # Without a connection nothing can arrive, and memory is not trusted either.
                    attached = self._listener.health().state == "attached"
                    return self._conclude("unhealthy" if attached else "unknown", None)
            except Exception as error:  # noqa: BLE001 - an outage, which others report
                _log.debug("the canary could not be written: %r", error)
                return self._conclude("unknown", None)
            finally:
                del self._expected[token]
        return self._conclude("healthy", monotonic() - began)

    def health(self) -> CanaryHealth:
        """Return what the last probe came to."""
        return CanaryHealth(self._state, self._latency, self._probes, self._failures)

    def _conclude(self, state: CanaryState, latency: float | None) -> CanaryHealth:
        before, self._state, self._latency = self._state, state, latency
        if state == "unhealthy":
            self._failures += 1
            self._listener.hold(REASON)
            if before != state:
                _log.error(
                    "notices do not arrive within %s s: memory is not trusted until they do",
                    self._listener.max_staleness,
                )
        elif state == "healthy":
            self._listener.release(REASON)
            if self._failures and before != state:
                _log.info("notices arrive again, after %.1f ms", (latency or 0.0) * 1000)
        return self.health()

    def _wait(self) -> float:
        # After a failure the next probe comes soon: it is what ends the distrust.
        return self._interval if self._state in ("idle", "healthy") else min(self._interval, 1.0)


def _run(reference: weakref.ref[Canary], closing: threading.Event) -> None:
    wait = 0.0
    while not closing.wait(wait):
        canary = reference()
        if canary is None:
            return
        # Before the first attach nothing can be heard.
        if canary._listener.attach_id and canary._listener.health().state == "attached":
            canary.probe()
            wait = canary._wait()
        else:
            wait = min(canary._interval, 0.05)
        del canary
