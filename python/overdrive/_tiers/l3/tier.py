"""`DiskTier`: blobs by key on the local disk, for several threads and processes at once."""

from __future__ import annotations

import heapq
import struct
import threading
import time
from itertools import islice
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, cast
from zlib import crc32

from overdrive.exceptions import ConfigError

from .condition import State
from .entries import Entries, checked_job, checked_tags
from .exits import closes_at_exit
from .report import DiskHealth, DiskStats
from .row import INLINE_BYTES, TOUCH_EVERY, Row, signed
from .schema import Sql
from .store import clear
from .writer import Writer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Self

    from .engine import Engine, Rows
    from .shard import Handle

__all__ = ("DiskTier",)

_PAGE = 128
_FIRST_ID = -(2**63)


class DiskTier(Entries):
    """Blobs by key, in `shards` SQLite files, each with an expiry, a version and tags.

    What the disk does never raises: a read is then a miss, a write is shed, a delete is remembered, all are counted,
    and `health` says why. What the program does wrong raises.

    Args:
        path: the directory, which should be this tier's alone; made with mode 0700.
        max_entries: how many entries, about; from 95 % on, the least recently used go until 90 % are left.
        max_bytes: the same for what keys and blobs take.
        shards: how many files, 1 to 64; a directory that exists keeps its own number.
        clock: seconds since the epoch.
        engine: "apsw", "sqlite3", or "auto": apsw if it is installed.
        busy_timeout: how long, in seconds, an operation waits for the writes of others before it gives up.
        queue_entries: how many writes of `put_later` wait at most; beyond that they are dropped and counted.
        queue_bytes: how large they are together at most.
        cache_kib: how much SQLite keeps in memory, for each shard in each thread.

    Raises:
        ConfigError: an option is out of its range; the directory is unsafe (a link, somebody else's, writable by
            others), on a network file system, or of a format that this release does not know.
        MissingExtraError: apsw is asked for and not installed.

    Cost: an operation on 1 kB takes microseconds and is called directly from a coroutine; one on more than 64 KiB
    reads or writes a file. Thread-safe; usable in a child after a fork.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        shards: int = 8,
        clock: Callable[[], float] = time.time,
        engine: str | Engine = "auto",
        busy_timeout: float = 0.25,
        queue_entries: int = 4096,
        queue_bytes: int = 64 << 20,
        cache_kib: int = 1024,
    ) -> None:
        for name, value, least, most in (
            ("max_entries", max_entries, 1, inf),
            ("max_bytes", max_bytes, 1, inf),
            ("shards", shards, 1, 64),
            ("queue_entries", queue_entries, 1, inf),
            ("queue_bytes", queue_bytes, 1, inf),
            ("cache_kib", cache_kib, 64, 1 << 20),
        ):
            if value is None and name.startswith("max"):
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                raise ConfigError(f"{name} must be an int, got {value!r}")
            if not least <= value <= most:
                raise ConfigError(f"{name} must be from {least} to {most}, got {value!r}")
        if not 0 <= busy_timeout <= 60:
            raise ConfigError(f"busy_timeout must be from 0 to 60 seconds, got {busy_timeout!r}")
        self._queue_limits = queue_entries, queue_bytes
        self._writer = self._new_writer()
        place = Path(path).absolute()
        super().__init__(place, shards, engine, clock, int(busy_timeout * 1000), cache_kib, max_entries, max_bytes)
        closes_at_exit(self)

    # --- reading

    # `get` is native, as long as it takes no more than reading.

    def _find(self, key: bytes) -> Row | None:
        """Answer a `get`, whatever it takes."""
        if self._attention and not self._is_readable():
            return None
        now = self._clock()
        self._notice(now)
        rows = self._attempt(crc32(key) % self._count, lambda handle: handle.run(Sql.READ, (key,)))
        row = None
        try:
            if rows:
                expires, touched = rows[0][1], rows[0][-2]
                if expires <= now:  # type: ignore[operator]
                    self._add_counts(misses=1, expired=1)
                    return None
                if now - touched > TOUCH_EVERY:  # type: ignore[operator]
                    self._touch(key, now)
                row = self._entry(key, rows[0], None)
        except (TypeError, ValueError, struct.error):
            self._mangled(key)  # damage that SQLite did not notice
        self._add_counts(hits=row is not None, misses=row is None)
        return row

    def header(self, key: bytes, first: int = 64) -> Row | None:
        """Return the entry of `key` with only the `first` bytes of its blob; None as `get` does."""
        if self._attention and not self._is_readable():
            return None
        now = self._clock()
        rows = self._attempt(crc32(key) % self._count, lambda handle: handle.run(Sql.HEADER, (key, first)))
        if not rows:
            return None
        try:
            expires = rows[0][1]
            if not isinstance(expires, float) or expires <= now:
                return None
            return self._entry(key, rows[0], first)
        except (TypeError, ValueError, struct.error):
            self._mangled(key)
            return None

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Row]:
        """Return the entries of those of `keys` that have one; those in one shard are read in one transaction."""
        by_shard: dict[int, list[bytes]] = {}
        for key in dict.fromkeys(keys):
            by_shard.setdefault(crc32(key) % self._count, []).append(key)
        found: dict[bytes, Row] = {}
        if self._attention and not self._is_readable():
            return found
        now = self._clock()
        self._notice(now)
        for index, group in by_shard.items():

            def operation(handle: Handle, group: list[bytes] = group) -> list[Rows]:
                handle.run(Sql.SNAPSHOT)
                rows = [handle.run(Sql.READ, (key,)) for key in group]
                handle.run(Sql.COMMIT)
                return rows

            for key, rows in zip(group, self._attempt(index, operation) or (), strict=False):
                row = self._live(key, rows[0], now) if rows else None
                self._add_counts(hits=row is not None, misses=row is None)
                if row is not None:
                    found[key] = row
                    if now - cast("int", rows[0][-2]) > TOUCH_EVERY:
                        self._touch(key, now)
        return found

    def keys(self, prefix: bytes = b"", limit: int | None = None) -> list[bytes]:
        """Return the keys that begin with `prefix`, in order, `limit` of them at most; those expired are left out."""
        self._check_open()
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit!r}")
        if self._attention and not self._is_readable():
            return []
        return list(islice(heapq.merge(*(self._keys_of(index, prefix) for index in range(self._count))), limit))

    def iterate(self) -> Iterator[tuple[bytes, Row]]:
        """Yield every entry that has not expired, page by page; entries written meanwhile may be left out."""
        self._check_open()
        for index in range(self._count):
            last = _FIRST_ID
            while not self._attention or self._is_readable():
                rows = self._attempt(index, lambda handle, last=last: handle.run(Sql.PAGE, (last, _PAGE)))  # type: ignore[misc]
                if not rows:
                    break
                now = self._clock()
                for *stored, key, identity in rows:
                    last = cast("int", identity)
                    row = self._live(cast("bytes", key), stored, now)
                    if row is not None:
                        yield cast("bytes", key), row

    def _live(self, key: bytes, stored: Sequence[object], now: float) -> Row | None:
        """Build what is returned for a row; None if its time is over, or it is damaged."""
        try:
            expires = stored[1]
            return self._entry(key, stored, None) if expires > now else None  # type: ignore[operator]
        except (TypeError, ValueError, struct.error):
            self._note("rows_damaged")
            return None

    def _keys_of(self, index: int, prefix: bytes) -> Iterator[bytes]:
        """Yield the keys of one shard that begin with `prefix`, in order."""
        following = _next_prefix(prefix)
        last, now = prefix, self._clock()
        first = True
        while True:
            comparison = ">=" if first else ">"
            bound = "" if following is None else " AND key < ?4"
            sql = Sql.KEYS.format(comparison=comparison, bound=bound)
            arguments = (last, now, _PAGE) if following is None else (last, now, _PAGE, following)
            rows = self._attempt(index, lambda handle, sql=sql, arguments=arguments: handle.run(sql, arguments))  # type: ignore[misc]
            keys = [key for (key,) in rows or () if isinstance(key, bytes)]
            yield from (key for key in keys if not (self._attention and self._doomed.covers(index, key)))
            if len(keys) < _PAGE:
                return
            last, first = keys[-1], False

    # --- writing

    def put(
        self,
        key: bytes,
        blob: bytes,
        *,
        expires: float = inf,
        version: int = 0,
        attach: bytes = b"",
        tags: Iterable[int] = (),
        is_current: Callable[[], bool] | None = None,
    ) -> bool:
        """Store an entry; true once it will survive the end of this process, false if it was shed.

        Args:
            key: at most 65,536 bytes.
            blob: what to store.
            expires: when it ends, in seconds since the epoch.
            version: 0 to 2**64 - 1.
            attach: which session of listening its writer is in.
            tags: hashes, 0 to 2**64 - 1, by which `delete_tags` finds it.
            is_current: asked in the writing transaction, when deletes of other processes are done or wait for this
                one; if it says no, nothing is stored.

        Raises:
            TypeError: an argument is of another type.
            ValueError: one is out of its range, or the tier is closed.
        """
        done = (
            is_current is None
            and (tags.__class__ is tuple and not tags)
            and (self._writer.is_idle and not self._shedding)
            and self._store_plain(key, blob, expires, version, attach)
        )
        if not done:
            job = checked_job(key, blob, expires, version, attach, tags)
            if self._shedding and not self._is_writable():
                return False
            self._notice(self._clock())
            self._writer.cancel((key,))
            index = crc32(key) % self._count
            if is_current is not None or job.tags or len(job.blob) > INLINE_BYTES:
                job.is_current = is_current
                done = self._store_all(index, (job,)) == 1
            else:
                done = self._store_one(index, job)
            self._add_counts(writes=done)
        self._unchecked += 1
        if self._unchecked >= self._check_every:
            self._writer.wake()
        return done

    def put_later(
        self,
        key: bytes,
        blob: bytes,
        *,
        expires: float = inf,
        version: int = 0,
        attach: bytes = b"",
        tags: Iterable[int] = (),
        is_current: Callable[[], bool] | None = None,
    ) -> bool:
        """Queue a write, in place of one for the same key; false, and counted, if the queue is full.

        It is committed with others within some 50 ms, unless a delete of the key, or of one of its tags, was called
        after it, or `is_current` says no: that is asked in the writing transaction, when deletes of other processes
        have either been done or have to wait. `flush` says when it is durable.
        If many wait, this call commits some of them.

        Raises:
            TypeError: an argument is of another type.
            ValueError: one is out of its range, or the tier is closed.
        """
        job = checked_job(key, blob, expires, version, attach, tags)
        job.is_current = is_current
        if self._shedding and not self._is_writable():
            return False
        return self._writer.put(job)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait for what `put_later` queued; true if all of it is durable, false if some failed or it took too long."""
        self._check_open()
        return self._writer.flush(timeout)

    # --- removing

    def delete(self, key: bytes) -> bool:
        """Remove an entry, queued writes of it included; whether there was one on disk.

        If the disk does not take the delete, this process remembers it, does not return the entry, and tries again.
        """
        return self.delete_many((key,)) == 1

    def delete_many(self, keys: Iterable[bytes]) -> int:
        """Remove entries; returns how many there were on disk."""
        self._check_open()
        wanted = list(keys)
        by_shard: dict[int, list[bytes]] = {}
        for key in wanted:
            by_shard.setdefault(crc32(key) % self._count, []).append(key)
        self._writer.cancel(wanted)
        removed = 0
        for index, group in by_shard.items():

            def operation(handle: Handle, group: list[bytes] = group) -> Rows:
                if len(group) == 1:
                    return handle.run(Sql.DELETE, (group[0],))
                handle.run(Sql.BEGIN)
                rows = [row for key in group for row in handle.run(Sql.DELETE, (key,))]
                handle.run(Sql.COMMIT)
                return rows

            rows = self._remove(index, operation)
            if rows is None:
                self._doomed.add_keys(index, group)
                self._look_after_deletes()
                continue
            removed += len(rows)
            if any(file is not None for (file,) in rows):
                self._empty_trash(index)
        return removed

    def delete_tags(self, hashes: Iterable[int]) -> int:
        """Remove the entries that have one of these tags; returns how many there were on disk."""
        self._check_open()
        wanted = tuple(checked_tags(hashes))
        doomed = frozenset(wanted)
        self._writer.cancel_if(lambda job: not doomed.isdisjoint(job.tags))
        removed = 0
        for index in range(self._count):

            def operation(handle: Handle) -> Rows:
                handle.run(Sql.BEGIN)
                gone = [row for tag in wanted for row in handle.run(Sql.DELETE_TAG, (signed(tag),))]
                handle.run(Sql.COMMIT)
                return gone

            rows = self._remove(index, operation)
            if rows is None:
                self._doomed.add_tags(index, wanted)
                self._look_after_deletes()
            elif rows:
                removed += len(rows)
                if any(file is not None for (file,) in rows):
                    self._empty_trash(index)
        return removed

    def clear(self) -> None:
        """Remove everything, queued writes included."""
        self._check_open()
        self._writer.cancel_if(lambda _: True)

        def operation(handle: Handle) -> Rows:
            clear(handle)
            return []

        for index in range(self._count):
            if self._remove(index, operation) is None:
                self._doomed.add_shard(index)
                self._look_after_deletes()
            else:
                self._empty_trash(index)
                self._attempt(index, lambda handle: handle.run("VACUUM"), frees=True)

    def cleanup(self) -> int:
        """Remove what has expired, what is above the limits, and files without rows; returns how many entries went.

        The tier does the same by itself, a little at a time, as it is written to.
        """
        self._check_open()
        if self._condition.state is State.OFF:
            return 0
        self._write_touched()
        expired = self._remove_expired()
        surplus = self._keep_limits()
        self._sweep(1_000_000, older_than=time.time() - 3600)
        return sum(expired) + sum(surplus)

    # --- the tier itself

    def stats(self) -> DiskStats:
        """Return the counters."""
        self._check_open()
        entries, size = self._totals() if self._condition.state is not State.OFF else (0, 0)
        hits, misses, expired, writes = self._counts
        with self._events_lock:
            events = dict(self._events)
        return DiskStats(
            entries=entries,
            bytes=size,
            hits=hits,
            misses=misses,
            expired=expired,
            writes=writes + self._writer.committed,
            queued=self._writer.queued,
            dropped=self._writer.dropped,
            failed=self._writer.failed,
            pending_deletes=len(self._doomed),
            events=events,
        )

    def health(self) -> DiskHealth:
        """Return whether the disk is well, and since when."""
        condition = self._condition
        return DiskHealth(
            state=condition.state.value,
            reason=condition.reason,
            since=condition.since,
            engine=self._engine.name,
            sqlite=self._engine.version,
            shards=self._count,
            pending_deletes=len(self._doomed),
        )

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is queued, checkpoint if no other process is there, and close; once more does nothing.

        Returns whether the directory was left clean: then its entries are not suspect after a reboot.
        """
        if self._closed:
            return False
        written = self._writer.close(timeout)
        self._write_touched()
        if len(self._doomed) and self._condition.state is not State.OFF:
            self._finish_deletes()
        clean = False
        self._closed = True
        self._look()
        self._sessions.shut()
        try:
            clean = self._directory.close(lambda: written and not len(self._doomed) and self._checkpoint_fully())
        except OSError:
            self._directory.forget()
        self._sessions.close()
        self._stop_checkpointing()
        return clean

    def _new_writer(self) -> Writer:
        return Writer(self._commit, self._tidy, *self._queue_limits)

    def _after_fork(self) -> None:
        self._writer = self._new_writer()  # what the parent queued, the parent writes
        self._upkeep = threading.RLock()
        self._stop_checkpointing()
        super()._after_fork()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<DiskTier {str(self._path)!r}: {'closed' if self._closed else self._condition.state.value}>"


def _next_prefix(prefix: bytes) -> bytes | None:
    """Return the first key after all those that begin with `prefix`; None if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None
