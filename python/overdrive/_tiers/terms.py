"""On which terms a value is cached: how long it lives, who may see it, and how long its loader may take."""

from __future__ import annotations

import sys
from math import inf
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from overdrive._memoize.options import Options, seconds
from overdrive.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from typing import Any, TypeAlias, Unpack

    Seconds: TypeAlias = float | timedelta | str

__all__ = ("TermOptions", "Terms", "duration", "names_of_tags", "terms")


class TermOptions(TypedDict, total=False):
    """What may be said of one value, or one function, instead of what the cache says; see `TieredCache`.

    Attributes:
        tags: what it is invalidated by besides its key; for a function also a function of its arguments.
        private: keep it out of L3.
        local: keep it in memory alone.
    """

    ttl: Seconds | Callable[[Any], Any] | None
    stale: Seconds | None
    stale_if_error: Seconds | None
    early: float | None
    jitter: float | None
    negative_ttl: Seconds | None
    soft_timeout: Seconds | None
    hard_timeout: Seconds | None
    wait_timeout: Seconds | None
    tags: str | Iterable[str] | Callable[..., Iterable[str] | str] | None
    private: bool | None
    local: bool | None


class Terms(NamedTuple):
    """What one value, or the results of one function, are cached on. Times are in seconds.

    Attributes:
        options: the ones that `memoize` has too, and which its rules are given.
        negative_ttl: how long `None` is kept; `None` if it is not.
        soft_timeout: how long a load may take while there is an old value to return instead.
        hard_timeout: how long it may take at all.
        tags: the value's tags, or a function of the arguments that returns them.
        private: whether the value is kept out of L3.
        local: whether it is kept in memory alone.
    """

    options: Options
    negative_ttl: float | None = None
    soft_timeout: float | None = None
    hard_timeout: float | None = None
    tags: tuple[str, ...] | Callable[..., Iterable[str] | str] = ()
    private: bool = False
    local: bool = False

    @property
    def kept_after_ttl(self) -> float:
        """For how long after its ttl a value may be of use."""
        return max(self.options.stale, self.options.stale_if_error)

    def changed(self, **changes: Unpack[TermOptions]) -> Terms:
        """Return the terms with these changes; what is `None` stays as it is."""
        return terms(self, **changes) if changes else self


def duration(name: str, value: Any) -> float:
    """Return a time in seconds: of a number, a `timedelta` or a text such as "5m"."""
    if isinstance(value, str):
        from overdrive._tiers.quantities import parse_seconds

        try:
            return parse_seconds(value)
        except ValueError as error:
            raise ConfigError(f"{name}: {error}") from None
    return seconds(name, value)


def names_of_tags(tags: object) -> tuple[str, ...]:
    """Return tags as a tuple.

    Raises:
        TypeError: they are neither a text nor an iterable of texts.
    """
    if isinstance(tags, str):
        return (tags,)
    try:
        names = tuple(dict.fromkeys(tags))  # type: ignore[call-overload]
    except TypeError:
        names = (None,)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"tags must be a str or an iterable of str, got {tags!r}")
    return names


def terms(base: Terms, **changes: Unpack[TermOptions]) -> Terms:
    """Return other terms: `base`, with what is given here instead, each checked.

    Raises:
        TypeError: something has the wrong type.
        ValueError: something is out of range.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    unknown = given.keys() - _KNOWN
    if unknown:
        raise TypeError(f"there is no option {min(unknown)!r}; there are {', '.join(sorted(_KNOWN))}")
    new = base
    of_memoize: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name, value in given.items():
        if name in _CHECKED_OF_MEMOIZE:
            of_memoize[name] = _CHECKED_OF_MEMOIZE[name](name, value)
        else:
            own[name] = _CHECKED[name](name, value)
    if of_memoize:
        own["options"] = base.options._replace(**of_memoize)
    if own:
        new = base._replace(**own)
    soft, hard = new.soft_timeout, new.hard_timeout
    if soft is not None and hard is not None and soft > hard:
        raise ConfigError(f"soft_timeout must not exceed hard_timeout, got {soft:g} s and {hard:g} s")
    return new


def _ttl(name: str, value: Any) -> Any:
    if callable(value):
        return value
    lives = duration(name, value)
    if lives == 0:
        raise ConfigError(f"{name} must be more than 0 seconds, got 0")
    return lives


def _positive(name: str, value: Any) -> float:
    lives = duration(name, value)
    if lives == 0:
        raise ConfigError(f"{name} must be more than 0 seconds, got 0")
    return lives


def _tags(_name: str, value: Any) -> Any:
    return value if callable(value) else names_of_tags(value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, got {value!r}")
    return value


def _factor(name: str, value: object) -> float:
    return _number(name, value, sys.float_info.max)


def _fraction(name: str, value: object) -> float:
    return _number(name, value, 1.0)


def _number(name: str, value: object, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 <= value <= most or value == inf:
        raise ConfigError(f"{name} must be between 0 and {most:g}, got {value!r}")
    return float(value)


_CHECKED_OF_MEMOIZE: dict[str, Callable[[str, Any], Any]] = {
    "ttl": _ttl,
    "stale": duration,
    "stale_if_error": duration,
    "early": _factor,
    "jitter": _fraction,
    "wait_timeout": _positive,
}
_CHECKED: dict[str, Callable[[str, Any], Any]] = {
    "negative_ttl": duration,
    "soft_timeout": _positive,
    "hard_timeout": _positive,
    "tags": _tags,
    "private": _flag,
    "local": _flag,
}
_KNOWN = _CHECKED_OF_MEMOIZE.keys() | _CHECKED.keys()
