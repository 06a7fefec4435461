"""When a process got no processor: what a busy machine adds to a delay is not the cache's."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from time import monotonic, sleep

from tests.tiers.history.checker import Stale

Interval = tuple[float, float]

NAP = 0.002
SHORTEST = 0.002


class Meter:
    """A thread that naps, and remembers from when to when it overslept: other threads were held up as well."""

    def __init__(self) -> None:
        self.intervals: list[Interval] = []
        self._stopping = threading.Event()
        threading.Thread(target=self._measure, name="meter", daemon=True).start()

    def stop(self) -> list[Interval]:
        """Stop, and return the intervals."""
        self._stopping.set()
        return self.intervals

    def _measure(self) -> None:
        while not self._stopping.is_set():
            due = monotonic() + NAP
            sleep(NAP)
            awake = monotonic()
            if awake - due > SHORTEST:
                self.intervals.append((due, awake))


def unexplained(stale: Stale, holdups: Iterable[Interval]) -> float:
    """Return how stale a read was without the time in which processes that have a part in it were held up."""
    begin, end = stale.read.began - stale.seconds, stale.read.began
    left = stale.seconds
    covered = begin
    for start, stop in sorted(holdups):
        start, stop = max(start, covered), min(stop, end)
        if start < stop:
            left -= stop - start
            covered = stop
    return left
