"""Items: parts of keys as bytes that tell where they end, and are the same if and only if the parts are equal.

Numbers are equal across types (`1 == 1.0 == True == Decimal(1)`), so they are written by value: as an integer if they
are one, else as the `float` that they equal, else as a fraction in lowest terms.

One exception to "only if": aware datetimes in the hour that a zone repeats or skips. Python holds them for different
from the same moment in another zone, and for equal to the other moment of the same zone's clock. Here they are the
same in zones that are set alike, and otherwise as in Python.
"""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from math import isnan
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ("encode_item",)

# Deeper tuples could exhaust the stack of the caller.
_MAX_DEPTH = 64
# A Decimal takes as many digits as its exponent says, and that may be any number.
_MAX_EXPONENT = 20_000
# Up to here decimal digits are found in constant time.
_SMALL = 1 << 64
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - subtracted from local times, whose offset is handled apart
_MICROSECOND = timedelta(microseconds=1)
_SUPPORTED = (
    "None, bool, int, float, str, bytes, tuple, frozenset, Enum, type, UUID, date, datetime, timedelta, Decimal, "
    "Fraction and their subclasses that compare alike"
)


class _Failure(Exception):  # noqa: N818 - never leaves this module
    """A part cannot be encoded; gathers, from the inside to the outside, where that is."""

    def __init__(self, error: type[Exception], why: str) -> None:
        self.error = error
        self.why = why
        self.steps: list[str] = []


def encode_item(key: object) -> bytes:
    """Return a key as an item.

    Raises:
        TypeError: the key, or something in it, is of another type; the message says which, and where.
        ValueError: it has a NaN, is nested more than 64 deep, or has a Decimal of absurd size.
    """
    try:
        return _item(key, 0)
    except _Failure as failure:
        place = f"key{''.join(reversed(failure.steps))}"
        raise failure.error(f"{place} {failure.why}") from None


def _item(value: object, depth: int) -> bytes:
    kind = type(value)
    encode = _BY_TYPE.get(kind)
    return _subclass(value, kind, depth) if encode is None else encode(value, depth)


def _none(value: None, depth: int) -> bytes:  # noqa: ARG001 - called like the others
    return b"N"


def _int(value: int, depth: int) -> bytes:  # noqa: ARG001 - called like the others
    if -_SMALL < value < _SMALL:
        return b"i%d;" % value
    return b"x%x;" % value


def _float(value: float, depth: int) -> bytes:
    if float.is_integer(value):
        return _int(int(value), depth)
    if isnan(value):
        raise _Failure(ValueError, "is NaN, which does not equal itself: nothing would ever be found under it")
    # The shortest text that is read back as the same number.
    return b"f%b;" % float.__repr__(value).encode()


def _decimal(value: Decimal, depth: int) -> bytes:
    if value.is_nan():
        raise _Failure(ValueError, "is NaN, which does not equal itself: nothing would ever be found under it")
    if value.is_infinite():
        return _float(float(value), depth)
    if not value:
        return _int(0, depth)
    exponent = max(abs(value.adjusted()), abs(int(value.as_tuple().exponent)))
    if exponent > _MAX_EXPONENT:
        raise _Failure(ValueError, f"is a Decimal with an exponent of {exponent}, the limit is {_MAX_EXPONENT}")
    return _ratio(*value.as_integer_ratio())


def _fraction(value: Fraction, depth: int) -> bytes:  # noqa: ARG001 - called like the others
    return _ratio(value.numerator, value.denominator)


def _ratio(numerator: int, denominator: int) -> bytes:
    if denominator == 1:
        return _int(numerator, 0)
    # Every float is a fraction over a power of two, and few other fractions are.
    if not denominator & (denominator - 1):
        try:
            number = numerator / denominator
        except OverflowError:
            pass
        else:
            if number.as_integer_ratio() == (numerator, denominator):
                return _float(number, 0)
    return b"q%x/%x;" % (numerator, denominator)


def _str(value: str, depth: int) -> bytes:  # noqa: ARG001 - called like the others
    encoded = str.encode(value, "utf-8", "surrogatepass")
    return b"s%d:%b" % (len(encoded), encoded)


