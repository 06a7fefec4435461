"""Keys as they are typed: text, a Python literal, or the bytes that they are written as."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from overdrive._tiers.command.places import Trouble

if TYPE_CHECKING:
    import argparse

    from overdrive._tiers.config import PerformanceConfig

__all__ = ("add_key_arguments", "encoded")


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how keys are spelled."""
    spelling = parser.add_mutually_exclusive_group()
    spelling.add_argument("--python", action="store_true", help="KEY is a Python literal, such as \"('user', 1)\"")
    spelling.add_argument(
        "--hex", action="store_true", help="KEY is what keys --json calls hex, which the keys of calls need"
    )


def encoded(text: str, options: argparse.Namespace, config: PerformanceConfig) -> bytes:
    """Return the bytes of a key that was typed.

    Raises:
        Trouble: it is not spelled as it should be, or cannot be a key.
    """
    if options.hex:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise Trouble(f"KEY is not in hex: {text!r}") from None
    from overdrive._tiers.keys import key_encoder

    encode = key_encoder(max_bytes=config.max_key_bytes, hash_keys=config.hash_keys, secret=config.secret)
    try:
        return encode(ast.literal_eval(text) if options.python else text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise Trouble(f"KEY cannot be one: {error}") from None
