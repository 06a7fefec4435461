"""How the tiers of a cache are doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overdrive._tiers.health import Health, TierHealth, TierWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from overdrive._tiers.tiers import Tiers

__all__ = ("Watch",)


class Watch:
    """Knows since when each tier is as it is, as far as it was asked.

    Args:
        wall: the time in seconds since 1970.
    """

    __slots__ = ("_l2", "_l3", "_since")

    def __init__(self, wall: Callable[[], float]) -> None:
        self._since = wall()
        self._l2 = TierWatch("off", wall)
        self._l3 = TierWatch("off", wall)

    def note_no_disk(self, reason: str) -> None:
        """Know that there is a disk which this process cannot use."""
        self._l3.hear("down", reason)

    def health(self, tiers: Tiers) -> Health:
        """Return how the tiers are."""
        backplane, disk = tiers.backplane, tiers.disk
        off = TierHealth("off", since=self._since)
        return Health(
            l1=TierHealth("up", since=self._since),
            l2=off if backplane is None else self._l2.hear_of(backplane.redis.health()),
            l3=self._l3.health if disk is None else self._l3.hear_of(disk.health()),
            pending_invalidations=0 if backplane is None else backplane.recovery.pending,
            coherent=tiers.is_trusted(),
        )
