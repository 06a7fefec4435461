"""Keys as bytes: what an entry is called in Redis, on disk, and in the notices that nodes send each other.

Two keys have the same bytes if and only if they are equal in Python. The memory tier looks keys up by `==`, so with
less an invalidation of `1.0` would miss the entry of `1`, and with more two keys would share a value.

- A str is its UTF-8, lone surrogates included, so that it can be read in `redis-cli`.
- Anything else follows a zero byte, as an *item*: a letter and a body that tells where it ends. A str that begins
  with a zero byte is an item, too. Text inside of items is preceded by its length.
- The key of a call is `module.function(`, items, and `)` with a byte that occurs in no UTF-8: so no str equals it.

Numbers are equal across types (`1 == 1.0 == True == Decimal(1)`), so they are written by value: as an integer if they
are one, else as the `float` that they equal, else as a fraction in lowest terms.

One exception to "only if": aware datetimes in the hour that a zone repeats or skips. Python holds them for different
from the same moment in another zone, and for equal to the other moment of the same zone's clock. Here they are the
same in zones that are set alike, and otherwise as in Python.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from math import isnan
from typing import TYPE_CHECKING
from uuid import UUID

from overdrive.keys import hashkey, typedkey

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping
    from typing import Any, Final

__all__ = ("MAX_BYTES", "encode_key", "function_key", "hash_key", "key_encoder", "named_key", "show_key")

#: How long an encoded key may be unless something else is asked for.
MAX_BYTES: Final = 1024
# Deeper tuples could exhaust the stack of the caller.
_MAX_DEPTH = 64
# A Decimal takes as many digits as its exponent says, and that may be any number.
_MAX_EXPONENT = 20_000
# Up to here decimal digits are found in constant time.
_SMALL = 1 << 64
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - subtracted from local times, whose offset is handled apart
_MICROSECOND = timedelta(microseconds=1)
_HASHED = b"\x00h"
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


def encode_key(key: Hashable, max_bytes: float = MAX_BYTES) -> bytes:
    """Return the bytes that stand for a key outside of memory.

    Args:
        key: `None`, a number, str, bytes, date, datetime, timedelta, UUID, class or member of an enumeration; or a
            tuple or frozenset of such. Of a subclass only if it has the `__eq__` of these.
        max_bytes: how long the result may be.

    Raises:
        TypeError: the key, or something in it, is of another type; the message says which, and where.
        ValueError: the result would be longer than `max_bytes`; the key has a NaN, which does not equal itself; or it
            is nested more than 64 deep.

    Example:
        >>> encode_key("user:1")
        b'user:1'
        >>> encode_key(("user", 1)) == encode_key(("user", 1.0))
        True
    """
    if type(key) is str and key >= "\x01":  # neither empty nor with a zero byte in front
        try:
            encoded = key.encode()
        except UnicodeEncodeError:
            encoded = key.encode("utf-8", "surrogatepass")
    elif type(key) is str and not key:
        encoded = b""
    else:
        encoded = b"\x00" + _whole(key)
        # A str of a subclass is what the str is.
        if encoded[1:2] == b"s":
            text = encoded[encoded.index(b":") + 1 :]
            if text[:1] != b"\x00":
                encoded = text
    if len(encoded) > max_bytes:
        raise ValueError(f"key takes {len(encoded)} bytes, which exceeds the limit of {max_bytes}: {_excerpt(encoded)}")
    return encoded


def named_key(name: str, key: Hashable, max_bytes: float = MAX_BYTES) -> bytes:
    r"""Return the key of a call: what was called, which can be read, and its key in memory.

    Args:
        name: of the function, with its module: `module.qualname`.
        key: what a key function made of the arguments: any that `memoize` has, or the user's own.
        max_bytes: how long the result may be.

    Raises:
        TypeError, ValueError: as `encode_key`; or `name` is empty, or has a parenthesis or a zero byte.

    Example:
        >>> named_key("shop.price", (42, "eur"))
        b'shop.price(i42;s3:eur)\xff'
    """
    if not name or "(" in name or "\x00" in name:
        raise ValueError(f"name of a function must be text without '(' and zero bytes, got {name!r}")
    body = _whole(key)
    # Most keys of calls are tuples, and their items are the arguments.
    body = body[1:-1] if body[:1] == b"(" else b"=" + body
    encoded = b"%b(%b)\xff" % (name.encode("utf-8", "surrogatepass"), body)
    if len(encoded) > max_bytes:
        raise ValueError(
            f"key of a call takes {len(encoded)} bytes, which exceeds the limit of {max_bytes}; "
            f"pass key=..., or hash_keys=True: {_excerpt(encoded)}"
        )
    return encoded


def function_key(
    name: str,
    args: tuple[Hashable, ...] = (),
    kwargs: Mapping[str, Hashable] | None = None,
    *,
    typed: bool = False,
    max_bytes: float = MAX_BYTES,
) -> bytes:
    """Return the key of a call with these arguments, as `overdrive.keys` makes it: `f(1)` and `f(n=1)` differ.

    Args:
        name: of the function, with its module.
        args: the positional arguments.
        kwargs: the keyword arguments, in any order.
        typed: whether arguments of different types differ.
        max_bytes: how long the result may be.

    Raises:
        TypeError, ValueError: as `named_key`.

    Example:
        >>> function_key("shop.price", (42,), {"currency": "eur"}) == function_key("shop.price", (42, "eur"))
        False
    """
    make = typedkey if typed else hashkey
    return named_key(name, make(*args, **(kwargs or {})), max_bytes)


def hash_key(encoded: bytes, secret: bytes | None = None) -> bytes:
    """Return 18 bytes that stand for an encoded key and do not tell it.

    Args:
        encoded: what `encode_key` or `named_key` returned.
        secret: with one, nobody who lacks it can find out whether a guess is right. Without one, whoever can list
            all keys that are likely, as with phone numbers, can.
    """
    if secret is None:
        from hashlib import blake2b

        return _HASHED + blake2b(encoded, digest_size=16, person=b"overdrive key").digest()
    from hmac import digest

    return _HASHED + digest(secret, b"overdrive key\x00" + encoded, "sha256")[:16]


def key_encoder(
    *, max_bytes: int = MAX_BYTES, hash_keys: bool = False, secret: bytes | None = None
) -> Callable[[Hashable], bytes]:
    """Return `encode_key` with these settings.

    Args:
        max_bytes: how long an encoded key may be; a hashed one may be of any length before.
        hash_keys: whether keys are stored as `hash_key` makes them, because they have personal data.
        secret: for `hash_key`.
    """
    if hash_keys:
        no_limit = float("inf")
        return lambda key: hash_key(encode_key(key, no_limit), secret)
    if max_bytes == MAX_BYTES:
        return encode_key
    return lambda key: encode_key(key, max_bytes)


def show_key(encoded: bytes) -> str:
    """Return an encoded key as text for people: without control characters, and not to be parsed.

    Example:
        >>> show_key(b"user:1"), show_key(encode_key((1, "a"))), show_key(named_key("shop.price", (42,)))
        ('user:1', '(i1;s1:a)', 'shop.price(i42;)')
    """
    if encoded.startswith(_HASHED) and len(encoded) == len(_HASHED) + 16:
        return f"#{encoded[2:].hex()}"
    shown = encoded[1:] if encoded[:1] == b"\x00" else encoded.removesuffix(b"\xff")
    text = shown.decode("utf-8", "backslashreplace")
    return "".join([char if char.isprintable() else ascii(char)[1:-1] for char in text])


# --- items ------------------------------------------------------------------------------------


def _whole(key: object) -> bytes:
    """Return a whole key as an item.

    Raises:
        TypeError, ValueError: with the place in the key.
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


def _excerpt(encoded: bytes) -> str:
    return show_key(encoded[:60]) + "..."


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
