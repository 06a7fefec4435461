"""What hostile user code does to the cache that is calling it, and how the cache must come out of it."""

from __future__ import annotations

import copy
import gc
import operator
import sys
from collections.abc import Callable
from typing import Any

from tests.contracts.kinds import Kind
from tests.hostile.callbacks import ENTRIES, Trigger
from tests.hostile.entries import initialise

Reaction = Callable[[Kind, Any], object]


def empty(cache: Any) -> None:
    """Delete everything, key by key."""
    for key in list(iter(cache)):
        cache.pop(key, None)


def drain(cache: Any) -> None:
    """Pop everything."""
    for _ in range(len(cache)):
        cache.popitem()


REACTIONS: dict[str, Reaction] = {
    "read": lambda kind, cache: (cache.get("absent"), "a" in cache, len(cache), cache.currsize, cache.maxsize),
    "store": lambda kind, cache: operator.setitem(cache, "stored by user code", 1),
    "replace everything": lambda kind, cache: cache.update((number, number) for number in range(10)),
    "delete everything": lambda kind, cache: empty(cache),
    "pop everything": lambda kind, cache: drain(cache),
    "clear": lambda kind, cache: cache.clear(),
    "setdefault": lambda kind, cache: cache.setdefault("set by user code"),
    "iterate": lambda kind, cache: list(cache.items()),
    "compare": lambda kind, cache: cache == {},
    "show": lambda kind, cache: repr(cache),
    "copy": lambda kind, cache: copy.copy(cache),
    "initialise": lambda kind, cache: initialise(cache),
    "collect garbage": lambda kind, cache: gc.collect(),
    "check": lambda kind, cache: cache._check(),
}
#: What the operation may make of a cache that changed under it.
PARDONABLE = (KeyError, RuntimeError)


def assert_usable(cache: Any) -> None:
    """The invariants hold, the limit is kept, and the cache still stores and finds."""
    cache._check()
    assert len(cache) <= cache.maxsize
    cache["usable"] = "yes"
    assert cache["usable"] == "yes"
    cache._check()


def survives(kind: Kind, name: str, reaction: str, times: int) -> None:
    """Perform an operation whose user code reacts, any number of times; the cache must be sound after it."""
    trigger = Trigger()
    cache, operation = ENTRIES[name].arrange(kind, trigger)
    trigger.arm(lambda: REACTIONS[reaction](kind, cache), times)
    try:
        operation()
    except PARDONABLE as error:
        if isinstance(error, RuntimeError) and "during iteration" not in str(error):
            raise
    assert trigger.calls > 0, "never reached user code"
    trigger.left = 0
    assert_usable(cache)


def survives_all(kind: Kind, name: str) -> None:
    """Try every reaction, once and repeatedly."""
    unraisable: list[Any] = []
    sys.unraisablehook = unraisable.append
    try:
        for reaction in REACTIONS:
            for times in (1, 30):
                try:
                    survives(kind, name, reaction, times)
                except BaseException as error:
                    error.add_note(f"while user code did: {reaction} ({times} times)")
                    raise
    finally:
        sys.unraisablehook = sys.__unraisablehook__
    assert [str(one.exc_value) for one in unraisable if not isinstance(one.exc_value, PARDONABLE)] == []
