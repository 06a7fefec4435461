"""Computing what is absent from a cache, once for all who ask for it meanwhile.

The rules of waiting are those of `memoize`, and so is the code: a call of `get_or_load` looks like that of a
memoized function to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overdrive._memoize.lifetimes import Verdict
from overdrive._memoize.options import Options, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from datetime import timedelta
    from typing import Any

    from overdrive._core import _MemoryCache
    from overdrive._memoize.flight import Landing

__all__ = ("Loading",)

_ABSENT: Any = object()
# The ttl of a loaded value that is not in a `WithTTL`; those are not negative.
_UNSAID = -1.0


class Loading:
    """One call of `get_or_load` or `aget_or_load`, as the functions that load the results of `memoize` see it.

    Hits, misses and loads are counted by the cache; a call that waited for another one is a miss that loaded nothing.
    """

    __slots__ = ("__wrapped__", "_flight", "_flights", "_key", "_name", "_options", "_tags", "_ticket", "_ttl", "cache")

    _forgets = 0

    def __init__(
        self,
        cache: _MemoryCache[Any, Any],
        flights: dict[Hashable, Any],
        key: Hashable,
        loader: Callable[[Any], Any],
        ttl: float | timedelta | None,
        tags: str | Iterable[str] | None,
        wait_timeout: float | None,
    ) -> None:
        self.cache = cache
        self.__wrapped__ = loader
        self._flight: Landing | None = None
        self._flights = flights
        self._key = key
        self._name = getattr(loader, "__qualname__", None) or type(loader).__qualname__
        self._ttl, self._tags = cache._checked(ttl, tags)
        timeout = None if wait_timeout is None else seconds("wait_timeout", wait_timeout)
        self._options = Options(ttl=_UNSAID, wait_timeout=timeout, timed=True)
        self._ticket = 0

    def _look(self, key: Hashable) -> tuple[Any, str]:
        # The request was counted by the caller, who found nothing.
        value = self.cache.peek(key, _ABSENT)
        return value, Verdict.GONE if value is _ABSENT else Verdict.FRESH

    def _count_hit(self) -> None:
        """Count nothing: the cache has counted the request."""

    def _count_miss(self) -> None:
        self._ticket = self.cache._begin_load(self._key, self._tags)

    def _count_load(self, seconds: float) -> None:
        self.cache._count_load(seconds, False)

    def _count_error(self) -> None:
        self.cache._end_load(self._ticket)

    def _is_wanted(self, _key: Hashable, flight: Landing | None, _forgets: int) -> bool:
        self._flight = flight
        return True  # the cache decides when it stores: its ticket says what happened meanwhile

    def _store(self, key: Hashable, value: object, ttl: float, _seconds: float) -> None:
        lifetime = self._ttl if ttl == _UNSAID else ttl
        try:
            self.cache._set_loaded(key, value, self._ticket, lifetime, self._tags)
        except BaseException as error:  # as that of a weigher: all who wait have asked for what raised it
            flight, self._flight = self._flight, None
            self._land(key, flight)
            if flight is not None:
                flight.end_with(error)
            raise

    def _store_error(self, _key: Hashable, _error: BaseException, seconds: float) -> None:
        # Nothing is kept: the next call tries again.
        self.cache._count_load(seconds, True)

    def _land(self, key: Hashable, flight: Landing | None) -> None:
        if flight is not None and self._flights.get(key) is flight:
            del self._flights[key]
