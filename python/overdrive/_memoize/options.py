"""The options of `memoize`, checked: every bad one is refused before anything is decorated."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, MutableMapping
from math import inf, isnan
from typing import TYPE_CHECKING, NamedTuple

from overdrive._core import (
    AdaptiveCache,
    ARCCache,
    Cache,
    FIFOCache,
    LFUCache,
    LIRSCache,
    LRUCache,
    RRCache,
    S3FIFOCache,
    SieveCache,
    TwoQCache,
    WTinyLFUCache,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import timedelta
    from typing import Any, TypeAlias

    _Seconds: TypeAlias = float | timedelta

__all__ = ("POLICIES", "Options", "check", "seconds")

POLICIES: dict[str, type[Cache[Any, Any]]] = {
    "lru": LRUCache,
    "lfu": LFUCache,
    "fifo": FIFOCache,
    "rr": RRCache,
    "arc": ARCCache,
    "2q": TwoQCache,
    "s3fifo": S3FIFOCache,
    "sieve": SieveCache,
    "lirs": LIRSCache,
    "wtinylfu": WTinyLFUCache,
    "adaptive": AdaptiveCache,
}
"""Eviction policies by name."""


class Options(NamedTuple):
    """What a function was decorated with. Times are in seconds; infinite or zero ones say that there is no limit.

    Attributes:
        maxsize: how many results to keep; infinite for all.
        ttl: how long a result is fresh, or a function of the result that says so.
        exceptions: exception types and for how long each is kept, in the order in which they are tried.
        clock: the time in seconds; `None` for `time.monotonic` read natively.
    """

    maxsize: float = 1024
    policy: str = "lru"
    ttl: float | Callable[[Any], Any] = inf
    idle: float = inf
    jitter: float = 0.0
    stale: float = 0.0
    stale_if_error: float = 0.0
    early: float = 0.0
    key: Callable[..., Hashable] | None = None
    typed: bool = False
    normalize: bool = False
    freeze: bool = False
    exceptions: tuple[tuple[type[BaseException], float], ...] = ()
    single_flight: bool = True
    wait_timeout: float | None = None
    cache: MutableMapping[Any, Any] | Callable[[Any], MutableMapping[Any, Any]] | None = None
    clock: Callable[[], float] | None = None
    method: bool | None = None
    timed: bool = False

    @property
    def now(self) -> Callable[[], float]:
        """The clock, as a function."""
        return time.monotonic if self.clock is None else self.clock

    @property
    def is_simply_timed(self) -> bool:
        """Whether a result needs no more than a fixed time to live, if that."""
        extras = (self.jitter, self.stale, self.stale_if_error, self.early, self.exceptions)
        return not callable(self.ttl) and not any(extras)

    def new_cache(self) -> Cache[Any, Any]:
        """Return an empty cache of the size and policy asked for."""
        if self.maxsize == inf:
            return Cache(inf)  # nothing is ever evicted, so no order has to be kept
        return POLICIES[self.policy](self.maxsize)


def seconds(name: str, value: _Seconds, *, least: float = 0.0) -> float:
    """Return a time as a number of seconds.

    Raises:
        TypeError: it is neither a number nor a `timedelta`.
        ValueError: it is less than `least`, or NaN.
    """
    if not isinstance(value, (int, float)):
        from datetime import timedelta

        if isinstance(value, timedelta):
            value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds or a timedelta, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an int of hundreds of digits
        raise ValueError(f"{name} must be at most 1e308 seconds") from None
    if isnan(number) or number < least:
        raise ValueError(f"{name} must be at least {least:g} seconds, got {value!r}")
    return number


def check(
    *,
    maxsize: float | None,
    policy: str,
    ttl: _Seconds | Callable[[Any], Any] | None,
    idle: _Seconds | None,
    jitter: float,
    stale: _Seconds | None,
    stale_if_error: _Seconds | None,
    early: float | None,
    key: Callable[..., Hashable] | None,
    typed: bool,
    normalize: bool,
    freeze: bool,
    exceptions: _Exceptions | None,
    single_flight: bool,
    wait_timeout: _Seconds | None,
    cache: MutableMapping[Any, Any] | Callable[[Any], MutableMapping[Any, Any]] | None,
    clock: Callable[[], float] | None,
    method: bool | None,
) -> Options:
    """Return the options, each checked.

    Raises:
        TypeError: an option has the wrong type.
        ValueError: it is out of range, or contradicts another one.
    """
    lives = ttl if callable(ttl) else inf if ttl is None else seconds("ttl", ttl)
    for name, flag in (
        ("typed", typed),
        ("normalize", normalize),
        ("freeze", freeze),
        ("single_flight", single_flight),
    ):
        if not isinstance(flag, bool):
            raise TypeError(f"{name} must be a bool, got {flag!r}")
    if not (method is None or isinstance(method, bool)):
        raise TypeError(f"method must be a bool or None, got {method!r}")
    timed = any(option is not None for option in (ttl, idle, stale, stale_if_error, early, exceptions))
    if not timed and (jitter or clock is not None):
        raise ValueError("jitter and clock need a time option, such as ttl")
    if lives == inf and not (ttl is not None and callable(ttl)) and (stale is not None or early is not None):
        raise ValueError("stale and early need a ttl: without one nothing is ever out of date")
    if key is not None and (typed or normalize or freeze):
        raise ValueError("typed, normalize and freeze say how the key is made; key replaces that: give one of them")
    for name, function in (("key", key), ("clock", clock)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} must be callable, got {function!r}")
    return Options(
        maxsize=_maxsize(maxsize),
        policy=_policy(policy),
        ttl=lives,
        idle=inf if idle is None else seconds("idle", idle),
        jitter=_fraction("jitter", jitter),
        stale=0.0 if stale is None else seconds("stale", stale),
        stale_if_error=0.0 if stale_if_error is None else seconds("stale_if_error", stale_if_error),
        early=0.0 if early is None else _factor("early", early),
        key=key,
        typed=typed,
        normalize=normalize,
        freeze=freeze,
        exceptions=_errors(exceptions, lives),
        single_flight=single_flight,
        wait_timeout=None if wait_timeout is None else seconds("wait_timeout", wait_timeout),
        cache=_cache(cache),
        clock=_clock(clock) if timed else None,
        method=method,
        timed=timed,
    )


def _maxsize(maxsize: float | None) -> float:
    if maxsize is None:
        return inf
    if isinstance(maxsize, bool) or not isinstance(maxsize, (int, float)):
        raise TypeError(f"maxsize must be a number or None, got {maxsize!r}")
    if not maxsize >= 0:
        raise ValueError(f"maxsize must be at least 0, got {maxsize!r}")
    return maxsize


def _policy(policy: str) -> str:
    if not isinstance(policy, str) or policy not in POLICIES:
        raise ValueError(f"policy must be one of {', '.join(map(repr, POLICIES))}, got {policy!r}")
    return policy


def _fraction(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be between 0 and 1, a fraction of the ttl, got {value!r}")
    return float(value)


def _factor(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 <= value <= sys.float_info.max:
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r:.40}")
    return float(value)


# What a cache needs that is not registered as a mapping.
_MAPPING = ("__getitem__", "__setitem__", "pop", "clear", "keys")


def _cache(
    cache: MutableMapping[Any, Any] | Callable[[Any], MutableMapping[Any, Any]] | None,
) -> MutableMapping[Any, Any] | Callable[[Any], MutableMapping[Any, Any]] | None:
    if cache is None or isinstance(cache, MutableMapping):
        return cache
    if not isinstance(cache, type) and (callable(cache) or all(hasattr(cache, name) for name in _MAPPING)):
        return cache
    raise TypeError(f"cache must be a mutable mapping, or for methods a function of the instance, got {cache!r}")


def _clock(clock: Callable[[], float] | None) -> Callable[[], float] | None:
    if clock is None or clock is time.monotonic:
        # Elsewhere the clock cannot be read natively.
        return None if sys.platform == "linux" else time.monotonic
    return clock


if TYPE_CHECKING:
    _Exceptions: TypeAlias = (
        type[BaseException] | tuple[type[BaseException], ...] | Mapping[type[BaseException], _Seconds]
    )


def _errors(
    exceptions: _Exceptions | None, ttl: float | Callable[[Any], Any]
) -> tuple[tuple[type[BaseException], float], ...]:
    if exceptions is None:
        return ()
    if isinstance(exceptions, Mapping):
        kinds = {kind: seconds(f"exceptions[{kind!r}]", lives) for kind, lives in exceptions.items()}
    elif callable(ttl):
        raise ValueError("exceptions must be a mapping of types to seconds, since ttl is a function of results")
    else:
        kinds = {}
        for kind in exceptions if isinstance(exceptions, tuple) else (exceptions,):
            kinds[_exception_type(kind)] = ttl
    return tuple((_exception_type(kind), lives) for kind, lives in kinds.items())


def _exception_type(kind: type[BaseException]) -> type[BaseException]:
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        raise TypeError(f"exceptions must be subclasses of Exception, got {kind!r}")
    return kind
