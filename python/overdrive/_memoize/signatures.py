"""Keys that follow the signature of a function: one for all spellings of a call.

CPython binds arguments to parameters faster than any code in Python could, but only where it calls a function.
So the key function has the parameters and the defaults of the function that it makes keys for, and its body is
the tuple of them. As in `dataclasses`, its source is written and compiled here. Of the function nothing but the
names of its parameters enters the source.
"""

from __future__ import annotations

import sys
from functools import partial
from keyword import iskeyword
from typing import TYPE_CHECKING, NamedTuple, final

from overdrive._memoize import freezing

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping
    from inspect import Parameter, Signature
    from typing import Any

__all__ = ("normalizing_key", "unhashable_argument")


@final
class _Default:
    """Stands in a key for a default that is not hashable. A class, as pickle stores that by name."""


class _Part(NamedTuple):
    """A parameter, as a part of the key."""

    parameter: Parameter
    source: str  # of the expression for its value


def normalizing_key(
    function: Callable[..., object], *, skip_first: bool = False, typed: bool = False, freeze: bool = False
) -> Callable[..., Hashable]:
    """Return a key function to which two calls are equal if they give the parameters equal values.

    It is called like `function`, and returns a tuple: the values of the parameters, defaults included, in the
    order of the signature. That of `*args` is a tuple, that of `**kwargs` a tuple of pairs, sorted by name. A call
    that `function` would refuse fails here, with the same `TypeError`.

    A wrapper is taken as it is called itself; `__wrapped__` is not followed. It may add arguments, or have other
    defaults than what it wraps, so that calls which differ would share a key. The price is that a wrapper of
    `*args, **kwargs` has one key for each spelling, as with `hashkey`.

    Args:
        function: any callable whose signature can be told.
        skip_first: leave the first parameter, the instance, out of the key. The caller passes it all the same.
        typed: append the types of the values, so that 1 and 1.0 differ.
        freeze: replace values that are not hashable by their `freezing.freeze`. Without it the key of such a value
            cannot be hashed, unless it is the default, in whose place there is a marker.

    Raises:
        TypeError: `function` is not callable.
        ValueError: its signature cannot be told, as is so of some builtins; or `skip_first` is true and it has no
            positional parameter.

    Costs 50 µs. The key function costs about as much as a Python function that does nothing, 60 ns; `freeze` adds
    25 ns for each parameter whose value is a plain scalar, `typed` 10 ns, keywords for `**kwargs` about 0.4 µs.

    Example:
        >>> def area(width, height=1, *, unit="m"): ...
        >>> key = normalizing_key(area)
        >>> key(2)
        (2, 1, 'm')
        >>> key(2) == key(2, 1) == key(unit="m", width=2)
        True
        >>> key()
        Traceback (most recent call last):
        TypeError: area() missing 1 required positional argument: 'width'
    """
    name = _name(function)
    parameters = _signature(function).parameters.values()
    # What all names begin with that the source uses besides those of the parameters.
    own = "_"
    while any(parameter.name.startswith(own) for parameter in parameters):
        own += "_"
    # Positional-only parameters may have any name, as some of C functions do.
    parts = [
        _Part(parameter, parameter.name if _is_name(parameter.name) else f"{own}{index}")
        for index, parameter in enumerate(parameters)
    ]
    declaration = _declaration(parts)
    if skip_first:
        parts = _without_first(parts, name)
    values = [_value(part, own, freeze=freeze) for part in parts]
    if typed:
        values += [_type(part, own) for part in parts]
    source = f"def {own}key({declaration}): return ({''.join([f'{value}, ' for value in values])})"

    namespace: dict[str, Any] = {
        f"{own}atoms": freezing.ATOMS,
        f"{own}freeze": freezing.freeze,
        f"{own}freeze_all": freezing.freeze_all,
        f"{own}pairs": _frozen_pairs if freeze else _pairs,
        f"{own}type": type,
        f"{own}types": _types,
        f"{own}types_by_name": _types_by_name,
    }
    exec(compile(source, f"<key of {name}>", "exec", dont_inherit=True), namespace)
    # Popped, since a function that is among its own globals is a cycle.
    key = namespace.pop(f"{own}key")
    # These two are in the messages of wrong calls.
    key.__name__ = name.rpartition(".")[2]
    key.__qualname__ = name
    key.__doc__ = f"Return the key of a call of {name}."
    # Set here, so that in the source they need no names.
    defaults = []
    keyword_defaults = {}
    for parameter in parameters:
        default = parameter.default
        if default is not parameter.empty:
            if not freeze and not _is_hashable(default):
                default = _Default
            if parameter.kind is parameter.KEYWORD_ONLY:
                keyword_defaults[parameter.name] = default
            else:
                defaults.append(default)
    key.__defaults__ = tuple(defaults)
    key.__kwdefaults__ = keyword_defaults
    return key  # type: ignore[no-any-return]


