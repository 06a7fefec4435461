"""A value with what is known of it, on its way between the tiers and in memory."""

from __future__ import annotations

from copy import copy
from math import ceil, isinf
from typing import TYPE_CHECKING

from overdrive._tiers.names import PRIVATE

if TYPE_CHECKING:
    from typing import Any

__all__ = ("Found",)


class Found:
    """A value that was found, loaded or set.

    Attributes:
        value: the value.
        tier: `"l1"`, `"l2"`, `"l3"` or `"loader"`.
        version: names this writing of the value.
        created: when it was loaded or set: seconds since 1970.
        soft: seconds from then on for which it is fresh.
        hard: seconds from then on after which it is of no use at all.
        cost: how long it took to load, in seconds.
        tags: its tags, as far as they are known: L2 and L3 have only their hashes.
        hashes: the hashes of its tags.
        epoch: the clock of tags when its load began.
        stale: whether it is returned although it is not fresh, or may not be.
        doubted: whether it may have been invalidated without this instance hearing of it.
        key: its key as bytes, once it is in memory.
        until: the monotonic time until which memory may believe it although nothing is heard of other instances.
        on_disk: whether L3 has it, too.
        stamp: from before it was read or loaded; -1 if it was not kept.
    """

    __slots__ = (
        "cost",
        "created",
        "doubted",
        "epoch",
        "hard",
        "hashes",
        "key",
        "on_disk",
        "soft",
        "stale",
        "stamp",
        "tags",
        "tier",
        "until",
        "value",
        "version",
    )

    def __init__(
        self,
        value: Any,
        tier: str,
        version: int,
        created: float,
        soft: float,
        hard: float,
        cost: float = 0.0,
        tags: tuple[str, ...] = (),
        hashes: tuple[int, ...] = (),
        epoch: int = 0,
        stale: bool = False,
    ) -> None:
        self.value = value
        self.tier = tier
        self.version = version
        self.created = created
        self.soft = soft
        self.hard = hard
        self.cost = cost
        self.tags = tags
        self.hashes = hashes
        self.epoch = epoch
        self.stale = stale
        self.stamp = -1
        self.doubted = False
        # Its other attributes are for memory, which sets them.

    key: bytes
    until: float
    on_disk: bool

    @property
    def is_private(self) -> bool:
        """Whether it is kept out of L3, of every instance."""
        return PRIVATE in self.hashes

    def age(self, wall: float) -> float:
        """Return how old it is; of a value from a host whose clock is ahead, 0."""
        return max(0.0, wall - self.created)

    def is_fresh(self, wall: float) -> bool:
        """Return whether its ttl is not over."""
        return self.age(wall) < self.soft

    def is_usable(self, wall: float, seconds_after_ttl: float) -> bool:
        """Return whether its ttl is over for no longer than that."""
        return self.age(wall) < min(self.soft + seconds_after_ttl, self.hard)

    def may_stand_in(self, wall: float, seconds_after_ttl: float) -> bool:
        """Return whether it may be returned in place of a new one, if old ones may for so long after their ttl."""
        return (seconds_after_ttl > 0 or not self.doubted) and self.is_usable(wall, seconds_after_ttl)

    def as_doubted(self) -> Found:
        """Return the same, marked as possibly invalidated."""
        doubted = copy(self)
        doubted.doubted = True
        return doubted

    def as_stale(self) -> Found:
        """Return the same, marked as possibly out of date."""
        if self.stale:
            return self
        stale = copy(self)
        stale.stale = True
        return stale

    def milliseconds_left(self, wall: float) -> int:
        """Return how long it is of any use, in milliseconds; 0 for ever."""
        left = self.hard - self.age(wall)
        return 0 if isinf(left) else max(1, ceil(left * 1000))
