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
        keys_of = partial(_keys_of, parts, name, key is not None)
        shared = None if key is None else parts.memory
        made = decorate(parts.tiers, of_this, terms, keys_of, shared, codec, function)
        parts.functions.add(getattr(made, "__func__", made))
        return made

    return decorated


def _keys_of(
    parts: Parts, name: str | None, has_own_keys: bool, function: Callable[..., Any]
) -> Callable[[Hashable], bytes]:
    if has_own_keys:
        return parts.encode_key
    full = name or f"{function.__module__}.{function.__qualname__.replace('<locals>.', '')}"
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
