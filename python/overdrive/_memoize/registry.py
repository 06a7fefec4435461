"""All memoized functions that are alive: for tests that clear them, and for forks."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from typing import Any
    from weakref import ReferenceType

    from overdrive._memoize.function import Memoized

__all__ = ("functions", "register")

# By address. Not a `WeakSet`: that cannot be listed while another thread adds to it.
_functions: dict[int, ReferenceType[Memoized[..., Any]]] = {}


def register(function: Memoized[..., Any]) -> None:
    """Enter a function; it is forgotten when nobody else refers to it."""
    address = id(function)
    _functions[address] = ref(function, partial(_functions.pop, address))


def functions() -> list[Memoized[..., Any]]:
    """Return the memoized functions that are alive, in no order; of methods, those of the class."""
    found = [reference() for reference in list(_functions.values())]
    return [function for function in found if function is not None]


def _after_fork_in_child() -> None:
    for function in functions():
        function._after_fork()
        for own in function._memos():
            own._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
