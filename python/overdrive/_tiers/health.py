"""`Health`: which tiers answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, Literal, Protocol, TypeAlias

    _State: TypeAlias = Literal["up", "degraded", "down", "off"]

    class _Reported(Protocol):
        """What the tiers say of themselves."""

        @property
        def state(self) -> str: ...
        @property
        def reason(self) -> str: ...


__all__ = ("Health", "TierHealth", "TierWatch")

# From worst to best; a tier that is off is as it should be.
_ORDER: Final = ("down", "degraded", "up", "off")
# How Redis and the disk call it.
_STATES: Final[dict[str, _State]] = {
    "ok": "up",
    "full": "degraded",  # of a disk: reads and deletes go on
    "degraded": "down",  # of Redis: it does not answer, and is asked again from time to time
    "denied": "down",  # of Redis: somebody has to change something
    "off": "down",  # of a disk: neither reads nor writes
}


@dataclass(frozen=True, slots=True)
class TierHealth:
    """How one tier is.

    Attributes:
        state: "up"; "degraded" if it does a part of what it should; "down" if it does nothing, and the cache goes on
            without it; "off" if it is not configured.
        reason: why it is not up, in words; empty if it is.
        since: when it became so, in seconds since 1970.
    """

    state: _State
    reason: str = ""
    since: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes, by name."""
        return {"state": self.state, "reason": self.reason, "since": self.since}


@dataclass(frozen=True, slots=True)
class Health:
    """What `TieredCache.health()` returns: how the tiers are, as far as this process knows. Nothing is asked for it.

    Attributes:
        l1, l2, l3: memory, Redis and disk.
        pending_invalidations: invalidations that Redis or the disk could not be told of yet; they are told when they
            can be. Until then other instances may return what was invalidated.
        coherent: whether this process hears of the invalidations of others, or has nobody to hear of.

    Example:
        >>> Health(TierHealth("up"), TierHealth("down", "timeout"), TierHealth("off")).state
        'down'
    """

    l1: TierHealth
    l2: TierHealth
    l3: TierHealth
    pending_invalidations: int = 0
    coherent: bool = True

    @property
    def state(self) -> _State:
        """The worst state of a tier; "degraded" at best if invalidations are pending, or others' are not heard of."""
        worst = min((self.l1.state, self.l2.state, self.l3.state), key=_ORDER.index)
        if worst in ("up", "off") and (self.pending_invalidations or not self.coherent):
            return "degraded"
        return worst

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes and the `state`, by name; those of tiers are dictionaries themselves."""
        return {
            "state": self.state,
            "l1": self.l1.as_dict(),
            "l2": self.l2.as_dict(),
            "l3": self.l3.as_dict(),
            "pending_invalidations": self.pending_invalidations,
            "coherent": self.coherent,
        }


TierHealth.__module__ = Health.__module__ = "overdrive"


class TierWatch:
    """Knows since when a tier is as it is.

    Args:
        state: how it is at first.
        clock: seconds since 1970.
    """

    __slots__ = ("_clock", "health")

    def __init__(self, state: _State, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        #: How the tier was when that was heard last.
        self.health = TierHealth(state, since=clock())

    def hear(self, state: _State, reason: str = "") -> TierHealth:
        """Note how the tier is now, and return that. A new reason alone does not begin a new state."""
        known = self.health
        if (known.state, known.reason) != (state, reason):
            since = known.since if known.state == state else self._clock()
            self.health = TierHealth(state, reason, since)
        return self.health

    def hear_of(self, reported: _Reported) -> TierHealth:
        """Note what Redis' or the disk's `health()` says, and return it.

        Raises:
            KeyError: it is a state that neither of them has.
        """
        return self.hear(_STATES[reported.state], reported.reason)
