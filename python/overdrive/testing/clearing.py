"""Empties caches, wherever they are."""

from __future__ import annotations

import gc
from itertools import compress
from typing import TYPE_CHECKING

from overdrive._core import Cache, Memo
from overdrive._memoize.function import Memoized
from overdrive._memoize.registry import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = ("clear_all",)


def clear_all(*, search: bool = False, caches: bool = False) -> None:
    """Forget all results of all memoized functions, and count from zero.

    Those decorated with `memoize` are known to the package: functions, coroutine functions, and methods with the
    results of all instances. Others are searched for among all objects that the garbage collector knows, which are
    not those that `gc.freeze()` put aside.

    Args:
        search: clear those too that are decorated with `lru_cache`, `cache`, `cached`, `cachedmethod` and the
            decorators of `overdrive.func`.
        caches: also clear all objects of the cache classes and of their subclasses, whoever they belong to.

    Raises:
        Exception: what a cache of the user's raised when it was cleared; an `ExceptionGroup` if there are several.
            All others have been cleared.

    Cost: O(kept results); with `search` or `caches` also a few milliseconds for each 100,000 objects in the process.
    Thread-safe; what is being computed meanwhile may be kept by functions not decorated with `memoize`.

    Example:
        >>> from overdrive import memoize
        >>> @memoize
        ... def square(n):
        ...     return n * n
        >>> square(3)
        9
        >>> clear_all()
        >>> square.cached(3), square.cache_info().misses
        (False, 0)
    """
    errors = _call_each(function.cache_clear for function in functions())
    if search:
        others = [memo for memo in _instances_of(Memo) if not isinstance(memo, Memoized)]
        errors += _call_each(memo.cache_clear for memo in others)
    if caches:
        errors += _call_each(cache.clear for cache in _instances_of(Cache))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("several caches could not be cleared", errors)


def _call_each(actions: Iterable[Callable[[], object]]) -> list[Exception]:
    """Call all; return what they raised."""
    errors = []
    for action in actions:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - raised when all have been called
            errors.append(error)
    return errors


def _instances_of(kind: type) -> list[Any]:
    """Return the objects of a class and of its subclasses that the garbage collector knows."""
    # By the identity of their types, since asking objects for their class may run code of the user's.
    kinds = {id(subclass) for subclass in _subclasses(kind)}
    objects = gc.get_objects()
    return list(compress(objects, map(kinds.__contains__, map(id, map(type, objects)))))


def _subclasses(kind: type) -> Iterator[type]:
    yield kind
    subclasses: list[type] = type.__subclasses__(kind)
    for subclass in subclasses:
        yield from _subclasses(subclass)
