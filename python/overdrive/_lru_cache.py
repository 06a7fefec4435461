"""`lru_cache` and `cache` as in `functools`: the same arguments, attributes and semantics, and the same tests."""

from __future__ import annotations

from functools import update_wrapper
from math import inf
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, overload

from overdrive._core import Cache, LRUCache, Memo
from overdrive._info import CacheInfo
from overdrive._plan import plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Concatenate, Self, TypedDict, type_check_only

    @type_check_only
    class CacheParameters(TypedDict):
        """The arguments that a function was decorated with."""

        maxsize: int | None
        typed: bool


__all__ = ("LRUCachedFunction", "cache", "lru_cache")

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R = TypeVar("_R")
_S = TypeVar("_S")
_T = TypeVar("_T")


class LRUCachedFunction(Memo, Generic[_P, _R]):
    """A function as decorated by `lru_cache`.

    Attributes:
        cache: the cache that holds the results.
    """

    __slots__ = ("_maxsize", "_typed", "cache")

    __wrapped__: Callable[_P, _R]
    __qualname__: str
    cache: Cache[Any, _R]

    def __init__(self, function: Callable[_P, _R], maxsize: int | None, typed: bool) -> None:
        self._maxsize = maxsize
        self._typed = typed
        self.cache = Cache(inf) if maxsize is None else LRUCache(maxsize)
        super().__init__(function, plan(cache=self.cache, typed=typed, direct=True, keep=True))
        update_wrapper(self, function)

    if TYPE_CHECKING:

        def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
        @overload
        def __get__(  # type: ignore[misc]  # mypy takes no union here
            self: Callable[Concatenate[type[_S], _Q], _T], instance: _S | None, owner: type[_S], /
        ) -> LRUCachedFunction[_Q, _T]: ...
        @overload
        def __get__(self, instance: None, owner: type | None = None, /) -> Self: ...
        @overload
        def __get__(
            self: Callable[Concatenate[_S, _Q], _T], instance: _S, owner: type | None = None, /
        ) -> LRUCachedFunction[_Q, _T]: ...
        @overload
        def __get__(self, instance: object, owner: type | None = None, /) -> Self: ...
        def __get__(self, instance: Any, owner: type | None = None, /) -> Any: ...

    def cache_info(self) -> CacheInfo:
        """Return the hits and misses so far, `maxsize`, and the number of results."""
        hits, misses, *_ = self._counts()
        return CacheInfo(hits, misses, self._maxsize, len(self.cache))

    def cache_clear(self) -> None:
        """Forget all results, and count hits and misses from zero."""
        self.cache.clear()
        self._reset()

    def cache_parameters(self) -> CacheParameters:
        """Return the arguments that the function was decorated with."""
        return {"maxsize": self._maxsize, "typed": self._typed}

    def __reduce__(self) -> str:
        return self.__qualname__

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self


# The signatures of these are shown as `()`, like those of functions in C; CPython's tests look.
LRUCachedFunction.cache_info.__annotations__ = {}
LRUCachedFunction.cache_clear.__annotations__ = {}


@overload
def lru_cache(maxsize: Callable[_P, _R], typed: bool = False) -> LRUCachedFunction[_P, _R]: ...
@overload
def lru_cache(
    maxsize: int | None = 128, typed: bool = False
) -> Callable[[Callable[_P, _R]], LRUCachedFunction[_P, _R]]: ...
def lru_cache(
    maxsize: int | Callable[_P, _R] | None = 128, typed: bool = False
) -> LRUCachedFunction[_P, _R] | Callable[[Callable[_P, _R]], LRUCachedFunction[_P, _R]]:
    """Decorate a function to keep its `maxsize` most recently used results: `functools.lru_cache`, but faster.

    CPython's tests of `functools.lru_cache` pass. Like it, and unlike `memoize`, it lets threads that miss the same
    key all compute, and the instance is a part of the key of methods, which keeps it alive.

    Args:
        maxsize: how many results to keep; 0 or less keeps none, `None` all.
        typed: if true, equal arguments of different types, as 1 and 1.0, have results of their own.

    Returns:
        The decorated function, or a decorator if called without one. It has the attributes `cache_info()`,
        `cache_clear()`, `cache_parameters()`, `__wrapped__`, and `cache`.

    Raises:
        TypeError: `maxsize` is neither an integer nor a callable nor `None`.

    Cost: O(1) for each call. Thread-safe.

    Example:
        >>> @lru_cache(maxsize=None)
        ... def fibonacci(n):
        ...     return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
        >>> fibonacci(90), fibonacci.cache_info().hits
        (2880067194370816120, 88)
    """
    if isinstance(maxsize, int):
        maxsize = max(maxsize, 0)
    elif callable(maxsize):
        return LRUCachedFunction(maxsize, 128, typed)
    elif maxsize is not None:
        raise TypeError(f"Expected first argument to be an integer, a callable, or None, got {maxsize!r}")
    size = maxsize

    def decorate(function: Callable[_P, _R]) -> LRUCachedFunction[_P, _R]:
        return LRUCachedFunction(function, size, typed)

    return decorate


def cache(user_function: Callable[_P, _R], /) -> LRUCachedFunction[_P, _R]:
    """Decorate a function to keep all its results: `functools.cache`, but faster; see `lru_cache`.

    Example:
        >>> @cache
        ... def double(n):
        ...     return 2 * n
        >>> double(4), double.cache_info().maxsize
        (8, None)
    """
    return LRUCachedFunction(user_function, None, typed=False)
