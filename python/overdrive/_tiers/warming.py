"""Bringing keys into memory before they are asked for: by hand, and from a file of what an instance held."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING

from overdrive._core import Entry
from overdrive._tiers.found import Found
from overdrive._tiers.many import read_many

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from typing import Any

    from overdrive._tiers.ask import Ask
    from overdrive._tiers.driving import IO
    from overdrive._tiers.memory import SharedMemory
    from overdrive._tiers.tiers import Tiers

__all__ = ("load_snapshot", "save_snapshot", "warm")

# So many keys are asked of Redis at once.
_BATCH = 500


async def warm(tiers: Tiers, io: IO, asks: Iterable[Ask]) -> int:
    """Bring keys into memory that some tier has; return how many."""
    batch: list[Ask] = []
    count = 0
    for ask in asks:
        batch.append(ask)
        if len(batch) == _BATCH:
            count += len(await read_many(tiers, io, batch))
            batch = []
    return count + len(await read_many(tiers, io, batch))


def save_snapshot(tiers: Tiers, memory: SharedMemory, path: str | PathLike[str]) -> int:
    """Save the keys that memory holds, from the coldest to the hottest, and values that no other tier has."""
    from overdrive._snapshots import save_records

    has_others = tiers.backplane is not None or tiers.disk is not None
    now = tiers.now()
    records: list[tuple[Any, ...]] = []
    for key, entry in memory.cache.coldest():
        if not isinstance(entry, Entry) or entry.error is not None or entry._standing(now) != "current":
            continue
        tags = entry.extra.tags if isinstance(entry.extra, Found) else ()
        left = entry.fresh_until - now
        if left > 0:
            value = None if has_others else entry.value
            records.append((key, value, None if isinf(left) else left, tags or None, False, None))
    meta = {"policy": memory.cache.policy, "maxsize": memory.cache.maxsize, "tiers": has_others}
    report = save_records(path, records, meta=meta, codec=None, skip_unsupported=True)
    return report.items


def load_snapshot(path: str | PathLike[str]) -> tuple[bool, list[tuple[Any, ...]]]:
    """Return whether a snapshot has keys alone, and its records."""
    from overdrive._snapshots import load_records

    meta, records, _ = load_records(path, codec=None, keep_ttl="remaining")
    return bool(meta.get("tiers")), records
