"""What a tiered cache counts."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING

from overdrive._tiers.prefetch.statistics import PrefetchStats
from overdrive._tiers.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final, Literal, TypeAlias

    _Tier: TypeAlias = Literal["l1", "l2", "l3"]
    _TierEvent: TypeAlias = Literal["hits", "misses", "sets", "deletes", "errors"]
    _Event: TypeAlias = Literal[
        "loads",
        "load_errors",
        "load_seconds",
        "not_modified",
        "stampede_waits",
        "lease_waits",
        "timeouts",
        "stale_served",
        "early_refreshes",
        "suspects",
        "revalidations",
        "dropped_fills",
        "invalidations",
        "promotions",
        "demotions",
    ]

__all__ = ("L1_HIT", "L1_MISS", "L1_SET", "L2_HIT", "PrefetchStats", "StatsTally", "TierStats", "TieredStats")


@dataclass(frozen=True, slots=True)
class TierStats:
    """What one tier did.

    Attributes:
        hits: lookups that found an entry which could be returned, stale ones included.
        misses: lookups that did not.
        misses_by_reason: those of the misses where there was something that could not be used, by why: "stale", "tag"
            (one of its tags was invalidated), "suspect", or what its envelope was refused for: "expired", "mac",
            "checksum", "schema" and so on.
        sets: entries that were stored.
        deletes: deletes and invalidations of keys that were carried out.
        errors: operations that failed, by why: "timeout", "open" (the breaker refused), "shed" (the disk
            is full, or slower than what is to be written) and so on.
    """

    hits: int = 0
    misses: int = 0
    misses_by_reason: Mapping[str, int] = field(default_factory=dict)
    sets: int = 0
    deletes: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """Hits and misses."""
        return self.hits + self.misses

    @property
    def hit_ratio(self) -> float:
        """Hits per request of this tier, 0 to 1; NaN before the first."""
        return self.hits / self.requests if self.requests else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """Return the counts, by name."""
        return _as_dict(self)


@dataclass(frozen=True, slots=True)
class TieredStats:
    """What `TieredCache.stats()` returns: counts of this process, since the cache was made or they were reset.

    Exact: nothing is lost when threads count at the same time. What happens while they are read may be in one of them
    and not yet in another.

    Attributes:
        l1, l2, l3: memory, Redis and disk. A lookup is counted by each tier that was asked.
        loads: runs of loaders that returned.
        load_errors: runs that raised.
        load_seconds: time spent in both.
        not_modified: loads that said that the stale value is right.
        stampede_waits: callers that waited for a load of this process instead of loading themselves.
        lease_waits: loads that waited for another instance to load the key.
        timeouts: callers that gave up waiting for a load, with a stale value or an error.
        stale_served: results whose ttl was over, or that nobody could vouch for.
        early_refreshes: loads of entries whose ttl was not over yet.
        suspects: entries in memory or on disk that were found, and could not be trusted without asking Redis.
        revalidations: those that Redis said are right.
        dropped_fills: loaded values that were not stored, since the key was invalidated meanwhile.
        invalidations: keys, tags and clears that were invalidated by this process.
        promotions: entries that were copied from a slower tier to a faster one.
        demotions: entries that were written to the disk when they left memory.
        prefetch: what was loaded ahead.

    Example:
        >>> TieredStats(l1=TierStats(hits=3, misses=1)).l1.hit_ratio
        0.75
    """

    l1: TierStats = field(default_factory=TierStats)
    l2: TierStats = field(default_factory=TierStats)
    l3: TierStats = field(default_factory=TierStats)
    loads: int = 0
    load_errors: int = 0
    load_seconds: float = 0.0
    not_modified: int = 0
    stampede_waits: int = 0
    lease_waits: int = 0
    timeouts: int = 0
    stale_served: int = 0
    early_refreshes: int = 0
    suspects: int = 0
    revalidations: int = 0
    dropped_fills: int = 0
    invalidations: int = 0
    promotions: int = 0
    demotions: int = 0
    prefetch: PrefetchStats = field(default_factory=PrefetchStats)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts, by name; those of tiers and of prefetching are dictionaries themselves."""
        return _as_dict(self)


for _class in (TierStats, TieredStats):
    _class.__module__ = "overdrive"
del _class


#: What happens with every value that is read.
L1_HIT: Final = ("l1", "hits", "")
L1_MISS: Final = ("l1", "misses", "")
L1_SET: Final = ("l1", "sets", "")
L2_HIT: Final = ("l2", "hits", "")


class StatsTally:
    """Counts what becomes `TieredStats`. Thread-safe, exact and without a lock: see `Tally`."""

    __slots__ = ("_tally", "count_fast")

    def __init__(self) -> None:
        self._tally = Tally()
        #: Counts one of the constants of this module, with less ado than `count_tier`.
        self.count_fast = self._tally.count

    def count(self, event: _Event, amount: float = 1) -> None:
        """Count something that is not of one tier."""
        self._tally.count(event, amount)

    def count_tier(self, tier: _Tier, event: _TierEvent, reason: str = "", amount: int = 1) -> None:
        """Count what a tier did; `reason` is why, of an error, or of a miss of what could not be used."""
        self._tally.count((tier, event, reason), amount)

    def stats(self, *, l1_hits: int = 0, l1_misses: int = 0, prefetch: PrefetchStats | None = None) -> TieredStats:
        """Return the counts so far.

        Args:
            l1_hits: those that are counted natively.
            l1_misses: those that are counted natively.
            prefetch: what prefetching counts itself.
        """
        counts = self._tally.read()
        plain: dict[str, Any] = {}
        grouped: dict[str, dict[str, dict[str, int]]] = {"l1": {}, "l2": {}, "l3": {}}
        for event, amount in counts.items():
            if isinstance(event, str):
                plain[event] = amount
            else:
                group, name, reason = event
                grouped[group].setdefault(name, {})[reason] = amount
        memory = _tier(grouped["l1"])
        return TieredStats(
            l1=replace(memory, hits=memory.hits + l1_hits, misses=memory.misses + l1_misses),
            l2=_tier(grouped["l2"]),
            l3=_tier(grouped["l3"]),
            prefetch=PrefetchStats() if prefetch is None else prefetch,
            **plain,
        )

    def reset(self) -> None:
        """Begin anew at 0."""
        self._tally.reset()


def _tier(events: dict[str, dict[str, int]]) -> TierStats:
    misses = events.get("misses", {})
    return TierStats(
        hits=sum(events.get("hits", {}).values()),
        misses=sum(misses.values()),
        misses_by_reason={reason: amount for reason, amount in sorted(misses.items()) if reason},
        sets=sum(events.get("sets", {}).values()),
        deletes=sum(events.get("deletes", {}).values()),
        errors=dict(sorted(events.get("errors", {}).items())),
    )


def _as_dict(stats: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for each in fields(stats):
        value = getattr(stats, each.name)
        if is_dataclass(value):
            shown[each.name] = _as_dict(value)
        else:
            shown[each.name] = dict(value) if each.name in ("errors", "misses_by_reason") else value
    return shown
