"""The ways in which an operation on a `MemoryCache` runs Python code that is not the cache's own.

As in `entries`: each arranges a cache and an operation, and when the operation runs, user code calls the trigger.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import operator
import pickle
import weakref
from collections.abc import Callable
from typing import Any

from overdrive import MemoryCache
from tests.contracts.kinds import Clock
from tests.hostile.argument_entries import Key, TriggeringClock
from tests.hostile.entries import Trigger
from tests.hostile.object_entries import Dying, Mortal, Value

Arranged = tuple[MemoryCache[Any, Any], Callable[[], object]]
Arrange = Callable[[str, Trigger], Arranged]

ENTRIES: dict[str, Arrange] = {}


def add(name: str, arrange: Callable[..., Arranged], *args: Any) -> None:
    """Register a function that arranges a cache and an operation."""
    ENTRIES[name] = functools.partial(arrange, *args)


async def coroutine(key: Any) -> Any:
    """A loader."""
    return "loaded"


KEY_OPERATIONS: dict[str, Callable[[Any, Any], object]] = {
    "getitem": operator.getitem,
    "get": lambda cache, key: cache.get(key),
    "peek": lambda cache, key: cache.peek(key),
    "contains": operator.contains,
    "setitem": lambda cache, key: operator.setitem(cache, key, "new"),
    "set": lambda cache, key: cache.set(key, "new", ttl=100, tags=["x", "y"]),
    "set for no time": lambda cache, key: cache.set(key, "new", ttl=0),
    "delitem": operator.delitem,
    "pop": lambda cache, key: cache.pop(key, None),
    "delete": lambda cache, key: cache.delete(key),
    "setdefault": lambda cache, key: cache.setdefault(key, "new"),
    "update": lambda cache, key: cache.update([(key, "new")]),
    "touch": lambda cache, key: cache.touch(key, ttl=5),
    "touch for no time": lambda cache, key: cache.touch(key, ttl=0),
    "remaining_ttl": lambda cache, key: cache.remaining_ttl(key),
    "tags": lambda cache, key: cache.tags(key),
    "pin": lambda cache, key: cache.pin(key),
    "unpin": lambda cache, key: cache.unpin(key),
    "is_pinned": lambda cache, key: cache.is_pinned(key),
    "get_many": lambda cache, key: cache.get_many([key, "before", key]),
    "set_many": lambda cache, key: cache.set_many({"before": 1, "other": 2} | {key: "new"}, tags="t"),
    "delete_many": lambda cache, key: cache.delete_many([key, key]),
    "get_or_load": lambda cache, key: cache.get_or_load(key, str),
    "aget_or_load": lambda cache, key: asyncio.run(cache.aget_or_load(key, coroutine)),
    "items": lambda cache, key: (key, "value") in cache.items(),
}


def arrange_key(
    operation: Callable[[Any, Any], object], stored: int, method: str, policy: str, trigger: Trigger
) -> Arranged:
    cache: MemoryCache[Any, Any] = MemoryCache(4, policy=policy, clock=Clock(1.0), idle=50)
    in_eq, in_hash = (trigger, None) if method == "eq" else (None, trigger)
    cache.set("before", 0, tags="x")
    cache.set(Key(stored, in_eq, None), "value", tags=["x", "t"])
    return cache, lambda: operation(cache, Key(1, in_eq, in_hash))


for _name, _operation in KEY_OPERATIONS.items():
    for _case, _stored, _method in (("eq hit", 1, "eq"), ("eq miss", 2, "eq"), ("hash", 1, "hash")):
        add(f"key {_case} in {_name}", arrange_key, _operation, _stored, _method)


STORES: dict[str, Callable[[Any], object]] = {
    "store": lambda cache: operator.setitem(cache, "new", 1),
    "replace": lambda cache: operator.setitem(cache, "a", 2),
    "replace by something heavier": lambda cache: cache.set("a", "heavy"),
    "setdefault": lambda cache: cache.setdefault("new", 1),
    "set_many": lambda cache: cache.set_many({"new": 1, "newer": 2}, ttl=5),
    "get_or_load": lambda cache: cache.get_or_load("new", str),
    "aget_or_load": lambda cache: asyncio.run(cache.aget_or_load("new", coroutine)),
    "copy": copy.copy,
}


class Number:
    """A number whose conversion calls the trigger."""

    def __init__(self, trigger: Trigger, number: float) -> None:
        self.trigger = trigger
        self.number = number

    def __float__(self) -> float:
        self.trigger()
        return float(self.number)


class Whole(Number):
    """The same, for an integer."""

    def __index__(self) -> int:
        self.trigger()
        return int(self.number)


def arrange_weigher(operation: Callable[[Any], object], result: Any, policy: str, trigger: Trigger) -> Arranged:
    def weigher(key: Any, value: Any) -> Any:
        weight = 2 if value == "heavy" else 1
        if result is None:
            trigger()
            return weight
        return result(trigger, weight)

    cache: MemoryCache[Any, Any] = MemoryCache(3, policy=policy, weigher=weigher)
    cache.update(a=1, b=1, c=1)
    cache.pin("b")
    return cache, lambda: operation(cache)


for _name, _store in STORES.items():
    for _result in (None, Number, Whole):
        add(f"weigher{_result.__name__ if _result else ''} in {_name}", arrange_weigher, _store, _result)


TIMED: dict[str, Callable[[Any], object]] = {
    **STORES,
    "getitem": lambda cache: cache["a"],
    "get": lambda cache: cache.get("a"),
    "peek": lambda cache: cache.peek("a"),
    "contains": lambda cache: "a" in cache,
    "delitem": lambda cache: operator.delitem(cache, "a"),
    "pop": lambda cache: cache.pop("a"),
    "popitem": lambda cache: cache.popitem(),
    "len": len,
    "repr": repr,
    "currsize": lambda cache: cache.currsize,
    "currbytes": lambda cache: cache.currbytes,
    "iterate": lambda cache: list(iter(cache)),
    "items": lambda cache: list(cache.items()),
    "eq": lambda cache: cache == {"a": 1, "b": 2},
    "expire": lambda cache: cache.expire(),
    "touch": lambda cache: cache.touch("a"),
    "pin": lambda cache: cache.pin("a"),
    "unpin": lambda cache: cache.unpin("a"),
    "remaining_ttl": lambda cache: cache.remaining_ttl("a"),
    "tags": lambda cache: cache.tags("a"),
    "get_many": lambda cache: cache.get_many("abc"),
    "delete_many": lambda cache: cache.delete_many("abc"),
    "hottest": lambda cache: cache.hottest(),
    "ages": lambda cache: cache.ages(),
    "resize": lambda cache: cache.resize(1),
    "pickle": pickle.dumps,
}


def arrange_clock(operation: Callable[[Any], object], elapsed: int, policy: str, trigger: Trigger) -> Arranged:
    clock = TriggeringClock(trigger)
    clock.now = 1.0
    cache: MemoryCache[Any, Any] = MemoryCache(3, policy=policy, clock=clock, ttl=10, max_bytes=10**6)
    cache.set("a", 1, tags="x")
    cache["b"] = 2
    clock.now += elapsed
    return cache, lambda: operation(cache)


for _name, _timed in TIMED.items():
    if _name != "pickle":
        for _case, _elapsed in (("live", 1), ("expired", 10)):
            add(f"clock in {_name}, {_case}", arrange_clock, _timed, _elapsed)


LEAVE: dict[str, Callable[[Any], object]] = {
    "replacing": lambda cache: operator.setitem(cache, "a", None),
    "replacing for no time": lambda cache: cache.set("a", None, ttl=0),
    "deleting": lambda cache: operator.delitem(cache, "a"),
    "popping": lambda cache: cache.pop("a") and None,
    "popping any": lambda cache: [cache.popitem() and None for _ in range(len(cache))],
    "clearing": lambda cache: cache.clear(),
    "evicting": lambda cache: cache.update((number, number) for number in range(40)),
    "resizing": lambda cache: cache.resize(0),
    "touching for no time": lambda cache: cache.touch("a", ttl=0),
    "invalidating": lambda cache: (cache.invalidate_tag("x"), cache.expire()),
    "invalidating and storing": lambda cache: (cache.invalidate_tag("x"), operator.setitem(cache, "new", 1)),
    "expiring": lambda cache: (cache._clock.tick(100), cache.expire()),
    "expiring and storing": lambda cache: (cache._clock.tick(100), operator.setitem(cache, "a", 1)),
    "expiring and measuring": lambda cache: (cache._clock.tick(100), len(cache)),
    "setting many": lambda cache: cache.set_many({"a": 1, "b": 2}),
    "deleting many": lambda cache: cache.delete_many("ab"),
}


def arrange_listener(operation: Callable[[Any], object], count: int, policy: str, trigger: Trigger) -> Arranged:
    cache: MemoryCache[Any, Any] = MemoryCache(3, policy=policy, clock=Clock(1.0), ttl=50)
    cache.set_many({"a": 1, "b": 2}, tags="x")
    for _ in range(count):
        cache.add_listener(lambda key, value, cause: trigger())
    return cache, lambda: operation(cache)


def arrange_ending(operation: Callable[[Any], object], role: str, policy: str, trigger: Trigger) -> Arranged:
    cache: MemoryCache[Any, Any] = MemoryCache(3, policy=policy, clock=Clock(1.0), ttl=50)
    kept: list[Any] = []
    if role == "value":
        cache.set_many({"a": Dying(trigger), "b": Dying(trigger)}, tags="x")
    else:
        values = Mortal(), Mortal()
        kept += [weakref.ref(value, lambda reference: trigger()) for value in values]
        cache.set_many({"a": values[0], "b": values[1]}, tags="x")
    return cache, lambda: (operation(cache), kept)[0]


for _name, _leave in LEAVE.items():
    for _count in (1, 2):
        add(f"listener of {_count} in {_name}", arrange_listener, _leave, _count)
    for _role in ("value", "weakref"):
        add(f"end of a {_role} in {_name}", arrange_ending, _leave, _role)


def arrange_arguments(operation: Callable[[Any, Trigger], object], policy: str, trigger: Trigger) -> Arranged:
    cache: MemoryCache[Any, Any] = MemoryCache(3, policy=policy, max_bytes=10**6)
    cache.set("a", 1, tags="x")
    return cache, lambda: operation(cache, trigger)


def yielding(trigger: Trigger, *items: Any) -> Any:
    """Call the trigger before each item."""
    for item in items:
        trigger()
        yield item


async def acalling(trigger: Trigger, key: Any) -> Any:
    """A loader that calls the trigger."""
    trigger()
    return key


class Keyed:
    """What `dict.update` takes."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger

    def keys(self) -> list[str]:
        self.trigger()
        return ["k", "l"]

    def __getitem__(self, key: str) -> str:
        self.trigger()
        return key


