"""The decorator itself: its arguments, and which kind of function it makes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, overload

from overdrive._memoize.function import MemoizedFunction
from overdrive._memoize.options import Options, check

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Mapping, MutableMapping
    from datetime import timedelta
    from typing import Any, Literal

    from overdrive._memoize.coroutine import MemoizedCoroutineFunction
    from overdrive._memoize.function import Memoized

__all__ = ("Decorator", "memoize")

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")

# Flags of code objects, as in `inspect`, whose import takes longer than that of this package.
_COROUTINE = 0x80
_GENERATOR = 0x20
_ASYNC_GENERATOR = 0x200


class Decorator(Protocol):
    """What `memoize` returns when it is called with options.

    Of overlapping signatures the first one counts: static methods and coroutine functions are callables, too.
    """

    @overload
    def __call__(self, function: staticmethod[_P, _R], /) -> staticmethod[_P, _R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: classmethod[_T, _P, _R], /) -> classmethod[_T, _P, _R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[_P, Coroutine[Any, Any, _R]], /
    ) -> MemoizedCoroutineFunction[_P, _R]: ...
    @overload
    def __call__(self, function: Callable[_P, _R], /) -> MemoizedFunction[_P, _R]: ...


@overload
def memoize(maxsize: staticmethod[_P, _R], /) -> staticmethod[_P, _R]: ...  # type: ignore[overload-overlap]
@overload
def memoize(maxsize: classmethod[_T, _P, _R], /) -> classmethod[_T, _P, _R]: ...
@overload
def memoize(  # type: ignore[overload-overlap]
    maxsize: Callable[_P, Coroutine[Any, Any, _R]], /
) -> MemoizedCoroutineFunction[_P, _R]: ...
@overload
def memoize(maxsize: Callable[_P, _R], /) -> MemoizedFunction[_P, _R]: ...
@overload
def memoize(
    maxsize: float | None = 1024,
    *,
    policy: Literal["lru", "lfu", "fifo", "rr", "arc", "2q", "s3fifo", "sieve", "lirs", "wtinylfu", "adaptive"] = "lru",
    ttl: float | timedelta | Callable[[Any], float | timedelta | None] | None = None,
    idle: float | timedelta | None = None,
    jitter: float = 0.0,
    stale: float | timedelta | None = None,
    stale_if_error: float | timedelta | None = None,
    early: float | None = None,
    exceptions: type[BaseException]
    | tuple[type[BaseException], ...]
    | Mapping[type[BaseException], float | timedelta]
    | None = None,
    key: Callable[..., Hashable] | None = None,
    typed: bool = False,
    normalize: bool = False,
    freeze: bool = False,
    single_flight: bool = True,
    wait_timeout: float | timedelta | None = None,
    cache: MutableMapping[Any, Any] | Callable[[Any], MutableMapping[Any, Any]] | None = None,
    clock: Callable[[], float] | None = None,
    method: bool | None = None,
) -> Decorator: ...
def memoize(
    maxsize: Any = 1024,
    *,
    policy: str = "lru",
    ttl: float | timedelta | Callable[[Any], float | timedelta | None] | None = None,
    idle: float | timedelta | None = None,
    jitter: float = 0.0,
    stale: float | timedelta | None = None,
    stale_if_error: float | timedelta | None = None,
    early: float | None = None,
    exceptions: type[BaseException]
    | tuple[type[BaseException], ...]
    | Mapping[type[BaseException], float | timedelta]
    | None = None,
    key: Callable[..., Hashable] | None = None,
    typed: bool = False,
    normalize: bool = False,
    freeze: bool = False,
    single_flight: bool = True,
    wait_timeout: float | timedelta | None = None,
    cache: MutableMapping[Any, Any] | Callable[[Any], MutableMapping[Any, Any]] | None = None,
    clock: Callable[[], float] | None = None,
    method: bool | None = None,
) -> Any:
    """Decorate a function, a coroutine function or a method so that its results are kept and returned again.

    A hit runs no Python code. Calls that miss the same key at the same time, in threads or in tasks of any event
    loop, compute it once: the others wait and get the same value, or the same exception. A call that would wait for
    itself computes without waiting: one that the function makes with the same arguments, or one that closes a cycle
    of functions that several threads or tasks compute. The cancellation of a call disturbs no other; a load for which
    nobody waits any more is cancelled.

    Directly in a class body (under other decorators `method=True` has to say so), each instance has results of its
    own, which do not keep it alive (a result that refers to its instance does). Instances need not be hashable, but
    weakly referenceable. Of class methods the class is a part of the key.

    Args:
        maxsize: how many results to keep, of a method for each instance; `None` for all, 0 for none.
        policy: what leaves when there are too many: "lru" what was not used for longest, "lfu" what was used least
            often, "fifo" the oldest, "rr" any; "arc", "2q", "s3fifo", "sieve", "lirs" and "wtinylfu" as the classes
            of these names say.
        ttl: seconds, or a `timedelta`, after which a result is computed anew; or a function of the result that
            returns that, or `None` for ever. A function may also return its result in a `WithTTL`.
        idle: seconds without a call after which a result is forgotten.
        jitter: up to this fraction of the ttl is taken off at random, so that results which were stored together do
            not expire together; 0 to 1.
        stale: for so many seconds after its ttl a result is still returned, while it is computed anew in the
            background: in a thread of a small pool, or in a task.
        stale_if_error: for so many seconds after its ttl a result is returned if computing it anew raises.
        early: computes results anew, in the background, before they expire, at random and the sooner the longer that
            takes, so that no call has to wait: the beta of XFetch, usually 1.0.
        exceptions: exception types that are kept like results and raised again: a mapping of types to seconds, or a
            type or tuple of types, which are kept for `ttl`.
        key: makes the key from the arguments. By default it is that of `functools.lru_cache`: the arguments as they
            are spelled in the call, which must be hashable.
        typed: 1, 1.0 and `True` are different arguments.
        normalize: all spellings of a call that give the parameters equal values, defaults included, are one.
        freeze: arguments that are not hashable (dicts, lists, sets, arrays, dataclasses) stand for their content.
        single_flight: if false, calls that miss the same key at the same time all compute.
        wait_timeout: seconds after which a call that waits for another one raises `WaitTimeout`.
        cache: keeps the results instead of a new cache, and replaces `maxsize` and `policy`: any mutable mapping; for
            a method, a function that returns that of the instance.
        clock: gives the time in seconds, instead of `time.monotonic`.
        method: whether each instance, the first argument, has results of its own; by default what the function was
            defined in decides: true in a class body.

    Returns:
        The decorated function, or a decorator if called without one. It has `cache_info()`, `cache_clear()`,
        `cache_parameters()`, `cache`, `__wrapped__`, and for calls with given arguments `invalidate(...)`,
        `peek(...)`, `cached(...)`, `refresh(...)` and `put(value, ...)`.

    Raises:
        TypeError: an option or the function has the wrong type. When it is called: an argument is not hashable.
        ValueError: an option is out of range, or contradicts another one.

    Cost: O(1) for each call. A hit costs about what calling an empty function does, or less. Thread-safe; after a
    fork, the child keeps the results and waits for none of the parent's threads.

    Example:
        >>> @memoize(maxsize=100, ttl=60)
        ... def square(n):
        ...     return n * n
        >>> square(3), square(3), square.cache_info().hits
        (9, 9, 1)
        >>> square.invalidate(3), square.cached(3)
        (True, False)
    """
    function: Any = None
    if callable(maxsize) or isinstance(maxsize, (classmethod, staticmethod)):
        function, maxsize = maxsize, 1024
    options = check(
        maxsize=maxsize,
        policy=policy,
        ttl=ttl,
        idle=idle,
        jitter=jitter,
        stale=stale,
        stale_if_error=stale_if_error,
        early=early,
        exceptions=exceptions,
        key=key,
        typed=typed,
        normalize=normalize,
        freeze=freeze,
        single_flight=single_flight,
        wait_timeout=wait_timeout,
        cache=cache,
        clock=clock,
        method=method,
    )
    decorate = partial(_memoized, options)
    return decorate if function is None else decorate(function)


def _memoized(options: Options, function: Any, /) -> Any:  # noqa: ANN401
    if isinstance(function, (classmethod, staticmethod)):
        return type(function)(_memoized(options, function.__func__))
    if not callable(function):
        raise TypeError(f"memoize decorates functions, got {function!r}")
    flags = code_flags(function)
    if flags & (_GENERATOR | _ASYNC_GENERATOR):
        raise TypeError(
            f"{function!r} is a generator function: all calls would share one generator, which can be used once; "
            "return a list or a tuple"
        )
    if not flags & _COROUTINE:
        memo: Memoized[..., Any] = MemoizedFunction(function, options)
    else:
        from overdrive._memoize.coroutine import MemoizedCoroutineFunction

        memo = MemoizedCoroutineFunction(function, options)
        mark_coroutine_function(memo)
    if options.method:
        memo._make_method()
    return memo


def code_flags(function: Any) -> int:  # noqa: ANN401
    """Return the flags of the code that a call runs; 0 if it is not Python code."""
    while isinstance(function, partial):
        function = function.func
    code = getattr(function, "__code__", None)
    if code is None and not isinstance(function, type):
        function = vars(type(function)).get("__call__")
        code = getattr(function, "__code__", None)
    return getattr(code, "co_flags", 0)


def mark_coroutine_function(memo: Memoized[..., Any]) -> None:
    """Make `inspect.iscoroutinefunction` and that of `asyncio` true, as frameworks ask them how to call."""
    import inspect
    from asyncio import coroutines

    if hasattr(inspect, "markcoroutinefunction"):  # since Python 3.12
        inspect.markcoroutinefunction(memo)
    mark = getattr(coroutines, "_is_coroutine", None)
    if mark is not None:  # until Python 3.13
        memo._is_coroutine = mark  # type: ignore[attr-defined]
