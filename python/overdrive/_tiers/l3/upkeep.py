"""The housekeeping of a tier: limits, expired entries, files without rows, times of access, checkpoints.

It runs in the writer's thread, when so many writes have been made, and in `cleanup`.
"""

from __future__ import annotations

import os
import random
import threading
import time
from math import inf
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from .blobs import crc_of_name
from .condition import State
from .schema import Sql
from .space import HIGH_WATER, LOW_WATER, Removed, counters, remove_expired, shrink
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .engine import Engine
    from .shard import Handle
    from .writer import Writer

__all__ = ("Upkeep",)

CHECK_EVERY = 256
"""After how many writes the limits are looked at."""
_CHECKPOINT_EVERY = 4096
"""After how many writes the WALs are moved into the files, so that those who write do not have to wait for that."""
_LONG_WAL = 4 << 20
_MOST_TOUCHED = 4096
_LONGEST_TOUCHED = 60.0
_SWEPT_AT_START = 10_000
_YOUNG = 3600.0


class Totals(NamedTuple):
    """What the tier holds, by the counters of its shards."""

    entries: int
    bytes: int


class Upkeep(Store):
    """A store that stays within `max_entries` and `max_bytes`."""

    _checkpointer: int | None = None
    _writer: Writer
    """Whose thread runs `_tidy`."""

    def __init__(
        self,
        path: Path,
        shards: int,
        engine: str | Engine,
        clock: Callable[[], float],
        busy_ms: int,
        cache_kib: int,
        max_entries: int | None,
        max_bytes: int | None,
    ) -> None:
        super().__init__(path, shards, engine, clock, busy_ms, cache_kib)
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._touched: dict[bytes, int] = {}
        self._touched_since = inf
        self._random = random.Random()
        self._swept = False
        # One thread at a time: what another one is about to write as read must not look unread.
        self._upkeep = threading.RLock()
        limited = not (max_entries is None and max_bytes is None)
        self._check_every = CHECK_EVERY if limited or not self._engine.checkpoints_concurrently else _CHECKPOINT_EVERY
        self._unchecked = 0
        self._not_checkpointed = 0

    def _enter(self) -> None:
        self._stop_checkpointing()  # what is locked may be a file of a directory that was removed
        super()._enter()

    def _totals(self) -> Totals:
        found = self._counters()
        return Totals(sum(entries for entries, _ in found), sum(size for _, size in found))

    def _counters(self) -> list[tuple[int, int]]:
        return [self._attempt(index, counters) or (0, 0) for index in range(len(self._shards))]

    def _keep_limits(self) -> Removed:
        """Bring the tier to its low water if it is above its high water."""
        found = self._counters()
        surplus_entries = _surplus(sum(entries for entries, _ in found), self._max_entries)
        surplus_bytes = _surplus(sum(size for _, size in found), self._max_bytes)
        return self._shed(found, surplus_entries, surplus_bytes)

    def _shed(self, found: list[tuple[int, int]], surplus_entries: float, surplus_bytes: float) -> Removed:
        """Remove a share of every shard; each gives in proportion to what it has."""
        removed = Removed()
        if surplus_entries <= 0 and surplus_bytes <= 0:
            return removed
        with self._upkeep:
            self._write_touched()
            removed = self._shed_from_each(found, surplus_entries, surplus_bytes)
        self._note("evicted_expired", removed.expired)
        self._note("evicted_least_recent", removed.least_recent)
        return removed

    def _shed_from_each(self, found: list[tuple[int, int]], surplus_entries: float, surplus_bytes: float) -> Removed:
        removed = Removed()
        now = self._clock()
        for index, (entries, size) in enumerate(found):
            keep_entries = entries * (1 - surplus_entries) if surplus_entries > 0 else inf
            keep_bytes = size * (1 - surplus_bytes) if surplus_bytes > 0 else inf

            def operation(
                handle: Handle, keep_entries: float = keep_entries, keep_bytes: float = keep_bytes
            ) -> Removed:
                return shrink(handle, now, keep_entries, keep_bytes, self._random)

            removed = _plus(removed, self._attempt(index, operation, frees=True))
            self._empty_trash(index)
        return removed

    def _remove_expired(self) -> Removed:
        now = self._clock()
        removed = Removed()
        for index in range(len(self._shards)):
            removed = _plus(
                removed, self._attempt(index, lambda handle: remove_expired(handle, now, self._random), frees=True)
            )
            self._empty_trash(index)
        self._note("evicted_expired", removed.expired)
        return removed

    def _look_after_deletes(self) -> None:
        """Take note that a delete is remembered, and have the writer's thread do it."""
        self._look()
        self._writer.wake()

    def _touch(self, key: bytes, now: float) -> None:
        """Remember that an entry was read; the times are written together, of many entries or after a minute."""
        if len(self._touched) < _MOST_TOUCHED:
            self._touched[key] = int(now)
        if self._touched_since == inf:
            self._touched_since = now
        if self._are_to_be_written(now):
            self._writer.wake()

    def _are_to_be_written(self, now: float) -> bool:
        return len(self._touched) >= _MOST_TOUCHED or now - self._touched_since >= _LONGEST_TOUCHED

    def _write_touched(self) -> None:
        with self._upkeep:
            self._touched_since = inf
            touched, self._touched = self._touched, {}
            self._write_read_times(touched)

    def _write_read_times(self, touched: dict[bytes, int]) -> None:
        by_shard: dict[int, list[tuple[int, bytes]]] = {}
        for key, read_at in list(touched.items()):  # another thread may still add to it
            by_shard.setdefault(crc32(key) % self._count, []).append((read_at, key))
        for index, rows in by_shard.items():

            def operation(handle: Handle, rows: list[tuple[int, bytes]] = rows) -> bool:
                handle.run(Sql.BEGIN)
                handle.connection.run_many(Sql.TOUCH, rows)
                handle.run(Sql.COMMIT)
                return True

            self._attempt(index, operation)

    def _sweep(self, limit: int, *, older_than: float) -> int:
        """Remove files that no row names, as a crash leaves them."""

        def is_referenced(name: str) -> bool | None:
            found = self._attempt(
                crc_of_name(name) % self._count, lambda handle: bool(handle.run(Sql.FILED, (name, name)))
            )
            return found if self._condition.state is not State.OFF else None

        try:
            removed = self._blobs.sweep(is_referenced, older_than, limit)
        except OSError:
            return 0  # the next read or write of a blob says what is wrong
        self._note("orphans_removed", removed)
        return removed

    def _tidy(self) -> None:
        """What the writer's thread does besides writing."""
        if self._closed or not self._entered or self._condition.state is State.OFF:
            return
        if len(self._doomed):
            self._finish_deletes()
        if self._condition.state is State.FULL:
            self._relieve()
        if self._are_to_be_written(self._clock()):
            self._write_touched()
        if self._unchecked >= self._check_every:
            self._not_checkpointed += self._unchecked
            self._unchecked = 0
            for index in range(len(self._shards)):
                self._empty_trash(index)
            if self._max_entries is not None or self._max_bytes is not None:
                self._keep_limits()
            if not self._engine.checkpoints_concurrently:
                self._checkpoint_alone()
            elif self._not_checkpointed >= _CHECKPOINT_EVERY:
                self._not_checkpointed = 0
                for index in range(len(self._shards)):
                    self._attempt(index, lambda handle: handle.run("PRAGMA wal_checkpoint(PASSIVE)"))
        if not self._swept:
            self._swept = True
            self._sweep(_SWEPT_AT_START, older_than=time.time() - _YOUNG)

    def _relieve(self) -> None:
        """Make room on a full disk: a tenth of the entries, and the WALs."""
        found = self._counters()
        self._shed(found, 0.1, 0.1)
        for index in range(len(self._shards)):
            self._attempt(index, lambda handle: handle.run("PRAGMA wal_checkpoint(TRUNCATE)"))

    def _checkpoint_alone(self) -> None:
        """Move long WALs into the files, if this is the process that does it for all.

        A checkpoint that keeps writers out, and so ends, and cannot meet one that starts the WAL anew.
        """
        if self._checkpointer is None:
            try:
                self._checkpointer = self._directory.lock("checkpoint.lock")
            except OSError:
                return
        if self._checkpointer is not None:
            for index, shard in enumerate(self._shards):
                if shard.wal_bytes() >= _LONG_WAL:
                    self._attempt(index, lambda handle: handle.run("PRAGMA wal_checkpoint(TRUNCATE)"))

    def _stop_checkpointing(self) -> None:
        """Let another process do it."""
        if self._checkpointer is not None:
            os.close(self._checkpointer)
            self._checkpointer = None

    def _checkpoint_fully(self) -> bool:
        """Move everything from the WALs into the files and sync those; whether that was possible."""
        done = [
            self._attempt(index, lambda handle: handle.run("PRAGMA wal_checkpoint(TRUNCATE)"))
            for index in range(len(self._shards))
        ]
        return all(rows is not None and rows[0][0] == 0 for rows in done)


def _surplus(now: int, limit: int | None) -> float:
    """Return the share of what there is that has to go."""
    if limit is None or now <= limit * HIGH_WATER:
        return 0.0
    return 1.0 - limit * LOW_WATER / now


def _plus(left: Removed, right: Removed | None) -> Removed:
    if right is None:
        return left
    return Removed(left.expired + right.expired, left.least_recent + right.least_recent)
