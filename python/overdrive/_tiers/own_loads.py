"""What a caller is loading itself, further out: it must not wait for the end of that.

A loader may ask for the key that it loads, a loader of many also through tasks that it starts, and so may a finalizer
or a signal handler that runs while a key is being loaded. The lease is then held by whoever would wait for it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from overdrive._tiers.ask import Ask
    from overdrive._tiers.tiers import Tiers

__all__ = ("OwnLoad", "is_own_load")


class OwnLoad:
    """Keys that are being loaded, in this context and those that are copied from it, while it is entered."""

    __slots__ = ("_before", "_is_over", "_keys", "_tiers")

    def __init__(self, tiers: Tiers, asks: Iterable[Ask]) -> None:
        self._tiers = tiers
        self._keys = frozenset(ask.key for ask in asks)
        self._is_over = False

    def covers(self, tiers: Tiers, key: bytes) -> bool:
        """Return whether a key is being loaded by this."""
        return not self._is_over and key in self._keys and self._tiers is tiers

    def __enter__(self) -> None:
        # Contexts are copied with what is over.
        self._before = tuple(load for load in _loads.get() if not load._is_over)
        _loads.set((*self._before, self))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Contexts that were copied from this one live on.
        self._is_over = True
        if _loads.get()[-1:] == (self,):  # else it is ended from outside, as a coroutine that is closed
            _loads.set(self._before)


_loads: ContextVar[tuple[OwnLoad, ...]] = ContextVar("overdrive_own_loads", default=())


def is_own_load(tiers: Tiers, key: bytes) -> bool:
    """Return whether the caller is loading a key itself."""
    return any(load.covers(tiers, key) for load in _loads.get())
