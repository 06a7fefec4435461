"""All memoized functions that are alive: for tests that clear them, and for forks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from typing import Any

    from overdrive._memoize.function import Memoized

__all__ = ("functions", "register")

_functions: WeakSet[Memoized[..., Any]] = WeakSet()


def register(function: Memoized[..., Any]) -> None:
    """Enter a function; it is forgotten when nobody else refers to it."""
    _functions.add(function)


def functions() -> list[Memoized[..., Any]]:
    """Return the memoized functions that are alive, in no order; of methods, those of the class."""
    return list(_functions)


def _after_fork_in_child() -> None:
    for function in functions():
        function._after_fork()
        for own in function._memos():
            own._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
