"""Counting why envelopes are refused, and telling of those that somebody may have forged."""

from __future__ import annotations

import logging
from collections import Counter
from math import inf
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Final

from overdrive._core import xxh3_64

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Alarm",)

logger = logging.getLogger("overdrive.values")

# What chance alone does not do, or only by a fault of memory or disk.
SECURITY: Final = frozenset({"mac", "key", "bomb", "checksum"})
QUIET: Final = 60.0


class Alarm:
    """Counts refusals by their reason, and logs each of the security reasons at most once a minute.

    What is logged are numbers and the hash of a key: neither keys nor values.
    """

    def __init__(self, namespace: str, clock: Callable[[], float] = monotonic) -> None:
        self._namespace: Final = namespace
        self._clock: Final = clock
        self._lock: Final = RLock()
        self._counts: Final[Counter[str]] = Counter()
        self._told: Final[dict[str, float]] = {}
        self._told_counts: Final[Counter[str]] = Counter()

    @property
    def counts(self) -> dict[str, int]:
        """How many were refused, by reason."""
        with self._lock:
            return dict(self._counts)

    def refuse(self, reason: str, key: bytes) -> None:
        """Take note of a refusal."""
        with self._lock:
            self._counts[reason] += 1
            if reason not in SECURITY or not self._may_tell(reason):
                return
            count = self._counts[reason]
            before, self._told_counts[reason] = self._told_counts[reason], count
        logger.warning(
            "cache %s: refused a stored value (%s), %d since the last message; the hash of its key is %016x",
            self._namespace,
            reason,
            count - before,
            xxh3_64(key),
        )

    def tell_skew(self, seconds: float) -> None:
        """Tell that a value is from the future, by so much."""
        with self._lock:
            if not self._may_tell("skew"):
                return
        logger.warning(
            "cache %s: a stored value is from %.0f s in the future; the clocks of two hosts differ",
            self._namespace,
            seconds,
        )

    def _may_tell(self, what: str) -> bool:
        now = self._clock()
        if now - self._told.get(what, -inf) < QUIET:
            return False
        self._told[what] = now
        return True
