"""The decorator `cached`: its options, and the keys of calls."""

from __future__ import annotations

from functools import partial
from string import Formatter
from typing import TYPE_CHECKING

from overdrive._memoize.options import check
from overdrive._tiers.functions import decorate
from overdrive._tiers.keys import call_encoder
from overdrive._tiers.terms import duration
from overdrive.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any

    from overdrive._tiers.building import Parts
    from overdrive._tiers.functions import Decorator
    from overdrive._tiers.terms import Terms

__all__ = ("decorator",)


def decorator(
    parts: Parts,
    terms: Terms,
    *,
    key: Callable[..., Hashable] | str | None,
    maxsize: float | None,
    policy: str,
    idle: Any,
    exceptions: Any,
    typed: bool,
    normalize: bool,
    freeze: bool,
    single_flight: bool,
    name: str | None,
    type: Any,  # noqa: A002 - the word that users know
    serializer: Any,
    version: int | str | None,
) -> Decorator:
    """Return a decorator; see `TieredCache.cached`."""
    own = terms.options
    if isinstance(key, str):
        _check_template(key)
    options = check(
        maxsize=parts.function_maxsize if maxsize is None else maxsize,
        policy=policy,
        ttl=own.ttl,
        idle=None if idle is None else duration("idle", idle),
        jitter=own.jitter,
        stale=own.stale,
        stale_if_error=own.stale_if_error,
        early=own.early,
        exceptions=exceptions,
        key=None if key is None else (key if callable(key) else _never),
        typed=typed,
        normalize=normalize,
        freeze=freeze,
        single_flight=single_flight,
        wait_timeout=own.wait_timeout,
        cache=None,
        clock=own.clock,
        method=False,
    )
    if name is not None and (not isinstance(name, str) or not name):
        raise ConfigError(f"name must be a text that is not empty, got {name!r}")
    terms = terms._replace(options=options)
    codec = None
    if not (type is None and serializer is None and version is None):
        codec = parts.tiers.codec.variant(
            serializer=parts.serializer if serializer is None else serializer,
            type=type,
            version=parts.version if version is None else version,
        )

    def decorated(function: Any) -> Any:
        of_this = options._replace(key=_by_template(key, function)) if isinstance(key, str) else options
        full = None if key is not None else name or _full_name(function)
        if full is not None and name is None and parts.tiers.has_lower:
            _check_unique(parts, full, function)
        keys_of = partial(_keys_of, parts, full)
        shared = None if key is None else parts.memory
        made = decorate(parts.tiers, of_this, terms, keys_of, shared, codec, function)
        memo = getattr(made, "__func__", made)
        memo._full_name = full
        parts.functions.add(memo)
        return made

    return decorated


def _full_name(function: Any) -> str:
    """Return what a function is called outside of memory."""
    function = getattr(function, "__func__", function)
    try:
        return f"{function.__module__}.{function.__qualname__.replace('<locals>.', '')}"
    except AttributeError:
        raise ConfigError(f"{function!r} has no name that other processes know: give name= or key=") from None


def _check_unique(parts: Parts, full: str, function: Any) -> None:
    """Refuse the second lambda of a module, or function of the same function: they would share their results."""
    if "<" not in getattr(function, "__func__", function).__qualname__:
        return  # one that replaces another, as in a notebook
    if any(other._full_name == full for other in list(parts.functions)):
        raise ConfigError(f"there is another function {full!r}, and results are kept by that name: give name= or key=")


def _keys_of(parts: Parts, full: str | None, _function: Callable[..., Any]) -> Callable[[Hashable], bytes]:
    if full is None:
        return parts.encode_key
    return call_encoder(full, max_bytes=parts.max_key_bytes, hash_keys=parts.hashes_keys, secret=parts.key_secret)


def _never(*_args: object, **_kwargs: object) -> Hashable:
    """Stand for a key function that is made for each function."""
    raise AssertionError


def _check_template(template: str) -> None:
    try:
        fields = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ConfigError(f"key is no template: {error}, got {template!r}") from None
    if not all(field.partition(".")[0].partition("[")[0].isidentifier() for field in fields):
        raise ConfigError(f"key must name parameters in braces, such as 'user:{{id}}', got {template!r}")


def _by_template(template: str, function: Callable[..., Any]) -> Callable[..., str]:
    """Return a key function that writes the arguments of a call into a text."""
    from inspect import signature

    target = function.__func__ if isinstance(function, (classmethod, staticmethod)) else function
    bound = signature(target)
    names = {field.partition(".")[0].partition("[")[0] for _, field, _, _ in Formatter().parse(template) if field}
    unknown = names - bound.parameters.keys()
    if unknown:
        raise ConfigError(f"key {template!r} names {min(unknown)!r}, which is no parameter of {target.__qualname__}()")

    def key(*args: object, **kwargs: object) -> str:
        call = bound.bind(*args, **kwargs)
        call.apply_defaults()
        return template.format_map(call.arguments)

    return key
