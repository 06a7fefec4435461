"""Cache sizes as users give them: numbers of keys, or shares of all keys requested."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ("DEFAULT", "keys_of")

MAX_SIZE = 2**32 - 65  # keys are numbered with 32 bits
DEFAULT = ("1%", "2%", "4%", "8%", "16%", "32%")
SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


def keys_of(sizes: Iterable[int | str], keys: float) -> list[int]:
    """The sizes in keys, ascending, each once; `keys` is how many different ones were requested.

    Raises:
        ValueError: if there is none, or one is neither a whole number from 1 on nor a share.
        TypeError: if one is neither an int nor a str.
    """
    found = sorted({_keys(size, keys) for size in sizes})
    if not found:
        raise ValueError("sizes is empty, at least one is needed")
    return found


def _keys(size: int | str, keys: float) -> int:
    if isinstance(size, str):
        if share := SHARE.fullmatch(size):
            percent = float(share[1])
            if not 0 < percent <= 100:
                raise ValueError(f"size {size!r} is not above 0% and at most 100%")
            return max(1, round(keys * percent / 100))
        try:
            size = int(size.replace("_", ""))
        except ValueError:
            raise ValueError(f"size {size!r} is neither a whole number nor a share such as '10%'") from None
    elif isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f"size {size!r} is neither an int nor a share such as '10%'")
    if size < 1:
        raise ValueError(f"size {size} is below the limit of 1")
    if size > MAX_SIZE:
        raise ValueError(f"size {size} exceeds the limit of {MAX_SIZE}")
    return size