ARGUMENTS: dict[str, Callable[[Any, Trigger], object]] = {
    "ttl in set": lambda cache, trigger: cache.set("a", 1, ttl=Number(trigger, 5)),
    "ttl in touch": lambda cache, trigger: cache.touch("a", ttl=Number(trigger, 5)),
    "ttl in get_or_load": lambda cache, trigger: cache.get_or_load("n", str, ttl=Number(trigger, 5)),
    "tags in set": lambda cache, trigger: cache.set("a", 1, tags=yielding(trigger, "x", "y")),
    "tags in get_or_load": lambda cache, trigger: cache.get_or_load("n", str, tags=yielding(trigger, "x", "y")),
    "limit in resize": lambda cache, trigger: cache.resize(Number(trigger, 2)),
    "bytes in resize": lambda cache, trigger: cache.resize(max_bytes=Whole(trigger, 10**6)),
    "count of hottest": lambda cache, trigger: cache.hottest(Whole(trigger, 1)),
    "keys of get_many": lambda cache, trigger: cache.get_many(yielding(trigger, "a", "b")),
    "keys of delete_many": lambda cache, trigger: cache.delete_many(yielding(trigger, "a", "b")),
    "items of set_many": lambda cache, trigger: cache.set_many(yielding(trigger, ("a", 2), ("b", 1))),
    "items of update": lambda cache, trigger: cache.update(Keyed(trigger)),
    "loader": lambda cache, trigger: cache.get_or_load("n", lambda key: trigger()),
    "loader of a coroutine": lambda cache, trigger: asyncio.run(
        cache.aget_or_load("n", functools.partial(acalling, trigger))
    ),
}
for _name, _argument in ARGUMENTS.items():
    add(f"argument: {_name}", arrange_arguments, _argument)


VALUES: dict[str, Callable[[Any], object]] = {
    "eq": lambda cache: cache == {"a": 1, "b": 2},
    "in values": lambda cache: object() in cache.values(),
    "in items": lambda cache: ("a", object()) in cache.items(),
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
}


def arrange_value(operation: Callable[[Any], object], policy: str, trigger: Trigger) -> Arranged:
    cache: MemoryCache[Any, Any] = MemoryCache(4, policy=policy)
    cache.update(a=Value(trigger), b=Value(trigger))
    return cache, lambda: operation(cache)


for _name, _valued in VALUES.items():
    add(f"value in {_name}", arrange_value, _valued)
