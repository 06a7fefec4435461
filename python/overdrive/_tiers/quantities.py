"""Sizes and durations as people write them: "64MB", "1h30m"."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from math import inf, isnan
from typing import Final

__all__ = ("parse_bytes", "parse_seconds")

_BYTES: Final = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
}
# Longest first, which is the order that a duration of several parts has.
_SECONDS: Final = {
    "w": Decimal(604_800),
    "d": Decimal(86_400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
    "us": Decimal("0.000001"),
}
_NUMBER: Final = r"\d{1,18}(?:\.\d{1,18})?"
_SIZE: Final = re.compile(rf"({_NUMBER})\s?([a-z]*)", re.ASCII | re.IGNORECASE)
_PLAIN: Final = re.compile(_NUMBER, re.ASCII)
_PART: Final = re.compile(rf"({_NUMBER})(us|ms|[wdhms])", re.ASCII)


def parse_bytes(size: int | str) -> int:
    """Return a size in bytes.

    Args:
        size: bytes; or text: a number, and a unit if it is not bytes: kB, MB, GB, TB are powers of 1000, and KiB,
            MiB, GiB, TiB powers of 1024. Case does not matter, and one space may be in between.

    Raises:
        TypeError: it is neither an int nor a str.
        ValueError: it is negative, is not written like that, or is not a whole number of bytes.

    Example:
        >>> parse_bytes("64MB"), parse_bytes("1.5 KiB"), parse_bytes(10)
        (64000000, 1536, 10)
    """
    if isinstance(size, bool) or not isinstance(size, (int, str)):
        raise TypeError(f"a size must be an int or a str such as '64MB', got {size!r}")
    if isinstance(size, int):
        if size < 0:
            raise ValueError(f"a size must be at least 0 bytes, got {size!r}")
        return size
    written = _SIZE.fullmatch(size.strip())
    unit = None if written is None else _BYTES.get(written[2].lower())
    if written is None or unit is None:
        raise ValueError(
            f"a size must be a number and one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB, as '64MB', got {size!r}"
        )
    exact = Decimal(written[1]) * unit
    if exact != int(exact):
        raise ValueError(f"a size must be a whole number of bytes, got {size!r}")
    return int(exact)


def parse_seconds(duration: float | timedelta | str) -> float:
    """Return a duration in seconds; of whole seconds as an int.

    Args:
        duration: seconds; a `timedelta`; or text: a number of seconds, "inf", or numbers with the units w, d, h, m,
            s, ms, us, each at most once and the longest first, without spaces.

    Raises:
        TypeError: it is neither a number nor a timedelta nor a str.
        ValueError: it is negative or NaN, or is not written like that.

    Example:
        >>> parse_seconds("5m"), parse_seconds("1h30m"), parse_seconds("250ms"), parse_seconds("90")
        (300, 5400, 0.25, 90)
    """
    if isinstance(duration, timedelta):
        duration = duration.total_seconds()
    if isinstance(duration, str):
        return _written(duration)
    if isinstance(duration, bool) or not isinstance(duration, (int, float)):
        raise TypeError(f"a duration must be a number of seconds, a timedelta or a str such as '5m', got {duration!r}")
    if isnan(duration) or duration < 0:
        raise ValueError(f"a duration must be at least 0 seconds, got {duration!r}")
    return duration


def _written(text: str) -> float:
    stripped = text.strip()
    if stripped == "inf":
        return inf
    if _PLAIN.fullmatch(stripped):
        return _shortest(Decimal(stripped))
    parts = _PART.findall(stripped)
    units = [unit for _, unit in parts]
    if (
        not parts
        or "".join([number + unit for number, unit in parts]) != stripped
        or units != [unit for unit in _SECONDS if unit in units]
    ):
        raise ValueError(
            f"a duration must be a number of seconds, or numbers with the units w, d, h, m, s, ms, us, the longest "
            f"first, as '1h30m', got {text!r}"
        )
    return _shortest(sum((Decimal(number) * _SECONDS[unit] for number, unit in parts), Decimal(0)))


def _shortest(exact: Decimal) -> float:
    return int(exact) if exact == int(exact) else float(exact)
