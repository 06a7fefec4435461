"""Hashable stand-ins for arguments that cannot be hashed, such as lists, dicts and arrays.

A stand-in is made from the content of the value, never from its `repr`: a tuple of a marker, the type of the
value, and what its `==` compares, with everything unhashable in there replaced likewise. Hashing and comparing
it is the work of tuples and frozensets, so it runs in C, and two stand-ins are equal if and only if the two
values have the same type and are equal. (Only arrays go by their bytes instead of by `==`.) No other value
equals a stand-in, because nobody else has the marker.

The type is part of it, as a function can tell a `defaultdict` from a `dict` that is equal to it. Of values that
are hashable nothing is replaced, so `1`, `1.0` and `True` are as equal inside of a list as they are in a key,
and a hashable tuple that holds a named tuple equals one that holds a plain tuple.

What happens at a failure shapes the code. The path to the place, such as `filters['a'][0]`, is put together
while the failure travels outward, so that no call pays for it that succeeds. The exceptions of user code are
none of these failures, and pass through as they are.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from typing import TYPE_CHECKING, final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from typing import Any

__all__ = ("ATOMS", "freeze", "freeze_all", "freeze_call")

#: Types, but not their subclasses, whose values are always hashable: with them there is nothing to try.
ATOMS = frozenset({str, int, float, bool, type(None), bytes, complex, frozenset})

# A stand-in this deep can still be compared within the default recursion limit (a dict takes three levels of
# it), and `hash`, which does not look at the limit, does not overflow the stack.
_MAX_DEPTH = 200
# Bytes up to which the content itself is in the key. Beyond, a digest: 32 bytes, and nobody finds two contents
# that share one.
_MAX_CONTENT = 1024


@final
class _Frozen:
    """Begins every stand-in. The class itself is the marker, because pickle stores a class by name."""


class _Failure(Exception):  # noqa: N818 - never leaves this module
    """Something cannot be frozen; it gathers, from the inside to the outside, where that is."""

    def __init__(self, reason: str | None, cause: TypeError | None = None) -> None:
        # None if the nesting is too deep.
        self.reason = reason
        self.cause = cause
        self.steps: list[tuple[object, str]] = []

    def error(self, name: str) -> Exception:
        """Return what is raised to the user, for an argument of the name given."""
        path = name
        paths: dict[int, str] = {}
        for owner, step in reversed(self.steps):
            # There is no other watch for cycles: a descent into one ends as too deep.
            if id(owner) in paths:
                return ValueError(f"cannot freeze {name}: it contains itself, {path} is {paths[id(owner)]}")
            paths[id(owner)] = path
            path += step
        if self.reason is None:
            return RecursionError(f"cannot freeze {name}: it is nested more than {_MAX_DEPTH} levels deep")
        return TypeError(f"cannot freeze {path}: {self.reason}")


def freeze(value: object, name: str = "value") -> Hashable:
    """Return a hashable stand-in for `value`, or `value` itself if it is hashable.

    Two stand-ins are equal if and only if the two values have the same type and are equal. Known are `dict`,
    `list`, `set`, `tuple`, `bytearray`, `memoryview`, `array.array`, the classes of `collections`, numpy arrays,
    dataclasses (by the fields that take part in comparison), and subclasses of the built-in ones that leave
    `__eq__` alone. Arrays are equal if their types, shapes and bytes are, whatever their layout in memory: a NaN
    equals the same NaN, and 0.0 differs from -0.0. What does not count: the `maxlen` of a deque, zeros in a
    `Counter`, and the order of a dict unless it is an `OrderedDict`.

    The stand-in does not change when `value` does. It holds the values inside that were hashable, and arrays of
    more than 1 KiB as a digest.

    Args:
        value: the argument of a call. No other thread may change it meanwhile.
        name: what to call it in errors.

    Raises:
        TypeError: something in it is neither hashable nor of a known kind; the message says where.
        ValueError: it contains itself.
        RecursionError: it is nested more than 200 levels deep.

    Whatever its own methods raise is passed on. Costs 0.2 µs for a list or a set of ten, 0.5 µs for a dict of
    five, if all in it is hashable. If not, that is lost, and each item costs 0.1 µs, those not hashable the cost of
    their own. An array of numpy costs 1 µs, and beyond 1 KiB 1 ns for each byte.

    Example:
        >>> freeze({"a": [1, 2], "b": None}) == freeze({"b": None, "a": [1, 2]})
        True
        >>> freeze([1]) == freeze((1,))
        False
        >>> class Widget:
        ...     __hash__ = None
        >>> freeze({"ids": [1, Widget()]}, "filters")
        Traceback (most recent call last):
        TypeError: cannot freeze filters['ids'][1]: unhashable type 'Widget'
    """
    kind = type(value)
    if kind in ATOMS:
        return value
    try:
        return _BY_TYPE.get(kind, _freeze_other)(value, 0)
    except _Failure as failure:
        raise failure.error(name) from failure.cause


def freeze_all(values: Iterable[object], name: str) -> tuple[Hashable, ...]:
    """Return the values of a variadic parameter, frozen where they are not hashable.

    Example:
        >>> freeze_all((1, "two"), "args")
        (1, 'two')
    """
    frozen: list[Hashable] = []
    try:
        for value in values:
            kind = type(value)
            frozen.append(value if kind in ATOMS else _BY_TYPE.get(kind, _freeze_other)(value, 0))
    except _Failure as failure:
        raise failure.error(f"{name}[{len(frozen)}]") from failure.cause
    return tuple(frozen)


def freeze_call(
    args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[tuple[Hashable, ...], dict[str, Hashable]]:
    """Return the arguments of a call, frozen where they are not hashable.

    Errors call the positional ones `args[0]` and so on, and the others by their names.

    Example:
        >>> freeze_call((1, "two"), {"three": 3})
        ((1, 'two'), {'three': 3})
    """
    return freeze_all(args, "args"), {name: freeze(value, name) for name, value in kwargs.items()}


# --- containers -------------------------------------------------------------------------------
# Each is first copied as if all in it were hashable, in C. Only if that fails is each item looked at, after
# the exception is handled: those of user code must not refer to it. An exception that was the user's comes again.

# The latter is what a writable memoryview raises.
_UNHASHABLE = (TypeError, ValueError)


def _freeze_sequence(value: list[object] | deque[object], depth: int) -> Hashable:
    items = tuple(value)
    try:
        hash(items)
    except _UNHASHABLE:
        pass
    else:
        return _Frozen, type(value), items
    return _Frozen, type(value), tuple(_freeze_items(value, items, depth))


def _freeze_tuple(value: tuple[object, ...], depth: int) -> Hashable:
    try:
        hash(value)
    except _UNHASHABLE:
        pass
    else:
        return value
    return _Frozen, type(value), tuple(_freeze_items(value, value, depth))


def _freeze_set(value: set[object], depth: int) -> Hashable:  # noqa: ARG001 - called like the others
    kind = type(value)
    # Of a subclass, what it iterates over, as with the other containers.
    return _Frozen, kind, frozenset(value if kind is set else iter(value))


def _freeze_dict(value: dict[object, object], depth: int) -> Hashable:
    try:
        return _Frozen, type(value), frozenset(value.items())
    except _UNHASHABLE:
        pass
    return _Frozen, type(value), frozenset(_freeze_pairs(value, depth))


def _freeze_ordered_dict(value: OrderedDict[object, object], depth: int) -> Hashable:
    return _Frozen, type(value), tuple(_freeze_pairs(value, depth))


def _freeze_defaultdict(value: defaultdict[object, object], depth: int) -> Hashable:
    # A function can read a missing key, so what makes up for it counts.
    [factory] = _freeze_items(value, (value.default_factory,), depth, ".default_factory")
    return _Frozen, type(value), factory, frozenset(_freeze_pairs(value, depth))


def _freeze_counter(value: Counter[object], depth: int) -> Hashable:
    return _Frozen, type(value), frozenset(pair for pair in _freeze_pairs(value, depth) if pair[1] != 0)


def _freeze_items(owner: object, items: Iterable[object], depth: int, step: str = "[{}]") -> list[Hashable]:
    """Freeze each of the items, which are where `step` says, inside of `owner`."""
    if depth >= _MAX_DEPTH:
        raise _Failure(None)
    depth += 1
    frozen: list[Hashable] = []
    try:
        for item in items:
            kind = type(item)
            frozen.append(item if kind in ATOMS else _BY_TYPE.get(kind, _freeze_other)(item, depth))
    except _Failure as failure:
        failure.steps.append((owner, step.format(len(frozen))))
        raise
    return frozen


def _freeze_pairs(value: dict[Any, Any], depth: int) -> list[tuple[Hashable, Hashable]]:
    """Freeze the values of a dict, whatever the subclass; its keys are hashable."""
    if depth >= _MAX_DEPTH:
        raise _Failure(None)
    depth += 1
    frozen: list[tuple[Hashable, Hashable]] = []
    key: object = None
    try:
        for key, item in value.items():
            kind = type(item)
            frozen.append((key, item if kind in ATOMS else _BY_TYPE.get(kind, _freeze_other)(item, depth)))
    except _Failure as failure:
        failure.steps.append((value, f"[{_spell(key)}]"))
        raise
    return frozen


def _spell(key: object) -> str:
    """Return how to write a key in a path. No user code runs, and the result is short."""
    if type(key) is str or (type(key) is int and key.bit_length() < 100):
        text = repr(key)
        return text if len(text) <= 40 else f"{text[:36]}...{text[-1]}"
    return f"<{type(key).__name__}>"


# --- arrays -----------------------------------------------------------------------------------


def _freeze_bytearray(value: bytearray, depth: int) -> Hashable:  # noqa: ARG001 - called like the others
    # A copy, as other threads could not resize the array itself while it is digested.
    return _Frozen, type(value), _content(bytes(value))


def _freeze_array(value: array[Any], depth: int) -> Hashable:  # noqa: ARG001 - called like the others
    return _Frozen, type(value), value.typecode, _content(value.tobytes())


def _freeze_memoryview(value: memoryview, depth: int) -> Hashable:  # noqa: ARG001 - called like the others
    try:
        hash(value)
    except _UNHASHABLE:
        pass
    else:
        return value
    if "O" in value.format:
        raise _Failure("a memoryview of objects")
    return _Frozen, type(value), value.format, value.shape, _content(value.tobytes())


def _content(data: bytes) -> Hashable:
    return data if len(data) <= _MAX_CONTENT else _digest(data)


def _digest(data: Any) -> Hashable:  # noqa: ANN401 - whatever has a contiguous buffer
    # Takes ten milliseconds to import, and most programs have no use for it.
    from hashlib import blake2b

    return memoryview(data).nbytes, blake2b(data, digest_size=32).digest()


def _freeze_ndarray(numpy: Any, value: Any, depth: int) -> Hashable:  # noqa: ANN401 - numpy may not be there
    dtype = value.dtype
    content: Hashable
    if dtype.names is not None:
        # Field by field, as there may be gaps between them, with anything in the bytes there.
        content = tuple(_freeze_pairs({name: value[name] for name in dtype.names}, depth))
    elif dtype.hasobject or dtype.char in "gG":
        # The bytes are addresses, or, of a long double, partly gaps.
        step = "[{}]" if value.ndim == 1 else ".flat[{}]"
        content = tuple(_freeze_items(value, value.ravel().tolist(), depth, step))
    elif value.nbytes <= _MAX_CONTENT:
        content = value.tobytes()
    else:
        # Not copied if it is contiguous. As bytes, since not all types can be read through a buffer.
        content = _digest(numpy.ascontiguousarray(value).reshape(-1).view(numpy.uint8))
    return _Frozen, type(value), dtype, value.shape, content


# --- all that is left -------------------------------------------------------------------------


def _freeze_other(value: object, depth: int) -> Hashable:
    try:
        hash(value)
    except TypeError as error:
        cause = error
    else:
        return value
    kind = type(value)
    for base in kind.__mro__:
        freeze_base = _BY_TYPE.get(base)
        if freeze_base is not None:
            if kind.__eq__ is not base.__eq__:  # type: ignore[comparison-overlap]
                # What it compares is known to it alone.
                raise _Failure(f"{kind.__qualname__!r} is a {base.__name__} with its own __eq__", cause)
            return freeze_base(value, depth)
    # Not imported: without it there are no arrays. It may be half imported, by another thread.
    numpy = sys.modules.get("numpy")
    ndarray = getattr(numpy, "ndarray", None)
    if ndarray is not None and isinstance(value, ndarray):
        if kind is ndarray or kind is getattr(numpy, "memmap", None):
            return _freeze_ndarray(numpy, value, depth)
        # It may have more than an array has, as a masked array has its mask.
        raise _Failure(f"{kind.__qualname__!r} is a subclass of numpy.ndarray", cause)
    # By identity is no content.
    if hasattr(kind, "__dataclass_fields__") and kind.__eq__ is not object.__eq__:
        return _freeze_dataclass(value, depth)
    raise _Failure(f"unhashable type {kind.__qualname__!r}", cause)


def _freeze_dataclass(value: object, depth: int) -> Hashable:
    if depth >= _MAX_DEPTH:
        raise _Failure(None)
    kind = type(value)
    names = _compared.get(kind)
    if names is None:
        # Takes long to import, and where there is a dataclass it has been.
        from dataclasses import fields

        names = _compared[kind] = tuple([field.name for field in fields(kind) if field.compare])  # type: ignore[arg-type]
    frozen: list[Hashable] = []
    try:
        for name in names:
            item = getattr(value, name)
            frozen.append(item if type(item) in ATOMS else _BY_TYPE.get(type(item), _freeze_other)(item, depth + 1))
    except _Failure as failure:
        failure.steps.append((value, f".{names[len(frozen)]}"))
        raise
    return _Frozen, kind, tuple(frozen)


# The fields that take part in comparison, of the dataclasses so far.
_compared: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()
_BY_TYPE: dict[type, Callable[[Any, int], Hashable]] = {
    dict: _freeze_dict,
    list: _freeze_sequence,
    tuple: _freeze_tuple,
    set: _freeze_set,
    # Those that are not subclasses of it are among the atoms.
    frozenset: _freeze_set,
    deque: _freeze_sequence,
    OrderedDict: _freeze_ordered_dict,
    defaultdict: _freeze_defaultdict,
    Counter: _freeze_counter,
    bytearray: _freeze_bytearray,
    array: _freeze_array,
    memoryview: _freeze_memoryview,
}
