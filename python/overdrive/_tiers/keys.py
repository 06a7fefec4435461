"""Keys as bytes: what an entry is called in Redis, on disk, and in the notices that nodes send each other.

Two keys have the same bytes if and only if they are equal in Python. The memory tier looks keys up by `==`, so with
less an invalidation of `1.0` would miss the entry of `1`, and with more two keys would share a value.

- A str is its UTF-8, lone surrogates included, so that it can be read in `redis-cli`.
- Anything else follows a zero byte, as an *item*: a letter and a body that tells where it ends. A str that begins
  with a zero byte is an item, too. Text inside of items is preceded by its length.
- The key of a call is `module.function(`, items, and `)` with a byte that occurs in no UTF-8: so no str equals it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overdrive._tiers.items import encode_item
from overdrive.keys import hashkey, typedkey

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from typing import Final

__all__ = (
    "MAX_BYTES",
    "call_encoder",
    "encode_key",
    "function_key",
    "hash_key",
    "key_encoder",
    "named_key",
    "show_key",
)

#: How long an encoded key may be unless something else is asked for.
MAX_BYTES: Final = 1024
_HASHED = b"\x00h"


def encode_key(key: Hashable, max_bytes: float = MAX_BYTES) -> bytes:
    """Return the bytes that stand for a key outside of memory.

    Args:
        key: `None`, a number, str, bytes, date, datetime, timedelta, UUID, class or member of an enumeration; or a
            tuple or frozenset of such. Of a subclass only if it has the `__eq__` of these. A scalar of numpy is the
            number, str or bytes that it holds.
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
        encoded = b"\x00" + encode_item(key)
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
    _check_name(name)
    body = encode_item(key)
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


def _check_name(name: str) -> None:
    if not name or "(" in name or "\x00" in name:
        raise ValueError(f"name of a function must be text without '(' and zero bytes, got {name!r}")


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


def call_encoder(
    name: str, *, max_bytes: int = MAX_BYTES, hash_keys: bool = False, secret: bytes | None = None
) -> Callable[[Hashable], bytes]:
    """Return `named_key` of one function, with these settings.

    Args:
        name: of the function, with its module; it stays readable when keys are hashed.
        max_bytes: how long an encoded key may be; what is hashed may be of any length.
        hash_keys: whether arguments are stored as `hash_key` makes them, because they have personal data.
        secret: for `hash_key`.
    """
    _check_name(name)
    if hash_keys:
        no_limit = float("inf")
        begin = f"{name}(".encode("utf-8", "surrogatepass")
        return lambda key: b"%b%b)\xff" % (begin, hash_key(named_key(name, key, no_limit), secret)[1:])
    return lambda key: named_key(name, key, max_bytes)


def show_key(encoded: bytes) -> str:
    """Return an encoded key as text for people: without control characters, and not to be parsed.

    Example:
        >>> show_key(b"user:1"), show_key(encode_key((1, "a"))), show_key(named_key("shop.price", (42,)))
        ('user:1', '(i1;s1:a)', 'shop.price(i42;)')
    """
    if encoded.startswith(_HASHED) and len(encoded) == len(_HASHED) + 16:
        return f"#{encoded[2:].hex()}"
    if encoded.endswith(b")\xff") and encoded.find(b"(h") == len(encoded) - 20:
        encoded = b"%b#%b)" % (encoded[:-19], encoded[-18:-2].hex().encode())
    shown = encoded[1:] if encoded[:1] == b"\x00" else encoded.removesuffix(b"\xff")
    text = shown.decode("utf-8", "backslashreplace")
    return "".join([char if char.isprintable() else ascii(char)[1:-1] for char in text])


def _excerpt(encoded: bytes) -> str:
    return show_key(encoded[:60]) + "..."
