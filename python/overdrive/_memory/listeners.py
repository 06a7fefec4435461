"""Telling who wants to know what left a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ("Listeners", "log_error")


class Listeners:
    """Several listeners as one; each is told even if another raises."""

    __slots__ = ("functions",)

    def __init__(self, functions: tuple[Callable[[Any, Any, str], object], ...]) -> None:
        self.functions = functions

    def __call__(self, key: object, value: object, cause: str) -> None:
        for function in self.functions:
            try:
                function(key, value, cause)
            except Exception as error:  # noqa: BLE001 - the operation that removed the item has succeeded
                log_error(function, error)


def log_error(listener: object, error: BaseException) -> None:
    """Log what a listener raised: called natively."""
    from logging import getLogger  # whose import takes longer than that of this package

    getLogger("overdrive").error("%r, which was told what left a cache, raised an exception", listener, exc_info=error)
