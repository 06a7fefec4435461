"""The decorator for functions: one wrapper, with one cache, for each function."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, overload

from overdrive._calls import CachedCall, Counted, native_key, native_lookup
from overdrive.keys import hashkey

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, MutableMapping
    from contextlib import AbstractContextManager
    from typing import Any, Concatenate, Literal, Self

    from overdrive._calls import SupportsCondition

__all__ = ("CachedFunction", "CountedFunction", "cached")

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R = TypeVar("_R")
_S = TypeVar("_S")
_K = TypeVar("_K")


class CachedFunction(CachedCall, Generic[_P, _R]):
    """A function with a cache, as returned by `cached`.

    Like a function, it binds to the instance when it is found on a class, and it is pickled and copied
    by name.

    Attributes:
        cache: the mapping that holds the results.
        cache_key: the function that makes the key from the arguments.
        cache_lock: what guards the cache; the condition if only that was given; or `None`.
        cache_condition: what calls wait on for each other, or `None`.
    """

    __slots__ = ("cache", "cache_condition", "cache_lock")

    __wrapped__: Callable[_P, _R]
    __name__: str
    __qualname__: str
    cache: MutableMapping[Any, Any]
    cache_key: Callable[..., Any]
    cache_lock: AbstractContextManager[Any] | None
    cache_condition: SupportsCondition | None

    def __init__(
        self,
        func: Callable[_P, _R],
        cache: MutableMapping[Any, Any],
        key: Callable[..., Hashable],
        lock: AbstractContextManager[Any] | None = None,
        condition: SupportsCondition | None = None,
    ) -> None:
        super().__init__(
            func,
            key,
            plain_key=hashkey,
            lock=lock is not None,
            condition=condition is not None,
            native={
                # A condition is Python code, which would have to run for each hit.
                "cache": native_lookup(cache) if condition is None or self._locks_itself else None,
                "lock": None if self._locks_itself else lock,
                **native_key(key),
            },
        )
        update_wrapper(self, func)
        self.cache = cache
        self.cache_lock = condition if lock is None else lock
        self.cache_condition = condition

    # Whether the lock is its own, so that nobody can hold it to keep others from the cache.
    _locks_itself = False

    if TYPE_CHECKING:

        def __call__(self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
        @overload
        def __get__(self, obj: None, objtype: type | None = None, /) -> Self: ...
        @overload
        def __get__(
            self: Callable[Concatenate[_S, _Q], _R], obj: _S, objtype: type | None = None, /
        ) -> CachedFunction[_Q, _R]: ...
        @overload
        def __get__(self, obj: object, objtype: type | None = None, /) -> Self: ...
        def __get__(self, obj: object, objtype: type | None = None, /) -> object: ...

    def __reduce__(self) -> str:
        return self.__qualname__

    def __repr__(self) -> str:
        return f"<cached {self.__wrapped__!r}>"


class CountedFunction(Counted, CachedFunction[_P, _R]):
    """A function with a cache and statistics, as returned by `cached` with `info=True`."""

    __slots__ = ()

    if TYPE_CHECKING:

        @overload
        def __get__(self, obj: None, objtype: type | None = None, /) -> Self: ...
        @overload
        def __get__(
            self: Callable[Concatenate[_S, _Q], _R], obj: _S, objtype: type | None = None, /
        ) -> CountedFunction[_Q, _R]: ...
        @overload
        def __get__(self, obj: object, objtype: type | None = None, /) -> Self: ...
        def __get__(self, obj: object, objtype: type | None = None, /) -> object: ...


@overload
def cached(
    cache: MutableMapping[_K, Any],
    key: Callable[..., _K] = ...,
    lock: AbstractContextManager[Any] | None = None,
    condition: SupportsCondition | None = None,
    *,
    info: Literal[True],
) -> Callable[[Callable[_P, _R]], CountedFunction[_P, _R]]: ...
@overload
def cached(
    cache: MutableMapping[_K, Any],
    key: Callable[..., _K],
    lock: AbstractContextManager[Any] | None,
    condition: SupportsCondition | None,
    info: Literal[True],
) -> Callable[[Callable[_P, _R]], CountedFunction[_P, _R]]: ...
@overload
def cached(
    cache: MutableMapping[_K, Any],
    key: Callable[..., _K] = ...,
    lock: AbstractContextManager[Any] | None = None,
    condition: SupportsCondition | None = None,
    info: Literal[False] = False,
) -> Callable[[Callable[_P, _R]], CachedFunction[_P, _R]]: ...
def cached(
    cache: MutableMapping[Any, Any],
    key: Callable[..., Hashable] = hashkey,
    lock: AbstractContextManager[Any] | None = None,
    condition: SupportsCondition | None = None,
    info: bool = False,
) -> Callable[[Callable[_P, _R]], CachedFunction[_P, _R]]:
    """Decorate a function so that its results are kept in `cache` and returned from there.

    Without a condition, threads that miss the same key at the same time all run the function. With one, the
    first of them runs it and the others wait for its result; if it raises, they run it in turn. A call that
    would have to wait for itself runs the function at once: one that the function makes with the same
    arguments, or one that closes a cycle of functions that several threads compute.

    Args:
        cache: where results are kept; any mutable mapping. Functions that share one, and whose keys may be
            equal, share results.
        key: makes the key from the arguments; see `overdrive.keys`.
        lock: held during each access to the cache, never while the function runs.
        condition: turns single flight on, as described above. It serves as the lock too, unless it was made
            with the lock that is given.
        info: if true, the wrapper counts hits and misses, and has `cache_info()`.

    Returns:
        A decorator. The decorated function has the attributes `cache`, `cache_key`, `cache_lock`,
        `cache_condition`, `cache_clear()` and `__wrapped__`.

    Raises:
        TypeError: if `cache` is `None`.

    A value that the cache refuses with `ValueError`, because it is too large, is returned but not kept.
    An exception from the function is passed on, and nothing is kept.

    Cost: besides the function, one key and one lookup for each call; storing and, with a condition, one entry
    in the table of flights for each miss. Thread-safe if the cache is, or if a lock or condition is given.

    Example:
        >>> from overdrive import LRUCache, cached
        >>> @cached(LRUCache(maxsize=100), info=True)
        ... def square(n):
        ...     return n * n
        >>> square(3), square(3)
        (9, 9)
        >>> square.cache_info()
        CacheInfo(hits=1, misses=1, maxsize=100, currsize=1)
    """
    if cache is None:
        raise TypeError("cache must be a mutable mapping, not None")

    def decorate(func: Callable[_P, _R]) -> CachedFunction[_P, _R]:
        wrapper: type[CachedFunction[_P, _R]] = CountedFunction if info else CachedFunction
        return wrapper(func, cache, key, lock, condition)

    return decorate