def unhashable_argument(
    function: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object], *, skip_first: bool = False
) -> str | None:
    """Say which argument of a call is the first, in the order of the signature, that cannot be hashed.

    For the message of an error that has occurred: it fails only if a `__hash__` raises no mere `Exception`.

    Args:
        function: what was called.
        args: its positional arguments.
        kwargs: its keyword arguments.
        skip_first: leave out the first argument, the instance.

    Returns:
        The argument and the type, such as "argument 'filters' is unhashable (dict)"; `None` if all arguments are
        hashable, or if something else than a `TypeError` came up.

    Example:
        >>> def search(text, filters=None): ...
        >>> unhashable_argument(search, ("rust", {"year": 2020}), {})
        "argument 'filters' is unhashable (dict)"
        >>> unhashable_argument(print, (1, []), {})
        "argument 'args[1]' is unhashable (list)"
    """
    try:
        arguments = _named(function, args, kwargs)
        if skip_first:
            next(arguments, None)
        for name, value in arguments:
            unhashable = _unhashable(value)
            if unhashable is not None:
                return f"{name} is unhashable ({unhashable})"
    except Exception:  # noqa: BLE001 - the user is told of another error, and this one must not hide it
        return None
    return None


# --- the source -------------------------------------------------------------------------------


def _declaration(parts: list[_Part]) -> str:
    """Return the list of parameters, without defaults."""
    declared = []
    before: Any = None
    for parameter, name in parts:
        kind = parameter.kind
        if before is parameter.POSITIONAL_ONLY and kind is not parameter.POSITIONAL_ONLY:
            declared.append("/")
        if kind is parameter.KEYWORD_ONLY and before not in (parameter.VAR_POSITIONAL, parameter.KEYWORD_ONLY):
            declared.append("*")
        stars = "*" if kind is parameter.VAR_POSITIONAL else "**" if kind is parameter.VAR_KEYWORD else ""
        declared.append(stars + name)
        before = kind
    if parts and before is parts[0].parameter.POSITIONAL_ONLY:
        declared.append("/")
    return ", ".join(declared)


def _without_first(parts: list[_Part], name: str) -> list[_Part]:
    if parts:
        first, source = parts[0]
        if first.kind is first.VAR_POSITIONAL:
            return [_Part(first, f"{source}[1:]"), *parts[1:]]
        if first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
            return parts[1:]
    raise ValueError(f"{name}() has no positional parameter, so it cannot be a method")


def _value(part: _Part, own: str, *, freeze: bool) -> str:
    parameter, source = part
    if parameter.kind is parameter.VAR_KEYWORD:
        return f"{own}pairs({source}) if {source} else ()"
    if not freeze:
        return source
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"{own}freeze_all({source}, {parameter.name!r})"
    return f"{source} if {own}type({source}) in {own}atoms else {own}freeze({source}, {parameter.name!r})"


def _type(part: _Part, own: str) -> str:
    parameter, source = part
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"{own}types({source})"
    if parameter.kind is parameter.VAR_KEYWORD:
        return f"{own}types_by_name({source}) if {source} else ()"
    return f"{own}type({source})"


def _pairs(keywords: dict[str, Hashable]) -> tuple[tuple[str, Hashable], ...]:
    return tuple(sorted(keywords.items()))


def _frozen_pairs(keywords: dict[str, object]) -> tuple[tuple[str, Hashable], ...]:
    return tuple([(name, freezing.freeze(value, name)) for name, value in sorted(keywords.items())])


def _types(values: tuple[object, ...]) -> tuple[type, ...]:
    return tuple(map(type, values))


def _types_by_name(keywords: dict[str, object]) -> tuple[type, ...]:
    return tuple([type(value) for _, value in sorted(keywords.items())])


# --- signatures and names ---------------------------------------------------------------------


def _signature(function: Callable[..., object]) -> Signature:
    # Not imported with this module, because it takes longer than the whole package.
    from inspect import signature

    options: dict[str, Any] = {"follow_wrapped": False}
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        # Otherwise annotations are evaluated, and some name what only type checkers know.
        options["annotation_format"] = Format.STRING
    try:
        return signature(function, **options)
    except TypeError as error:
        raise TypeError(f"cannot tell the parameters of {_name(function)}: {error}") from error
    except ValueError as error:
        raise ValueError(f"cannot tell the parameters of {_name(function)}(): {error}; pass key=...") from error


def _name(function: Callable[..., object]) -> str:
    """Return what CPython calls a function in errors; of a partial call, that is the function called."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__qualname__


def _is_name(text: str) -> bool:
    return text.isidentifier() and not iskeyword(text)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - in a key it would fail, and how does not matter before it is in one
        return False
    return True


def _named(
    function: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Iterator[tuple[str, object]]:
    """Yield the arguments of a call with what to call them."""
    try:
        bound = _signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        for index, value in enumerate(args):
            yield f"positional argument {index}", value
        for name, value in kwargs.items():
            yield f"argument {name!r}", value
        return
    for name, value in bound.arguments.items():
        parameter = bound.signature.parameters[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            for index, item in enumerate(value):
                yield f"argument '{name}[{index}]'", item
        elif parameter.kind is parameter.VAR_KEYWORD:
            for key, item in value.items():
                yield f"argument {key!r}", item
        else:
            yield f"argument {name!r}", value


def _unhashable(value: object) -> str | None:
    """Return the type of what cannot be hashed in `value`, or `None` if it is hashable."""
    try:
        hash(value)
    except TypeError:
        # Of a tuple, the type alone would puzzle.
        if type(value) is tuple:
            for item in value:
                inner = _unhashable(item)
                if inner is not None:
                    return f"{inner.removesuffix(' in a tuple')} in a tuple"
        return type(value).__qualname__
    return None
