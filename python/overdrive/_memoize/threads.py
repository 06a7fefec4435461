"""Calls of memoized functions that are not answered natively: those with special options, or a foreign cache."""

from __future__ import annotations

import os
from contextvars import copy_context
from time import perf_counter
from typing import TYPE_CHECKING

from overdrive._core import Entry
from overdrive._memoize.flight import Landing, QueuedLanding, board
from overdrive._memoize.lifetimes import Verdict, unwrap, without_traceback

if TYPE_CHECKING:
    from collections.abc import Hashable
    from concurrent.futures import ThreadPoolExecutor
    from logging import Logger
    from typing import Any

    from overdrive._memoize.function import Memoized

__all__ = ("answer", "fail", "finish", "hit", "load", "logger")


def logger() -> Logger:
    """Return the logger of the package."""
    from logging import getLogger  # whose import takes longer than that of this package

    return getLogger("overdrive")


def answer(memo: Memoized[..., Any], key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:  # noqa: ANN401 - whatever the function returns
    """Answer a call: the `slow` of a `Plan`."""
    kwargs = kwargs or {}
    options = memo._options
    while True:
        stored, verdict = memo._look(key)
        if verdict is Verdict.REFRESH:
            _refresh_in_background(memo, key, args, kwargs)
        if verdict is Verdict.FRESH or verdict is Verdict.REFRESH:
            return hit(memo, stored)
        fallback = stored if verdict is Verdict.FALLBACK else None
        if not options.single_flight:
            return load(memo, key, args, kwargs, fallback=fallback)
        new = Landing()
        flight = board(memo._flights, key, new)
        try:
            if flight is new or (isinstance(flight, QueuedLanding) and flight.claim()):
                return _lead(memo, key, args, kwargs, flight, fallback)
            if not flight.wait(options.wait_timeout, memo._name) or not flight.landed:
                return load(memo, key, args, kwargs, fallback=fallback)
            if flight.was_abandoned:
                continue
            memo._count_hit()
            return flight.result()
        finally:
            del flight, new  # an exception would refer to itself through them


def load(
    memo: Memoized[..., Any],
    key: Hashable,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    flight: Landing | None = None,
    fallback: Entry | None = None,
    keep_errors: bool = True,
) -> Any:  # noqa: ANN401 - whatever the function returns
    """Run the function, keep its result, and end the flight.

    `keep_errors` is false while there is an old result that is still returned: no exception is to replace it.
    """
    memo._count_miss()
    forgets = memo._forgets
    start = perf_counter()
    try:
        value, ttl = unwrap(memo._options, memo.__wrapped__(*args, **kwargs))
    except BaseException as error:
        keep_errors = keep_errors and memo._is_wanted(key, flight, forgets)
        if fail(memo, key, error, perf_counter() - start, flight, fallback, keep_errors=keep_errors):
            return fallback.value  # type: ignore[union-attr]
        del flight  # the exception would refer to itself through it
        raise
    seconds = perf_counter() - start
    memo._count_load(seconds)
    finish(memo, key, value, ttl, seconds, flight, forgets)
    return value


def fail(
    memo: Memoized[..., Any],
    key: Hashable,
    error: BaseException,
    seconds: float,
    flight: Landing | None,
    fallback: Entry | None,
    *,
    keep_errors: bool,
) -> bool:
    """Keep an exception, if it is one to be kept, and end its flight; return whether the fallback is the answer."""
    memo._count_error()
    saved = fallback is not None and isinstance(error, Exception)
    try:
        if keep_errors and not saved:
            memo._store_error(key, error, seconds)
        memo._land(key, flight)
    finally:
        if flight is not None:
            if saved:
                flight.land(fallback.value)  # type: ignore[union-attr]
            else:
                flight.end_with(error)
    return saved


def finish(
    memo: Memoized[..., Any],
    key: Hashable,
    value: object,
    ttl: float,
    seconds: float,
    flight: Landing | None,
    forgets: int,
) -> None:
    """Keep a result and end its flight: those who come after that find one or the other."""
    try:
        if memo._is_wanted(key, flight, forgets):
            memo._store(key, value, ttl, seconds)
            if not memo._is_wanted(key, flight, forgets):  # any more
                memo.cache.pop(key, None)
        memo._land(key, flight)
    finally:
        if flight is not None:
            flight.land(value)


def _lead(
    memo: Memoized[..., Any],
    key: Hashable,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    flight: Landing,
    fallback: Entry | None,
) -> Any:  # noqa: ANN401 - whatever the function returns
    try:
        # The flight before this one may have ended between the look into the cache and the beginning of this one.
        stored, verdict = memo._look(key)
        if verdict is Verdict.FRESH:
            memo._land(key, flight)
            flight.abandon()
            return hit(memo, stored)
        return load(memo, key, args, kwargs, flight=flight, fallback=fallback)
    finally:
        if not flight.landed:  # as when the key's `__eq__` raised
            flight.abandon()
        del flight  # an exception would refer to itself through it


def hit(memo: Memoized[..., Any], stored: Any) -> Any:  # noqa: ANN401
    """Answer from what is kept."""
    memo._count_hit()
    if not isinstance(stored, Entry):
        return stored
    if stored.error is not None:
        raise without_traceback(stored.error)
    return stored.value


def _refresh_in_background(
    memo: Memoized[..., Any], key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Compute a result anew in another thread, unless that is being done."""
    flight = QueuedLanding()
    if board(memo._flights, key, flight) is not flight:
        return
    try:
        _pool().submit(copy_context().run, _refresh, memo, key, args, kwargs, flight)
    except RuntimeError:  # the interpreter is shutting down
        memo._land(key, flight)
        flight.abandon()


def _refresh(
    memo: Memoized[..., Any], key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any], flight: QueuedLanding
) -> None:
    if not flight.claim():
        return
    try:
        load(memo, key, args, kwargs, flight=flight, keep_errors=False)
    except Exception:  # noqa: BLE001 - nobody waits for it: the old result stays until it expires
        logger().warning("%s() could not be refreshed in the background", memo._name, exc_info=True)


_executor: ThreadPoolExecutor | None = None


def _pool() -> ThreadPoolExecutor:
    """Return the threads that refresh results; they are started when first needed."""
    global _executor
    if _executor is None:
        from concurrent.futures import ThreadPoolExecutor

        _executor = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1), thread_name_prefix="overdrive")
    return _executor


def _after_fork_in_child() -> None:
    global _executor
    _executor = None  # its threads belong to the parent


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
