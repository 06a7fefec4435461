"""What the fields of a configuration may be: from Python, and as text from the environment.

A check returns the value as it is kept, or raises `TypeError` or `ValueError` without a message: the caller says
which field it was, what is allowed, and what it got.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from math import inf, isnan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from overdrive._tiers.quantities import parse_bytes, parse_seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

__all__ = (
    "Check",
    "choice",
    "directory",
    "flag",
    "name",
    "number",
    "or_none",
    "seconds",
    "secret",
    "secrets",
    "size",
    "text",
    "whole",
)

_LEAST_SECRET: Final = 16
_FLAGS: Final = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Check(NamedTuple):
    """What one field may be.

    Attributes:
        allowed: what is, for people: completes "must be".
        value: checks what an argument is.
        text: what an environment variable says, as an argument.
        is_secret: whether the value must not be shown.
    """

    allowed: str
    value: Callable[[Any], Any]
    text: Callable[[str], Any]
    is_secret: bool = False


def whole(least: int, most: int | None = None) -> Check:
    """A whole number."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError
        if value < least or (most is not None and value > most):
            raise ValueError
        return value

    return Check(f"a whole number {_range(least, most)}", check, int)


def number(least: float, most: float = inf, *, above: bool = False) -> Check:
    """A finite number; `above` if the least itself is not allowed."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError
        if isnan(value) or value == inf or not least <= value <= most or (above and value == least):
            raise ValueError
        return value

    allowed = f"above {_plain(least)}" if above and most == inf else _range(least, None if most == inf else most)
    return Check(f"a number {allowed}", check, float)


def seconds(least: float = 0.0, most: float = inf, *, above: bool = False) -> Check:
    """A duration, infinite only if there is no most; `above` if the least itself is not allowed."""

    def check(value: Any) -> float:
        duration = parse_seconds(value)
        if not least <= duration <= most or (above and duration == least):
            raise ValueError
        return duration

    allowed = f"above {_plain(least)}" if above and most == inf else _range(least, None if most == inf else most)
    return Check(f"seconds {allowed}, a timedelta, or text such as '5m'", check, str)


def size(least: int, most: int | None = None) -> Check:
    """A size in bytes."""

    def check(value: Any) -> int:
        length = parse_bytes(value)
        if length < least or (most is not None and length > most):
            raise ValueError
        return length

    return Check(f"bytes {_range(least, most)}, or text such as '64MB'", check, str)


def choice(values: type[Enum] | tuple[str, ...]) -> Check:
    """One of some values; a member of an enumeration, or its value."""
    members = values if isinstance(values, tuple) else tuple([str(member.value) for member in values])

    def check(value: Any) -> Any:
        if not isinstance(value, str):
            raise TypeError
        if isinstance(values, tuple):
            if value not in values:
                raise ValueError
            return value
        return values(value)

    return Check(f"one of {', '.join(map(repr, members))}", check, str.lower)


def text(allowed: str) -> Check:
    """A str that is not empty; who uses it looks closer."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        if not value:
            raise ValueError
        return value

    return Check(allowed, check, str)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not _NAME.fullmatch(value):
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _flag_text(text: str) -> bool:
    try:
        return _FLAGS[text.lower()]
    except KeyError:
        raise ValueError from None


def _directory(value: Any) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError
    path = os.fspath(value)
    if not isinstance(path, str):
        raise TypeError
    if not path or "\x00" in path:
        raise ValueError
    try:
        # Relative ones would be others after a change of the working directory.
        return Path(path).expanduser().absolute()
    except RuntimeError:  # of a user who does not exist
        raise ValueError from None


def _secret(value: Any) -> bytes:
    if not isinstance(value, (str, bytes)):
        raise TypeError
    encoded = value.encode() if isinstance(value, str) else value
    if len(encoded) < _LEAST_SECRET:
        raise ValueError
    return encoded


def _secrets(value: Any) -> tuple[bytes, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError
    return tuple([_secret(one) for one in value])


def or_none(check: Check) -> Check:
    """What another check allows, or `None`."""
    return check._replace(
        allowed=f"{check.allowed}, or None",
        value=lambda value: None if value is None else check.value(value),
        text=lambda text: None if text.lower() in ("", "none") else check.text(text),
    )


flag: Final = Check("a bool", _flag, _flag_text)
name: Final = Check("1 to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit", _name, str)
directory: Final = Check("a path", _directory, str)
secret: Final = Check(f"bytes or a str of at least {_LEAST_SECRET} bytes", _secret, str, is_secret=True)
secrets: Final = Check(
    f"a tuple of bytes or str of at least {_LEAST_SECRET} bytes each (in the environment: separated by spaces)",
    _secrets,
    str.split,
    is_secret=True,
)


def _range(least: float, most: float | None) -> str:
    return f"of at least {_plain(least)}" if most is None else f"from {_plain(least)} to {_plain(most)}"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)
