"""How often a cached function runs."""

from __future__ import annotations

from itertools import islice
from reprlib import Repr
from typing import TYPE_CHECKING, Protocol

from overdrive._core import Cache

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self, type_check_only

    @type_check_only
    class Info(Protocol):
        """What `cache_info()` returns: these counts, whatever else."""

        @property
        def hits(self) -> int: ...
        @property
        def misses(self) -> int: ...

    @type_check_only
    class Counted(Protocol):
        """A function that counts."""

        def cache_info(self) -> Info: ...


__all__ = ("LoadCount", "assert_loads", "misses", "name_of")

_SHOWN = 8  # keys in a message
_short = Repr()
_short.maxother = _short.maxstring = 60


def assert_loads(function: Counted, n: int) -> LoadCount:
    """Return a context manager that fails unless a cached function runs `n` times within its block.

    Runs are what `cache_info()` counts as misses: in all threads and tasks, also those that raise, also background
    refreshes. A run counts when it begins.

    Args:
        function: what has `cache_info()`: functions decorated with `memoize`, `lru_cache`, `cache`, `cached` with
            `info=True` or those of `overdrive.func` or `functools`; and methods, on an instance for its own runs,
            or on the class.
        n: how often it is to run.

    Returns:
        The context manager, whose `loads` is the number of runs since its block began.

    Raises:
        AssertionError: at the end of the block, unless that raises: the number is another one. The message says
            which results are new, if they are in a cache of this package.
        TypeError: `function` has no `cache_info()`, or `n` is not an integer.
        ValueError: `n` is negative.

    `cache_clear()` counts from zero, so it must not be called within the block.

    Cost: besides two calls of `cache_info()`, time and memory proportional to the number of results that are kept.

    Example:
        >>> from overdrive import memoize
        >>> @memoize
        ... def square(n):
        ...     return n * n
        >>> with assert_loads(square, 1):
        ...     square(3), square(3)
        (9, 9)
        >>> with assert_loads(square, 1) as count:
        ...     square(3), square(4), square(5)
        Traceback (most recent call last):
        AssertionError: square() was to run once, but ran 2 times, beside 1 hits; new results: 4, 5
        >>> count.loads
        2
    """
    if not callable(getattr(function, "cache_info", None)):
        raise TypeError(
            f"assert_loads needs a function that has cache_info(), got {function!r}; cached needs info=True"
        )
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"n must be an integer, got {n!r}")
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n!r}")
    return LoadCount(function, n)


class LoadCount:
    """Counts the runs of a function in a block: what `assert_loads` returns."""

    __slots__ = ("_before", "_expected", "_function", "_keys")

    def __init__(self, function: Counted, expected: int) -> None:
        self._function = function
        self._expected = expected

    @property
    def loads(self) -> int:
        """How often the function has run since the block began."""
        return self._function.cache_info().misses - self._before.misses

    def __enter__(self) -> Self:
        self._keys = _keys(self._function)
        self._before = self._function.cache_info()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True  # pytest shows the end of the block instead
        before, self._keys = self._keys, []
        if kind is None and self.loads != self._expected:
            raise AssertionError(self._complaint(before))

    def _complaint(self, before: list[Any]) -> str:
        after = self._function.cache_info()
        loads, hits = after.misses - self._before.misses, after.hits - self._before.hits
        name = name_of(self._function)
        if loads < 0 or hits < 0:
            return f"{name} was to run {_times(self._expected)}, but its counts were reset, as cache_clear() does"
        text = f"{name} was to run {_times(self._expected)}, but ran {_times(loads)}, beside {hits} hits"
        known = set(map(id, before))
        new = [key for key in _keys(self._function) if id(key) not in known]
        if new:
            more = f" and {len(new) - _SHOWN} more" if len(new) > _SHOWN else ""
            text += f"; new results: {', '.join(map(_short.repr, islice(new, _SHOWN)))}{more}"
        return text


def misses(function: object) -> int | None:
    """Return how often a function has run; `None` if it does not count that."""
    info = getattr(function, "cache_info", None)
    return info().misses if callable(info) else None


def name_of(function: object) -> str:
    """Return what a message calls a function: its name, and its instance."""
    wrapped = getattr(function, "__wrapped__", function)
    name = getattr(function, "__qualname__", None) or getattr(wrapped, "__qualname__", None)
    if name is None:
        return _short.repr(function)
    instance = getattr(function, "__self__", None)
    return f"{name}()" if instance is None else f"{name}() of {_short.repr(instance)}"


def _keys(function: object) -> list[Any]:
    """Return the keys of the results that are kept, if looking at them runs no code of the user's."""
    cache = getattr(function, "cache", None)
    if isinstance(cache, Cache) and type(cache).__module__ == "overdrive":
        return list(cache)
    return []


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"
