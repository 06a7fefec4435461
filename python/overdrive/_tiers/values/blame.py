"""Where in a value the part is that cannot be written.

Only looked for when writing has failed: the way down from the value to the innermost part that fails by itself.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from overdrive.exceptions import SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("blame", "name_of")

MAX_STEPS = 12
MAX_SHOWN = 40


def name_of(kind: type) -> str:
    """A class as messages name it."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def blame(
    value: object, is_fine: Callable[[object], bool], why: str, *, attributes: bool = False
) -> SerializationError:
    """The error for a value that cannot be written.

    Args:
        value: the value.
        is_fine: whether a part of it, with all that is in it, can be written.
        why: what is wrong with it, to follow the name of its type.
        attributes: also look into the attributes of objects.
    """
    path, steps, ancestors = "value", 0, {id(value)}
    while True:
        for step, part in _parts(value, attributes=attributes):
            if id(part) in ancestors:
                if attributes:
                    continue  # objects may refer to each other
                return SerializationError(f"{path}{step} is a {name_of(type(part))} that contains itself")
            if not is_fine(part):
                break
        else:
            return SerializationError(f"{path} is a {name_of(type(value))}, {why}")
        steps += 1
        if steps > MAX_STEPS * 8:
            return SerializationError(f"{path} nests too deep")
        if steps <= MAX_STEPS:
            path += step
        elif steps == MAX_STEPS + 1:
            path += "..."
        value = part
        ancestors.add(id(value))


def _parts(value: object, *, attributes: bool) -> Iterator[tuple[str, object]]:
    """What is directly in a value, and how it is reached."""
    if isinstance(value, dict):
        for key in value:
            yield f" (its key {_shown(key)})", key
        for key, item in value.items():
            yield f"[{_shown(key)}]", item
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    elif isinstance(value, set | frozenset):
        for item in value:
            yield f" (its member {_shown(item)})", item
    elif attributes and not isinstance(value, type):
        slots = chain.from_iterable(_slots(kind) for kind in type(value).__mro__)
        for name in chain(getattr(value, "__dict__", ()), slots):
            try:
                yield f".{name}", getattr(value, name)
            except AttributeError:
                continue  # a slot that is empty


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if name not in {"__dict__", "__weakref__"})


def _shown(key: object) -> str:
    try:
        text = repr(key)
    except Exception:  # noqa: BLE001 - the error to be told is another one
        return f"<{name_of(type(key))}>"
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
