"""Loads that take longer than their callers wait: they go on, and who asks next waits for the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from overdrive._core import Coherence
    from overdrive._tiers.ask import Ask
    from overdrive._tiers.driving import IO, Background

__all__ = ("Overdue",)


class Overdue:
    """The loads of a cache that nobody waits for any more. Thread-safe.

    A loader that hangs would otherwise be run once more by each call.
    """

    __slots__ = ("_coherence", "_loads")

    def __init__(self, coherence: Coherence) -> None:
        self._coherence = coherence
        self._loads: dict[bytes, tuple[Background, int, object]] = {}

    def add(self, ask: Ask, io: IO, background: Background) -> bool:
        """Note a load, for those who can wait for it; return whether it was not noted before."""
        key = ask.key
        known = self._loads.get(key)
        if known is not None and known[0] is background:
            return False
        self._loads[key] = noted = (background, ask.stamp, io.place())

        def forget(_: object) -> None:
            if self._loads.get(key) is noted:
                del self._loads[key]

        background.add_done_callback(forget)
        return True

    def find(self, ask: Ask, io: IO) -> Background | None:
        """Return the load of a key that this caller can wait for, unless it is older than an invalidation."""
        known = self._loads.get(ask.key)
        if known is None:
            return None
        background, stamp, place = known
        if background.done() or place != io.place() or not self._coherence.is_current(stamp, ask.names):
            return None
        return background
