"""How one cached call runs: plainly, under a lock, or as a single flight.

Hits in a cache of ours are answered natively, by the base class `Memo`, unless code of the user's takes part in
the lookup. All other calls are passed on to one of the three functions below. They differ in what guards the cache.
Common to them is that the wrapped function runs outside all locks, that an exception is passed on and nothing is
stored, and that a value which the cache refuses because of its size (`ValueError`) is returned all the same.

User code may run at any access to the cache, the key or the lock, and may call the wrapper again. So
nothing is carried from one access to the next but what the caller's own frame holds.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from overdrive._core import Cache, Memo
from overdrive._info import cache_info
from overdrive._pending import Flight, Flights
from overdrive._plan import plan
from overdrive.keys import hashkey, typedkey

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, MutableMapping
    from contextlib import AbstractContextManager
    from typing import Any, Protocol, type_check_only

    from overdrive._info import CacheInfo
    from overdrive._plan import Plan

    @type_check_only
    class SupportsCondition(AbstractContextManager[Any], Protocol):
        """What a condition must offer: a lock to enter, and the two ends of a wait."""

        def wait(self) -> object: ...
        def notify_all(self) -> object: ...


__all__ = ("CachedCall", "Counted", "native_key", "native_lookup")


class CachedCall(Memo):
    """A callable with a cache: what its subclasses for functions and for methods share.

    The attributes are slots: a call reads several of them, and a slot is the fastest to read.
    """

    __slots__ = ("_compute", "_flights", "_plain_key", "cache_key")

    # Slots of the wrapper of a function; computed from the instance in that of a method.
    cache: Any
    cache_lock: Any
    cache_condition: Any
    cache_key: Callable[..., Hashable]

    def __init__(
        self,
        compute: Callable[..., Any],
        key: Callable[..., Hashable],
        plain_key: Callable[..., Hashable] | None,
        *,
        lock: bool,
        condition: bool,
        native: Plan,
    ) -> None:
        slow = _call_single_flight if condition else _call_locked if lock else _call_plainly
        super().__init__(compute, plan(slow=slow, forward=True, cachetools_keys=True) | native)
        self._compute = compute
        if condition:
            self._flights = Flights()
        # A key function that returns its positional arguments as they came need not be called.
        self._plain_key = plain_key
        self.cache_key = key

    def cache_clear(self) -> None:
        """Remove all results from the cache, and count hits and misses from zero."""
        with self._guard():
            self.cache.clear()
            self._reset()

    def _guard(self) -> AbstractContextManager[Any]:
        lock: AbstractContextManager[Any] | None = self.cache_lock
        return nullcontext() if lock is None else lock


class Counted(CachedCall):
    """A callable with a cache that tells its statistics."""

    __slots__ = ()

    def cache_info(self) -> CacheInfo:
        """Return the hits and misses so far, and the size of the cache.

        The counts are exact if there is a lock or a condition. Otherwise some calls that ran at the same time
        in several threads may be missing.
        """
        with self._guard():
            hits, misses, *_ = self._counts()
            return cache_info(self.cache, hits, misses)


def _call_plainly(self: CachedCall, /, *args: object, **kwargs: object) -> object:
    """Look up, compute, store; threads that miss at the same time all compute, and all store."""
    cache = self.cache
    cache_key = self.cache_key
    key = args if cache_key is self._plain_key and not kwargs else cache_key(*args, **kwargs)
    try:
        value = cache[key]
    except KeyError:
        self._count_miss()
    else:
        self._count_hit()
        return value
    value = self._compute(*args, **kwargs)
    _store(cache, key, value)
    return value


def _call_locked(self: CachedCall, /, *args: object, **kwargs: object) -> object:
    """As plainly, but each access is locked; of the threads that all compute, the first one stores."""
    cache = self.cache
    cache_key = self.cache_key
    key = args if cache_key is self._plain_key and not kwargs else cache_key(*args, **kwargs)
    lock = self.cache_lock
    with lock:
        try:
            value = cache[key]
        except KeyError:
            self._count_miss()
        else:
            self._count_hit()
            return value
    value = self._compute(*args, **kwargs)
    with lock:
        try:
            return cache.setdefault(key, value)
        except ValueError:
            return value


def _call_single_flight(self: CachedCall, /, *args: object, **kwargs: object) -> object:
    """As locked, but threads that miss the same key wait for the one that computes it."""
    cache = self.cache
    cache_key = self.cache_key
    key = args if cache_key is self._plain_key and not kwargs else cache_key(*args, **kwargs)
    lock = self.cache_lock
    condition = self.cache_condition
    flights = self._flights
    flight = None
    try:
        with lock:
            if flights:
                flights.wait(key, condition)
            try:
                value = cache[key]
            except KeyError:
                # Known to this frame before it is known to others, so that `finally` always ends it.
                flight = Flight()
                flights.begin(key, flight)
                self._count_miss()
            else:
                self._count_hit()
                return value
        value = self._compute(*args, **kwargs)
        with lock:
            _store(cache, key, value)
        return value
    finally:
        if flight is not None:
            with lock:
                flights.end(key, flight, condition)


def _store(cache: MutableMapping[Any, Any], key: Hashable, value: object) -> None:
    try:
        cache[key] = value
    except ValueError:
        return


def native_lookup(cache: MutableMapping[Any, Any]) -> Cache[Any, Any] | None:
    """Return the cache if hits in it may be looked up natively: if it is ours and its class does not override that."""
    if not isinstance(cache, Cache):
        return None
    for kind in type(cache).__mro__:
        if kind.__module__ in ("overdrive", "overdrive._core"):
            return cache
        if "__getitem__" in kind.__dict__:
            return None
    return None


def native_key(key: Callable[..., Hashable]) -> Plan:
    """Return how keys are made natively as this key function makes them."""
    if key is hashkey:
        return {}
    return {"typed": True} if key is typedkey else {"key": key}
