"""What a disk tier tells about itself."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ("DiskHealth", "DiskStats")


class DiskStats(NamedTuple):
    """The counters of a disk tier; those of calls are this process's own."""

    entries: int
    """How many entries there are, of all processes, the expired ones included that are still there."""
    bytes: int
    """What their keys and blobs take, with 64 bytes for each."""
    hits: int
    misses: int
    expired: int
    """Among the misses, those of an entry whose time was over."""
    writes: int
    """Entries that were committed."""
    queued: int
    """Writes of `put_later` that wait."""
    dropped: int
    """Writes of `put_later` that were refused since the queue was full."""
    failed: int
    """Writes of `put_later` that were accepted, and that the disk then did not take."""
    pending_deletes: int
    """Deletes that the disk has not taken yet; such entries are not returned."""
    events: dict[str, int]
    """What else happened, by name: `fault_*`, `evicted_*`, `writes_shed`, `rows_damaged`, `blobs_missing`,
    `orphans_removed`, `shards_set_aside`, `shards_dropped`."""


class DiskHealth(NamedTuple):
    """The state of a disk tier."""

    state: str
    """"ok"; "full": reads and deletes only; "off": neither, until a probe succeeds."""
    reason: str
    """Why it is not "ok"."""
    since: float
    """When it became so, in seconds since the epoch."""
    engine: str
    """"apsw" or "sqlite3"."""
    sqlite: str
    """The version of SQLite."""
    shards: int
    pending_deletes: int
