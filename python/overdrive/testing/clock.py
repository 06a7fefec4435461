"""A clock that stands still until it is told to move."""

from __future__ import annotations

from math import inf, isfinite
from threading import RLock
from typing import TYPE_CHECKING

from overdrive._memoize.options import seconds as in_seconds

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ("FakeClock",)


class FakeClock:
    """A clock for tests: a callable that gives the time in seconds, which passes only when the test says so.

    It is the `clock` of `memoize`, the `timer` of `TTLCache`, `TLRUCache` and `ttl_cache`, and whatever else takes a
    function such as `time.monotonic`. A clock that was copied or pickled goes its own way from the time that it had;
    so does that of a cache that was copied deeply or pickled.

    Args:
        start: the first time that it gives: seconds, or a `timedelta`, of any sign.

    Raises:
        TypeError: a time is neither a number nor a `timedelta`.
        ValueError: a time is infinite or NaN.

    Cost: a call reads an attribute. Thread-safe.

    Example:
        >>> from overdrive import memoize
        >>> clock = FakeClock()
        >>> @memoize(ttl=60, clock=clock)
        ... def square(n):
        ...     return n * n
        >>> square(3), square.cached(3)
        (9, True)
        >>> clock.advance(60)
        >>> square.cached(3)
        False
    """

    __slots__ = ("__weakref__", "_lock", "_now")

    def __init__(self, start: float | timedelta = 0.0) -> None:
        self._lock = RLock()  # a finalizer that advances the clock may run while the clock is advanced
        self._now = _finite("start", start)

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self._now

    def advance(self, seconds: float | timedelta) -> None:
        """Let time pass: seconds, or a `timedelta`.

        Advances by several threads add up.

        Raises:
            ValueError: `seconds` is negative: `set` turns the clock back.
        """
        by = _finite("seconds", seconds)
        if by < 0:
            raise ValueError(f"time does not pass backwards, got {seconds!r}; set() turns the clock back")
        with self._lock:
            self._now = _finite("the time", self._now + by)

    def set(self, now: float | timedelta) -> None:
        """Make it `now`: later or earlier, as a system's clock may be turned either way."""
        time = _finite("now", now)
        with self._lock:
            self._now = time

    def __reduce__(self) -> tuple[type[FakeClock], tuple[float]]:
        return type(self), (self._now,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._now!r})"


def _finite(name: str, value: float | timedelta) -> float:
    time = in_seconds(name, value, least=-inf)
    if not isfinite(time):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return time
