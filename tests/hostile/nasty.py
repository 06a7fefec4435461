"""Values that no argument was meant to have."""

from __future__ import annotations

import datetime
import decimal
import fractions
import math
from collections.abc import Callable
from typing import Any


class BadIndex:
    """Not the integer it claims to be."""

    def __init__(self, result: object) -> None:
        self.result = result

    def __index__(self) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


class BadFloat:
    """Not the number it claims to be."""

    def __init__(self, result: object) -> None:
        self.result = result

    def __float__(self) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


class BadOrder:
    """Adds like a number, but compares badly."""

    def __init__(self, result: object) -> None:
        self.result = result

    def __lt__(self, other: object) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    __gt__ = __le__ = __ge__ = __lt__

    def __add__(self, other: object) -> BadOrder:
        return self

    __radd__ = __sub__ = __rsub__ = __add__


class ArrayLike:
    """Compares element by element, so that the result has no truth value, as an array does."""

    def __lt__(self, other: object) -> ArrayLike:
        return self

    __gt__ = __le__ = __ge__ = __add__ = __radd__ = __lt__

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")


class IntegerSubclass(int):
    """An integer that lies about its order."""

    def __lt__(self, other: object) -> bool:
        return True

    def __add__(self, other: object) -> int:
        raise ZeroDivisionError("adding")

    __radd__ = __add__


class FloatSubclass(float):
    """A float that lies about its order."""

    def __lt__(self, other: object) -> bool:
        raise ZeroDivisionError("comparing")


class UserError(Exception):
    """An error of user code."""


NUMBERS: dict[str, Any] = {
    "zero": 0,
    "minus one": -1,
    "minus zero": -0.0,
    "true": True,
    "smallest float": 5e-324,
    "largest float": 1.7976931348623157e308,
    "inf": math.inf,
    "minus inf": -math.inf,
    "nan": math.nan,
    "2**31": 2**31,
    "2**32": 2**32,
    "2**53 + 1": 2**53 + 1,
    "2**62": 2**62,
    "2**63 - 1": 2**63 - 1,
    "2**63": 2**63,
    "2**64": 2**64,
    "-2**63": -(2**63),
    "2**70": 2**70,
    "10**400": 10**400,
    "-10**400": -(10**400),
    "1e300": 1e300,
    "huge decimal": decimal.Decimal("1e1000000"),
    "huge negative decimal": decimal.Decimal("-1e1000000"),
    "tiny decimal": decimal.Decimal("1e-1000000"),
    "decimal nan": decimal.Decimal("nan"),
    "signalling nan": decimal.Decimal("snan"),
    "decimal infinity": decimal.Decimal("inf"),
    "fraction": fractions.Fraction(1, 3),
    "huge fraction": fractions.Fraction(10**400, 3),
    "complex": 1j,
    "integer subclass": IntegerSubclass(3),
    "float subclass": FloatSubclass(3.0),
}
OBJECTS: dict[str, Any] = {
    "none": None,
    "string": "10",
    "bytes": b"10",
    "list": [10],
    "object": object(),
    "type": int,
    "timedelta": datetime.timedelta(seconds=1),
    "largest timedelta": datetime.timedelta.max,
    "smallest timedelta": datetime.timedelta.min,
    "datetime": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    "latest datetime": datetime.datetime.max,  # noqa: DTZ901 - unlike the other one
    "index of a string": BadIndex("1"),
    "index of a float": BadIndex(1.5),
    "huge index": BadIndex(10**400),
    "negative index": BadIndex(-1),
    "index that raises": BadIndex(UserError("index")),
    "float of a string": BadFloat("1"),
    "float of nan": BadFloat(math.nan),
    "float of inf": BadFloat(math.inf),
    "float that raises": BadFloat(UserError("float")),
    "order that raises": BadOrder(UserError("order")),
    "order of nonsense": BadOrder("yes"),
    "order of not implemented": BadOrder(NotImplemented),
    "array": ArrayLike(),
}
VALUES = NUMBERS | OBJECTS


def raises() -> Any:
    """A clock that has no time."""
    raise UserError("clock")


def alternating(*times: Any) -> Callable[[], Any]:
    """Return a clock that shows the times in turn, for ever."""
    shown = 0

    def clock() -> Any:
        nonlocal shown
        shown += 1
        return times[shown % len(times)]

    return clock


CLOCKS: dict[str, Callable[[], Any]] = {
    **{f"always {name}": alternating(value) for name, value in VALUES.items()},
    "raises": raises,
    "back and forth": alternating(100, 0, 50, -100, 2**63, -(2**63)),
    "jumps to the end": alternating(0, 2**63 - 1, 2**63, 2**64, 10**400),
    "int and float": alternating(0, 0.5, 2**53, 2.0**53, 2**53 + 1),
    "nan now and then": alternating(1.0, math.nan, 2.0),
    "inf now and then": alternating(1.0, math.inf, 2.0, -math.inf),
    "numbers and dates": alternating(1, datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)),
    "numbers and none": alternating(1, None),
    "aware and naive": alternating(
        datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(2020, 1, 2),  # noqa: DTZ001 - the point
    ),
}
