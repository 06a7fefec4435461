"""The loops that are timed: one operation each, over keys made beforehand.

All names are function locals, and every contender of one form runs the same source. What differs
is the code object: see `fresh`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, MutableMapping, Sequence
from types import FunctionType
from typing import Protocol, TypeAlias, TypeVar, cast

from workload import Keys, Pair

Cache: TypeAlias = MutableMapping[Hashable, object]
Function: TypeAlias = Callable[..., object]
Loop: TypeAlias = Callable[..., None]

_F = TypeVar("_F", bound=Function)


class MethodCache(Protocol):
    """A cache without `[]`: theine and moka-py."""

    def get(self, key: Hashable, /) -> object:
        """Return the value of a key, or None."""

    def set(self, key: Hashable, value: object, /) -> object:
        """Store a value."""


class Service(Protocol):
    """An object with a method that caches."""

    def find(self, key: Hashable, /) -> object:
        """Return the value of a key."""


def fresh(loop: _F) -> _F:
    """Copy a loop together with its code object.

    CPython specialises bytecode in place. In a shared code object the types of one contender would
    decide how fast the loop of the next one runs.
    """
    if not isinstance(loop, FunctionType):
        raise TypeError(f"not a Python function: {loop!r}")
    return cast("_F", FunctionType(loop.__code__.replace(), loop.__globals__, loop.__name__))


def nothing(_: object, keys: Keys) -> None:
    for _key in keys:
        pass


# --- reads --------------------------------------------------------------------------------------


def getitem(cache: Cache, keys: Keys) -> None:
    for key in keys:
        cache[key]


def getitem_or_error(cache: Cache, keys: Keys) -> None:
    for key in keys:
        try:  # noqa: SIM105 - contextlib.suppress would be most of the time measured
            cache[key]
        except KeyError:
            pass


def get(cache: Cache, keys: Keys) -> None:
    for key in keys:
        cache.get(key)


def contains(cache: Cache, keys: Keys) -> None:
    for key in keys:
        key in cache  # noqa: B015 - the bare test is what is measured


def length(cache: Cache, keys: Keys) -> None:
    for _ in keys:
        len(cache)


def iterate_keys(cache: Cache) -> None:
    for _ in cache:
        pass


def iterate_items(cache: Cache) -> None:
    for _ in cache.items():
        pass


def iterate_values(cache: Cache) -> None:
    for _ in cache.values():
        pass


# --- writes -------------------------------------------------------------------------------------


def setitem(cache: Cache, keys: Keys) -> None:
    for key in keys:
        cache[key] = key


def setitem_pairs(cache: Cache, pairs: Iterable[Pair]) -> None:
    for key, value in pairs:
        cache[key] = value


def setdefault(cache: Cache, keys: Keys) -> None:
    for key in keys:
        cache.setdefault(key, key)


def delete_and_set(cache: Cache, keys: Keys) -> None:
    for key in keys:
        del cache[key]
        cache[key] = key


def pop(cache: Cache, keys: Keys) -> None:
    for key in keys:
        cache.pop(key)


def pop_default(cache: Cache, keys: Keys) -> None:
    for key in keys:
        cache.pop(key, None)


def popitem_and_set(cache: Cache, keys: Keys) -> None:
    for _ in keys:
        key, value = cache.popitem()
        cache[key] = value


def clear(cache: Cache) -> None:
    cache.clear()


def construct(make: Function, arguments: tuple[object, ...], repeats: Sequence[object]) -> None:
    for _ in repeats:
        make(*arguments)


def get_or_set(cache: Cache, keys: Keys) -> None:
    for key in keys:
        if cache.get(key) is None:
            cache[key] = key


# --- functions that cache, and caches that have methods instead of `[]` ---------------------------


def call(function: Function, keys: Keys) -> None:
    for key in keys:
        function(key)


def call_pair(function: Function, keys: Keys) -> None:
    for key in keys:
        function(key, key)


def call_keyword(function: Function, keys: Keys) -> None:
    for key in keys:
        function(key, option=key)


def call_bare(function: Function, keys: Keys) -> None:
    for _ in keys:
        function()


def call_keywords(function: Function, keys: Keys) -> None:
    for key in keys:
        function(key=key, option=key)


def call_method(service: Service, keys: Keys) -> None:
    for key in keys:
        service.find(key)


async def await_call(function: Callable[..., Awaitable[object]], keys: Keys) -> None:
    for key in keys:
        await function(key)


async def await_bare(function: Callable[[], Awaitable[object]], keys: Keys) -> None:
    for _ in keys:
        await function()


def set_method(cache: MethodCache, keys: Keys) -> None:
    for key in keys:
        cache.set(key, key)


def get_or_set_method(cache: MethodCache, keys: Keys) -> None:
    for key in keys:
        if cache.get(key) is None:
            cache.set(key, key)
