"""Key functions: what a cached call is stored under.

A key is the tuple of the positional arguments. Keyword arguments, if any, follow a marker and are sorted
by name, so that their order in the call does not matter. Calls that Python treats alike but that are
spelled differently, such as `f(1)` and `f(n=1)`, have different keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overdrive._core import Keywords

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ("hashkey", "methodkey", "typedkey", "typedmethodkey")


def hashkey(*args: Hashable, **kwargs: Hashable) -> tuple[Hashable, ...]:
    """Return the key of a call to a function.

    Arguments that compare equal make equal keys: `1`, `1.0` and `True` share one.

    Returns:
        A tuple. It is not hashed here: an unhashable argument fails when the key is looked up.

    Example:
        >>> hashkey(1, 2)
        (1, 2)
        >>> hashkey(1, b=2, a=3) == hashkey(1, a=3, b=2)
        True
    """
    return (*args, Keywords, *sorted(kwargs.items())) if kwargs else args


def methodkey(_self: object, /, *args: Hashable, **kwargs: Hashable) -> tuple[Hashable, ...]:
    """Return the key of a call to a method: `hashkey` of all arguments but the instance.

    Args:
        _self: the instance, which is left out, so that it need not be hashable.
        args: the other positional arguments.
        kwargs: the keyword arguments; one of them may be named `self`.

    Example:
        >>> methodkey("any instance", 1, 2)
        (1, 2)
    """
    return (*args, Keywords, *sorted(kwargs.items())) if kwargs else args


def typedkey(*args: Hashable, **kwargs: Hashable) -> tuple[Hashable, ...]:
    """Return the key of a call to a function, in which arguments of different types differ.

    Example:
        >>> typedkey(1) == typedkey(1.0)
        False
    """
    if kwargs:
        return _typed_keywords(args, kwargs)
    return args + tuple(map(type, args))


def typedmethodkey(_self: object, /, *args: Hashable, **kwargs: Hashable) -> tuple[Hashable, ...]:
    """Return the key of a call to a method: `typedkey` of all arguments but the instance.

    Args:
        _self: the instance, which is left out, so that it need not be hashable.
        args: the other positional arguments.
        kwargs: the keyword arguments; one of them may be named `self`.

    Example:
        >>> typedmethodkey("any instance", 1) == typedmethodkey("any instance", True)
        False
    """
    if kwargs:
        return _typed_keywords(args, kwargs)
    return args + tuple(map(type, args))


def _typed_keywords(args: tuple[Hashable, ...], kwargs: dict[str, Hashable]) -> tuple[Hashable, ...]:
    items = sorted(kwargs.items())
    return (*args, Keywords, *items, *[type(value) for _, value in items], *map(type, args))
