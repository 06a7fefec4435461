"""Entries into the keys, and into the functions and numbers that a cache is built with."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from tests.contracts.kinds import Clock, Kind
from tests.hostile.entries import Arranged, Trigger, entry, is_random, is_timed, is_tlru

# --- keys ---------------------------------------------------------------------------------------------


class Key:
    """All keys of one hash; comparing or hashing one calls the trigger."""

    def __init__(self, name: object, in_eq: Callable[[], None] | None, in_hash: Callable[[], None] | None) -> None:
        self.name = name
        self.in_eq = in_eq
        self.in_hash = in_hash

    def __hash__(self) -> int:
        if self.in_hash is not None:
            self.in_hash()
        return 11

    def __eq__(self, other: object) -> bool:
        if self.in_eq is not None:
            self.in_eq()
        return isinstance(other, Key) and self.name == other.name


KEY_OPERATIONS: dict[str, Callable[[Any, Any], object]] = {
    "getitem": operator.getitem,
    "get": lambda cache, key: cache.get(key),
    "contains": operator.contains,
    "setitem": lambda cache, key: operator.setitem(cache, key, "new"),
    "delitem": operator.delitem,
    "pop": lambda cache, key: cache.pop(key),
    "pop default": lambda cache, key: cache.pop(key, None),
    "setdefault": lambda cache, key: cache.setdefault(key, "new"),
    "update": lambda cache, key: cache.update([(key, "new")]),
    "items": lambda cache, key: (key, "value") in cache.items(),
}


def arrange_key(
    kind: Kind, trigger: Trigger, *, operation: Callable[[Any, Any], object], stored: object, method: str
) -> Arranged:
    cache = kind.make(4)
    in_eq, in_hash = (trigger, None) if method == "eq" else (None, trigger)
    cache["before"] = 0
    cache[Key(stored, in_eq, None)] = "value"
    return cache, lambda: operation(cache, Key(1, in_eq, in_hash))


for _name, _operation in KEY_OPERATIONS.items():
    for _case, _stored, _method in (("eq hit", 1, "eq"), ("eq miss", 2, "eq"), ("hash", 1, "hash")):
        entry(f"key {_case} in {_name}")(
            functools.partial(arrange_key, operation=_operation, stored=_stored, method=_method)
        )


# --- arguments of the constructor -----------------------------------------------------------------------

SET_OPERATIONS: dict[str, Callable[[Any], object]] = {
    "store": lambda cache: operator.setitem(cache, "new", 1),
    "replace": lambda cache: operator.setitem(cache, "a", 2),
    "setdefault": lambda cache: cache.setdefault("new", 1),
    "update": lambda cache: cache.update(new=1),
}


def arrange_getsizeof(kind: Kind, trigger: Trigger, *, operation: Callable[[Any], object], method: bool) -> Arranged:
    def getsizeof(*args: Any) -> int:
        trigger()
        return 1

    if method:
        cache = kind.make(2, cls=type("Weighing", (kind.cls,), {"getsizeof": getsizeof}))
    else:
        cache = kind.make(2, getsizeof=getsizeof)
    cache.update(a=1, b=1)
    return cache, lambda: operation(cache)


class Size:
    """A size whose conversion to a number calls the trigger."""

    def __init__(self, trigger: Trigger, method: str) -> None:
        self.trigger = trigger
        self.method = method

    def convert(self) -> Any:
        self.trigger()
        return 1 if self.method == "__index__" else 1.0


IndexSize = type("IndexSize", (Size,), {"__index__": Size.convert})
FloatSize = type("FloatSize", (Size,), {"__float__": Size.convert})


def arrange_size(kind: Kind, trigger: Trigger, *, operation: Callable[[Any], object], size: Any) -> Arranged:
    cache = kind.make(2, getsizeof=lambda value: size(trigger, "__index__" if size is IndexSize else "__float__"))
    cache.update(a=1, b=1)
    return cache, lambda: operation(cache)


for _name, _set in SET_OPERATIONS.items():
    for _how in ("argument", "method"):
        entry(f"getsizeof {_how} in {_name}")(
            functools.partial(arrange_getsizeof, operation=_set, method=_how == "method")
        )
    for _size in (IndexSize, FloatSize):
        entry(f"getsizeof result {_size.__name__} in {_name}")(
            functools.partial(arrange_size, operation=_set, size=_size)
        )


def triggered(trigger: Trigger, function: Callable[[Any], object]) -> Callable[[Any], object]:
    """Return the function with a trigger before it."""

    def call(argument: Any) -> object:
        trigger()
        return function(argument)

    return call


@entry("choice in setitem", is_random)
def _(kind: Kind, trigger: Trigger) -> Arranged:
    cache = kind.make(2, choice=triggered(trigger, lambda keys: next(iter(keys), None)))
    cache.update(a=1, b=2)
    return cache, lambda: operator.setitem(cache, "new", 1)


@entry("choice in popitem", is_random)
def _(kind: Kind, trigger: Trigger) -> Arranged:
    cache = kind.make(2, choice=triggered(trigger, lambda keys: next(reversed(keys), None)))
    cache.update(a=1, b=2)
    return cache, cache.popitem


@entry("choice before reading its keys", is_random)
def _(kind: Kind, trigger: Trigger) -> Arranged:
    def choice(keys: Any) -> Any:
        size = len(keys)
        trigger()
        return next((key for key in keys), None) if size else None

    cache = kind.make(2, choice=choice)
    cache.update(a=1, b=2)
    return cache, cache.popitem


# --- time ---------------------------------------------------------------------------------------------


class TriggeringClock(Clock):
    """Calls the trigger whenever somebody asks for the time."""

    def __init__(self, trigger: Trigger) -> None:
        super().__init__()
        self.trigger = trigger

    def __call__(self) -> Any:
        self.trigger()
        return super().__call__()


@functools.total_ordering
class Instant:
    """A time of a foreign type; comparing or adding calls the trigger."""

    def __init__(self, seconds: float, trigger: Trigger) -> None:
        self.seconds = seconds
        self.trigger = trigger

    def __lt__(self, other: Instant) -> bool:
        self.trigger()
        return self.seconds < other.seconds

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Instant) and self.seconds == other.seconds

    def __hash__(self) -> int:
        return hash(self.seconds)

    def __add__(self, seconds: float) -> Instant:
        self.trigger()
        return Instant(self.seconds + seconds, self.trigger)


TIMED_OPERATIONS: dict[str, Callable[[Any], object]] = {
    **SET_OPERATIONS,
    "getitem": lambda cache: cache["a"],
    "get": lambda cache: cache.get("a"),
    "contains": lambda cache: "a" in cache,
    "delitem": lambda cache: operator.delitem(cache, "a"),
    "pop": lambda cache: cache.pop("a"),
    "popitem": lambda cache: cache.popitem(),
    "len": len,
    "repr": repr,
    "currsize": lambda cache: cache.currsize,
    "iterate": lambda cache: list(iter(cache)),
    "items": lambda cache: list(cache.items()),
    "eq": lambda cache: cache == {"a": 1, "b": 2},
    "expire": lambda cache: cache.expire(),
}


def arrange_timed(
    kind: Kind, trigger: Trigger, *, operation: Callable[[Any], object], foreign: bool, elapsed: int
) -> Arranged:
    clock = Clock(Instant(0, trigger)) if foreign else TriggeringClock(trigger)
    cache = kind.make_short_lived(3, timer=clock)
    cache.update(a=1, b=2)
    clock.now = clock.now + elapsed
    return cache, lambda: operation(cache)


for _name, _timed in TIMED_OPERATIONS.items():
    for _case, _elapsed in (("live", 1), ("expired", 10)):
        entry(f"timer in {_name}, {_case}", is_timed)(
            functools.partial(arrange_timed, operation=_timed, foreign=False, elapsed=_elapsed)
        )
        entry(f"time arithmetic in {_name}, {_case}", is_timed)(
            functools.partial(arrange_timed, operation=_timed, foreign=True, elapsed=_elapsed)
        )


def arrange_ttu(kind: Kind, trigger: Trigger, *, operation: Callable[[Any], object], life: int) -> Arranged:
    def ttu(key: object, value: object, now: Any) -> Any:
        trigger()
        return now + (life if key in {"a", "new"} else 10)

    clock = Clock()
    cache = kind.make(2, ttu=lambda key, value, now: now + 10, timer=clock)
    cache.__init__(2, ttu, clock)
    cache.update(a=1, b=2)
    return cache, lambda: operation(cache)


for _name, _set in SET_OPERATIONS.items():
    for _life in (10, 0):
        entry(f"ttu in {_name}, life {_life}", is_tlru)(functools.partial(arrange_ttu, operation=_set, life=_life))
