"""Entries into stored objects, into other mappings, and into the overrides of a subclass."""

from __future__ import annotations

import copy
import functools
import operator
import pickle
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from tests.contracts.kinds import Kind
from tests.hostile.entries import Arranged, Trigger, entry, initialise, is_timed

# --- the end of keys and values -------------------------------------------------------------------------


class Dying:
    """A key or value whose end calls the trigger."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger

    def __del__(self) -> None:
        self.trigger()


class Mortal:
    """A value that can be referenced weakly."""


def clear_out(cache: Any) -> None:
    """Store enough to evict everything, also where chance decides."""
    cache.update((number, number) for number in range(60))


ENDINGS: dict[str, Callable[[Any, Any], object]] = {
    "setitem": lambda cache, key: operator.setitem(cache, key, None),
    "delitem": operator.delitem,
    "pop": lambda cache, key: cache.pop(key) and None,
    "popitem": lambda cache, key: [cache.popitem() and None for _ in range(len(cache))],
    "clear": lambda cache, key: cache.clear(),
    "eviction": lambda cache, key: clear_out(cache),
    "init": lambda cache, key: initialise(cache),
}


def arrange_ending(kind: Kind, trigger: Trigger, *, ending: Callable[[Any, Any], object], role: str) -> Arranged:
    cache = kind.make(2)
    key: Any = "key"
    if role == "key":
        key = Dying(trigger)
        cache[key] = "value"
        # The operation gets the only other reference to the key, and gives it up.
        handed = [key]
        return cache, lambda: ending(cache, handed.pop())
    if role == "value":
        cache[key] = Dying(trigger)
    else:
        value = Mortal()
        cache["reference"] = weakref.ref(value, lambda reference: trigger())
        keep = cache.pop("reference")
        cache[key] = value
        return cache, lambda: (ending(cache, key), keep)[0]
    return cache, lambda: ending(cache, key)


for _name, _ending in ENDINGS.items():
    for _role in ("value", "weakref"):
        entry(f"end of a {_role} in {_name}", raises=False)(
            functools.partial(arrange_ending, ending=_ending, role=_role)
        )
for _name in ("delitem", "pop", "popitem", "clear", "eviction", "init"):
    entry(f"end of a key in {_name}", raises=False)(
        functools.partial(arrange_ending, ending=ENDINGS[_name], role="key")
    )


@entry("end of a value in expire", is_timed, raises=False)
def _(kind: Kind, trigger: Trigger) -> Arranged:
    cache = kind.make_short_lived(3)
    cache.update(a=Dying(trigger), b=Dying(trigger))
    cache.timer.tick(10)
    return cache, lambda: len(cache)


@entry("end of a value in storing after expiry", is_timed, raises=False)
def _(kind: Kind, trigger: Trigger) -> Arranged:
    cache = kind.make_short_lived(3)
    cache.update(a=Dying(trigger), b=Dying(trigger))
    cache.timer.tick(10)
    return cache, lambda: operator.setitem(cache, "c", 1)


# --- what values, other mappings and pickle do ----------------------------------------------------------


class Value:
    """A value whose comparison, representation, copy and pickle call the trigger."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger

    def __eq__(self, other: object) -> bool:
        self.trigger()
        return True

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        self.trigger()
        return "value"

    def __copy__(self) -> Value:
        self.trigger()
        return self

    def __deepcopy__(self, memo: object) -> str:
        self.trigger()
        return "copy"

    def __reduce__(self) -> tuple[Any, ...]:
        self.trigger()
        return str, ("pickled",)


VALUE_OPERATIONS: dict[str, Callable[[Any], object]] = {
    "eq": lambda cache: cache == {"a": 1, "b": 2},
    "ne": lambda cache: cache != {"a": 1, "b": 2},
    "reflected eq": lambda cache: {"a": 1, "b": 2} == cache,  # noqa: SIM300 - the order matters
    "in values": lambda cache: object() in cache.values(),
    "in items": lambda cache: ("a", object()) in cache.items(),
    "repr": repr,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
}


def arrange_value(kind: Kind, trigger: Trigger, *, operation: Callable[[Any], object]) -> Arranged:
    cache = kind.make(4)
    cache.update(a=Value(trigger), b=Value(trigger))
    return cache, lambda: operation(cache)


for _name, _value in VALUE_OPERATIONS.items():
    entry(f"value in {_name}")(functools.partial(arrange_value, operation=_value))


@entry("other mapping in update")
def _(kind: Kind, trigger: Trigger) -> Arranged:
    class Source:
        def keys(self) -> list[str]:
            trigger()
            return ["x", "y"]

        def __getitem__(self, key: str) -> int:
            trigger()
            return 1

    cache = kind.make(2)
    cache["a"] = 1
    return cache, lambda: cache.update(Source())


@entry("generator in update")
def _(kind: Kind, trigger: Trigger) -> Arranged:
    def pairs() -> Iterator[tuple[str, int]]:
        for key in "xyz":
            trigger()
            yield key, 1

    cache = kind.make(2)
    cache["a"] = 1
    return cache, lambda: cache.update(pairs())


# --- overrides of a subclass ----------------------------------------------------------------------------

HOOK_OPERATIONS: dict[str, dict[str, Callable[[Any], object]]] = {
    "__getitem__": {"get": lambda cache: cache.get("a"), "items": lambda cache: list(cache.items())},
    "__setitem__": {"update": lambda cache: cache.update(c=3), "setdefault": lambda cache: cache.setdefault("c", 3)},
    "__delitem__": {"pop": lambda cache: cache.pop("a"), "eviction": clear_out},
    "__contains__": {"get": lambda cache: cache.get("a"), "setdefault": lambda cache: cache.setdefault("c", 3)},
    "__missing__": {"getitem": lambda cache: cache["absent"]},
    "popitem": {"eviction": clear_out, "popitem": lambda cache: cache.popitem()},
    "expire": {"len": len, "setitem": lambda cache: operator.setitem(cache, "c", 3), "popitem": lambda c: c.popitem()},
}


def arrange_hook(
    kind: Kind, trigger: Trigger, *, hook: str, operation: Callable[[Any], object], late: bool
) -> Arranged:
    inherited = getattr(kind.cls, hook)

    def override(self: Any, *args: Any) -> Any:
        if not late:
            trigger()
        result = inherited(self, *args)
        if late:
            trigger()
        return result

    cache = kind.make(2, cls=type("Hooked", (kind.cls,), {hook: override}))
    cache.update(a=1, b=2)
    return cache, lambda: operation(cache)


for _hook, _operations in HOOK_OPERATIONS.items():
    for _name, _hooked in _operations.items():
        for _late in (False, True):
            if _hook == "__missing__" and _late:
                continue  # the inherited method raises
            entry(
                f"override of {_hook} in {_name}, {'after' if _late else 'before'}",
                is_timed if _hook == "expire" else lambda kind: True,
            )(functools.partial(arrange_hook, hook=_hook, operation=_hooked, late=_late))
