"""Decorators that bring their own cache, after the manner of `functools.lru_cache`.

Each has the arguments and the attributes of `functools.lru_cache`, and works bare or called. They differ in
which result leaves the cache when it is full. All are thread-safe, and single flight: of the threads that
call a function with the same arguments at the same time, one computes and the others wait for its result.
"""

from __future__ import annotations

import random
import time
from math import inf
from threading import RLock
from typing import TYPE_CHECKING, ParamSpec, TypeVar, overload

from overdrive._cached import CountedFunction
from overdrive._core import Cache, FIFOCache, LFUCache, LRUCache, RRCache, TTLCache
from overdrive._pending import new_condition
from overdrive.keys import hashkey, typedkey

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence
    from typing import Any, Concatenate, Self, TypedDict, type_check_only

    from overdrive._info import CacheInfo

    @type_check_only
    class CacheParameters(TypedDict):
        """The arguments that a function was decorated with."""

        maxsize: float | None
        typed: bool


__all__ = ("fifo_cache", "lfu_cache", "lru_cache", "rr_cache", "ttl_cache")

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R = TypeVar("_R")
_S = TypeVar("_S")
_T = TypeVar("_T")

_MAXSIZE = 128


class _MemoizedFunction(CountedFunction[_P, _R]):
    """A function with a cache of its own, as returned by the decorators of this module."""

    __slots__ = ("_maxsize", "_typed")

    _locks_itself = True

    def __init__(
        self, func: Callable[_P, _R], cache: MutableMapping[Any, Any], maxsize: float | None, typed: bool
    ) -> None:
        # The lock is given beside its condition because it is the quicker one to enter.
        lock = RLock()
        super().__init__(func, cache, typedkey if typed else hashkey, lock, new_condition(lock))
        self._maxsize = maxsize
        self._typed = typed

    if TYPE_CHECKING:

        @overload
        def __get__(self, obj: None, objtype: type | None = None, /) -> Self: ...
        @overload
        def __get__(
            self: Callable[Concatenate[_S, _Q], _R], obj: _S, objtype: type | None = None, /
        ) -> _MemoizedFunction[_Q, _R]: ...
        @overload
        def __get__(self, obj: object, objtype: type | None = None, /) -> Self: ...
        def __get__(self, obj: object, objtype: type | None = None, /) -> object: ...

    def cache_info(self) -> CacheInfo:
        """Return the hits and misses so far, `maxsize` as it was given, and the size of the cache."""
        return super().cache_info()._replace(maxsize=self._maxsize)

    def cache_parameters(self) -> CacheParameters:
        """Return the arguments that all decorators have in common, as a new dictionary."""
        return {"maxsize": self._maxsize, "typed": self._typed}


def _memoize(
    maxsize: float | Callable[_P, _R] | None,
    typed: bool,
    new_cache: Callable[[float], MutableMapping[Any, Any]],
    new_unbounded: Callable[[], MutableMapping[Any, Any]] = lambda: Cache(inf),
) -> _MemoizedFunction[_P, _R] | Callable[[Callable[_P, _R]], _MemoizedFunction[_P, _R]]:
    """Return a decorator; or the decorated function, if `maxsize` is that because the decorator is bare."""
    limit = _MAXSIZE if callable(maxsize) else maxsize

    def decorate(func: Callable[_P, _R]) -> _MemoizedFunction[_P, _R]:
        return _MemoizedFunction(func, new_unbounded() if limit is None else new_cache(limit), limit, typed)

    return decorate(maxsize) if callable(maxsize) else decorate


@overload
def fifo_cache(maxsize: Callable[_P, _R], typed: bool = False) -> _MemoizedFunction[_P, _R]: ...
@overload
def fifo_cache(
    maxsize: float | None = 128, typed: bool = False
) -> Callable[[Callable[_P, _R]], _MemoizedFunction[_P, _R]]: ...
def fifo_cache(
    maxsize: float | Callable[_P, _R] | None = _MAXSIZE, typed: bool = False
) -> _MemoizedFunction[_P, _R] | Callable[[Callable[_P, _R]], _MemoizedFunction[_P, _R]]:
    """Decorate a function to keep its latest `maxsize` results, and drop the oldest one first (FIFO).

    Args:
        maxsize: how many results to keep; 0 keeps none, `None` all.
        typed: if true, equal arguments of different types, as 1 and 1.0, have results of their own.

    Returns:
        The decorated function, or a decorator if called without a function. It has the attributes
        `cache_info()`, `cache_clear()`, `cache_parameters()` and `__wrapped__`.

    Raises:
        ValueError: if `maxsize` is negative.

    Cost: O(1) for each call. Thread-safe; concurrent calls with equal arguments compute once.

    Example:
        >>> @fifo_cache(maxsize=2)
        ... def double(n):
        ...     return 2 * n
        >>> double(1), double(2), double(1), double(3)
        (2, 4, 2, 6)
        >>> double.cache_info()
        CacheInfo(hits=1, misses=3, maxsize=2, currsize=2)
    """
    return _memoize(maxsize, typed, FIFOCache)