def _bytes(value: bytes, depth: int) -> bytes:  # noqa: ARG001 - called like the others
    return b"b%d:%b" % (bytes.__len__(value), bytes.__getitem__(value, slice(None)))


def _tuple(value: tuple[object, ...], depth: int) -> bytes:
    return b"(%b)" % b"".join(_items(tuple.__iter__(value), depth, "[{}]"))


def _frozenset(value: frozenset[object], depth: int) -> bytes:
    return b"{%b}" % b"".join(sorted(_items(frozenset.__iter__(value), depth, " (an element)")))


def _items(values: Iterable[object], depth: int, step: str) -> list[bytes]:
    if depth >= _MAX_DEPTH:
        raise _Failure(ValueError, f"is nested more than {_MAX_DEPTH} deep")
    depth += 1
    items: list[bytes] = []
    try:
        for value in values:
            kind = type(value)
            encode = _BY_TYPE.get(kind)
            items.append(_subclass(value, kind, depth) if encode is None else encode(value, depth))
    except _Failure as failure:
        failure.steps.append(step.format(len(items)))
        raise
    return items


def _uuid(value: UUID, depth: int) -> bytes:  # noqa: ARG001 - called like the others
    return b"u%032x" % value.int


def _timedelta(value: timedelta, depth: int) -> bytes:  # noqa: ARG001 - called like the others
    return b"p%d;" % timedelta.__floordiv__(value, _MICROSECOND)


def _date(value: date, depth: int) -> bytes:  # noqa: ARG001 - called like the others
    return b"d%d;" % date.toordinal(value)


def _datetime(value: datetime, depth: int) -> bytes:  # noqa: ARG001 - called like the others
    # What the clock on the wall shows; the difference is exact, and cannot overflow as that of a datetime can.
    wall = (datetime.replace(value, tzinfo=None) - _EPOCH) // _MICROSECOND
    offset = value.utcoffset()
    if offset is None:
        return b"t%d;" % wall  # equals no aware one
    other = datetime.replace(value, fold=1 - value.fold).utcoffset()
    if other is None or other == offset:
        return b"z%d;" % (wall - offset // _MICROSECOND)
    # The hour that the zone repeats or skips: `==` looks at the wall alone there, and so does `hash`.
    first, second = sorted((offset // _MICROSECOND, other // _MICROSECOND))
    return b"w%d,%d,%d;" % (wall, first, second)


def _enum(value: Enum, depth: int) -> bytes:
    # A combination of flags need not have a name; an alias has that of its member.
    part = value._value_ if isinstance(value, Flag) else value._name_
    return b"e%b%b" % (_class(type(value), depth), _item(part, depth))


def _class(value: type, depth: int) -> bytes:
    name = f"{value.__module__}.{value.__qualname__}"
    if "<locals>" in name:
        raise _Failure(TypeError, f"needs the class {name}, which is made by a function: others could have its name")
    return b"c" + _str(name, depth)


def _subclass(value: object, kind: type, depth: int) -> bytes:
    # Not imported: without it there are no such values.
    scalar = getattr(sys.modules.get("numpy"), "generic", None)
    if scalar is not None and isinstance(value, scalar) and value.dtype.kind in "biufUS":
        item = value.item()
        if type(item) in _BY_TYPE:  # a long double is its own item
            return _item(item, depth)
    for base in kind.__mro__:
        encode = _BY_TYPE.get(base)
        if encode is not None:
            if kind.__eq__ is not base.__eq__:
                # What equals what is known to it alone.
                why = f"is of type {_spell(kind)}, a {base.__name__} with its own __eq__"
                raise _Failure(TypeError, f"{why}; keys are {_SUPPORTED}")
            return encode(value, depth)
    raise _Failure(TypeError, f"is of type {_spell(kind)}; keys are {_SUPPORTED}")


def _spell(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


_BY_TYPE: dict[type, Callable[[Any, int], bytes]] = {
    type(None): _none,
    str: _str,
    int: _int,
    bool: _int,
    float: _float,
    bytes: _bytes,
    tuple: _tuple,
    frozenset: _frozenset,
    UUID: _uuid,
    datetime: _datetime,
    date: _date,
    timedelta: _timedelta,
    Decimal: _decimal,
    Fraction: _fraction,
    Enum: _enum,
    type: _class,
}