@overload
def lfu_cache(maxsize: Callable[_P, _R], typed: bool = False) -> _MemoizedFunction[_P, _R]: ...
@overload
def lfu_cache(
    maxsize: float | None = 128, typed: bool = False
) -> Callable[[Callable[_P, _R]], _MemoizedFunction[_P, _R]]: ...
def lfu_cache(
    maxsize: float | Callable[_P, _R] | None = _MAXSIZE, typed: bool = False
) -> _MemoizedFunction[_P, _R] | Callable[[Callable[_P, _R]], _MemoizedFunction[_P, _R]]:
    """Decorate a function to keep `maxsize` results, and drop the least frequently used one first (LFU).

    Args:
        maxsize: how many results to keep; 0 keeps none, `None` all.
        typed: if true, equal arguments of different types, as 1 and 1.0, have results of their own.

    Returns:
        The decorated function, or a decorator; see `fifo_cache`.

    Raises:
        ValueError: if `maxsize` is negative.

    Cost: O(1) for each call. Thread-safe; concurrent calls with equal arguments compute once.

    Example:
        >>> @lfu_cache
        ... def double(n):
        ...     return 2 * n
        >>> double(1), double.cache_info().maxsize
        (2, 128)
    """
    return _memoize(maxsize, typed, LFUCache)


@overload
def lru_cache(maxsize: Callable[_P, _R], typed: bool = False) -> _MemoizedFunction[_P, _R]: ...
@overload
def lru_cache(
    maxsize: float | None = 128, typed: bool = False
) -> Callable[[Callable[_P, _R]], _MemoizedFunction[_P, _R]]: ...
def lru_cache(
    maxsize: float | Callable[_P, _R] | None = _MAXSIZE, typed: bool = False
) -> _MemoizedFunction[_P, _R] | Callable[[Callable[_P, _R]], _MemoizedFunction[_P, _R]]:
    """Decorate a function to keep `maxsize` results, and drop the least recently used one first (LRU).

    Args:
        maxsize: how many results to keep; 0 keeps none, `None` all.
        typed: if true, equal arguments of different types, as 1 and 1.0, have results of their own.

    Returns:
        The decorated function, or a decorator; see `fifo_cache`.

    Raises:
        ValueError: if `maxsize` is negative.

    Cost: O(1) for each call. Thread-safe; concurrent calls with equal arguments compute once.

    Example:
        >>> @lru_cache(maxsize=None)
        ... def fibonacci(n):
        ...     return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
        >>> fibonacci(90)
        2880067194370816120
    """
    return _memoize(maxsize, typed, LRUCache)


@overload
def rr_cache(
    maxsize: Callable[_P, _R], choice: Callable[[Sequence[_T]], _T] = ..., typed: bool = False
) -> _MemoizedFunction[_P, _R]: ...
@overload
def rr_cache(
    maxsize: float | None = 128, choice: Callable[[Sequence[_T]], _T] = ..., typed: bool = False
) -> Callable[[Callable[_P, _R]], _MemoizedFunction[_P, _R]]: ...
def rr_cache(
    maxsize: float | Callable[_P, _R] | None = _MAXSIZE,
    choice: Callable[[Sequence[Any]], Any] = random.choice,
    typed: bool = False,
) -> _MemoizedFunction[_P, _R] | Callable[[Callable[_P, _R]], _MemoizedFunction[_P, _R]]:
    """Decorate a function to keep `maxsize` results, and drop one at random first (RR).

    Args:
        maxsize: how many results to keep; 0 keeps none, `None` all.
        choice: picks the key to drop from a list of all keys.
        typed: if true, equal arguments of different types, as 1 and 1.0, have results of their own.

    Returns:
        The decorated function, or a decorator; see `fifo_cache`.

    Raises:
        ValueError: if `maxsize` is negative.

    Cost: O(1) for each hit, and one `choice` for each miss of a full cache. Thread-safe; concurrent calls
    with equal arguments compute once.

    Example:
        >>> @rr_cache(maxsize=2, choice=min)
        ... def double(n):
        ...     return 2 * n
        >>> double(1), double(2), double(3), sorted(double.cache.values())
        (2, 4, 6, [4, 6])
    """
    return _memoize(maxsize, typed, lambda maxsize: RRCache(maxsize, choice))


@overload
def ttl_cache(
    maxsize: Callable[_P, _R], ttl: object = 600, timer: Callable[[], object] = ..., typed: bool = False
) -> _MemoizedFunction[_P, _R]: ...
@overload
def ttl_cache(
    maxsize: float | None = 128, ttl: object = 600, timer: Callable[[], object] = ..., typed: bool = False
) -> Callable[[Callable[_P, _R]], _MemoizedFunction[_P, _R]]: ...
def ttl_cache(
    maxsize: float | Callable[_P, _R] | None = _MAXSIZE,
    ttl: object = 600,
    timer: Callable[[], object] = time.monotonic,
    typed: bool = False,
) -> _MemoizedFunction[_P, _R] | Callable[[Callable[_P, _R]], _MemoizedFunction[_P, _R]]:
    """Decorate a function to keep `maxsize` results for a time, and drop the least recently used one first.

    Args:
        maxsize: how many results to keep; 0 keeps none, `None` all that have not expired.
        ttl: for how long a result is used: seconds, with the default timer; otherwise anything that can be
            added to what the timer returns, as a `timedelta` to a `datetime`.
        timer: returns the time now.
        typed: if true, equal arguments of different types, as 1 and 1.0, have results of their own.

    Returns:
        The decorated function, or a decorator; see `fifo_cache`.

    Raises:
        ValueError: if `maxsize` is negative.

    Cost: O(1) for each call, amortised over expired results. Thread-safe; concurrent calls with equal
    arguments compute once.

    Example:
        >>> now = 0
        >>> @ttl_cache(ttl=10, timer=lambda: now)
        ... def double(n):
        ...     return 2 * n
        >>> double(1), double.cache_info().currsize
        (2, 1)
        >>> now = 10
        >>> double.cache_info().currsize
        0
    """

    def new_cache(maxsize: float) -> TTLCache[Any, Any, Any]:
        return TTLCache(maxsize, ttl, timer)

    return _memoize(maxsize, typed, new_cache, lambda: new_cache(inf))
