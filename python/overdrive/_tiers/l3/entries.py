"""Rows into entries and back: what `DiskTier` does inside, below what it promises."""

from __future__ import annotations

import struct
from math import isnan
from typing import TYPE_CHECKING, cast
from zlib import crc32

from .condition import State
from .row import INLINE_BYTES, LONGEST_KEY, UNSIGNED, Row, signed
from .schema import Sql
from .upkeep import Upkeep
from .writer import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .engine import Argument, Rows
    from .shard import Handle

__all__ = ("Entries", "checked_job", "checked_tags")

_TRIES = 3
_NOTICE_EVERY = 0.25


class Entries(Upkeep):
    """A store of entries."""

    # --- reading

    def _notice(self, now: float) -> None:
        """See, every quarter of a second, whether another process set a shard aside."""
        if self._notice_at - _NOTICE_EVERY <= now < self._notice_at:
            return
        self._notice_at = now + _NOTICE_EVERY
        for shard in self._shards:
            shard.notice_replacement()

    def _mangled(self, key: bytes) -> None:
        """Remove a row that is not as it was written."""
        self._note("rows_damaged")
        self._attempt(crc32(key) % self._count, lambda handle: handle.run(Sql.DELETE, (key,)))

    def _entry(self, key: bytes, stored: Sequence[object], first: int | None) -> Row | None:
        """Build what is returned for a row, with its tags and from its file.

        Raises:
            TypeError, ValueError, struct.error: the row is damaged.
        """
        index = crc32(key) % self._count
        for _ in range(_TRIES):
            blob, expires, version, attach, packed, size, epoch, touched, file = stored
            tags = () if packed is None else _unpacked(cast("bytes", packed))
            if self._attention and self._doomed.covers(index, key, tags):
                break
            if file is not None:
                try:
                    blob = self._blobs.read(cast("str", file), cast("int", size), first)
                except OSError as error:
                    self._react(index, self._fault(error), error, 0, frees=False)
                    break
            if not (blob is None and file is not None):
                if (
                    not (isinstance(blob, bytes) and isinstance(attach, bytes) and isinstance(size, int))
                    or not (isinstance(version, int) and isinstance(expires, float) and isinstance(touched, int))
                    or len(blob) != (size if first is None else min(first, size))
                ):
                    raise ValueError("a column is not as it was written")
                return Row(blob, expires, version & UNSIGNED, attach, tags, size, epoch != self._epoch)
            # A write in between has removed the file; or the file is gone, and the row with it.
            rows = self._attempt(index, lambda handle: handle.run(Sql.READ, (key,)))
            if not rows:
                break
            if rows[0][-1] == file:
                self._note("blobs_missing")
                self._attempt(index, lambda handle, file=file: handle.run(Sql.DELETE_FILED, (key, cast("str", file))))  # type: ignore[misc]
                break
            stored = rows[0]
        return None

    # --- writing

    def _arguments(self, job: Job, file: str | None) -> tuple[Argument, ...]:
        return (
            job.key,
            job.expires,
            signed(job.version),
            self._epoch,
            int(self._clock()),
            len(job.blob),
            job.attach,
            struct.pack(f"<{len(job.tags)}Q", *job.tags) if job.tags else None,
            file,
            None if file is not None else job.blob,
        )

    def _store_one(self, index: int, job: Job) -> bool:
        """Write a job that is one row and nothing else."""
        arguments = self._arguments(job, None)
        return self._attempt(index, lambda handle: handle.run(Sql.WRITE, arguments)) is not None

    def _store_all(self, index: int, jobs: Sequence[Job]) -> int:
        """Write jobs of one shard in one transaction; returns how many were committed."""
        files = self._write_files(index, jobs)
        written: list[Job] = []

        def operation(handle: Handle) -> bool:
            written.clear()
            handle.run(Sql.BEGIN)
            for job in jobs:
                large = len(job.blob) > INLINE_BYTES
                # Deletes either came before the transaction, and then the job knows, or wait for its end.
                if (large and job not in files) or not job.is_wanted():
                    continue
                handle.run(Sql.WRITE, self._arguments(job, files.get(job)))
                for tag in job.tags:
                    handle.run(Sql.TAG, (signed(tag), job.key))
                written.append(job)
            handle.run(Sql.COMMIT)
            return True

        if not self._attempt(index, operation):
            written.clear()
        for job, name in files.items():
            if job not in written:
                self._blobs.remove(name)
        if files:
            self._empty_trash(index)
        return len(written)

    def _write_files(self, index: int, jobs: Sequence[Job]) -> dict[Job, str]:
        files = {}
        for job in jobs:
            if len(job.blob) > INLINE_BYTES:
                try:
                    files[job] = self._blobs.write(job.key, job.version, job.blob)
                except OSError as error:
                    self._react(index, self._fault(error), error, 0, frees=False)
        return files

    def _commit(self, jobs: Sequence[Job]) -> int:
        """Write a batch of the queue."""
        if self._condition.state is not State.OK or (len(self._doomed) and not self._finish_deletes()):
            return 0
        by_shard: dict[int, list[Job]] = {}
        for job in jobs:
            by_shard.setdefault(crc32(job.key) % self._count, []).append(job)
        self._unchecked += len(jobs)
        self._notice(self._clock())
        return sum(self._store_all(index, group) for index, group in by_shard.items())

    # --- removing

    def _remove(self, index: int, operation: Callable[[Handle], Rows]) -> Rows | None:
        """Run a delete on a shard; None if it could not be done, and is to be remembered."""
        if self._condition.state is State.OFF:
            self._probe()
            if self._condition.state is State.OFF:
                return None
        shard = self._shards[index]
        while True:
            rows = self._attempt(index, operation, frees=True)
            # If another process set the file aside meanwhile, what was deleted may be in the new one.
            if rows is None or not shard.notice_replacement():
                return rows


def _unpacked(tags: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(tags) // 8}Q", tags)


def checked_tags(hashes: Iterable[int]) -> tuple[int, ...]:
    """Return tags as a tuple without repetitions.

    Raises:
        TypeError: one is not an int.
        ValueError: one does not fit into 64 bits.
    """
    tags = tuple(dict.fromkeys(hashes))
    for tag in tags:
        if not isinstance(tag, int):
            raise TypeError(f"a tag must be an int, got {tag!r}")
        if not 0 <= tag <= UNSIGNED:
            raise ValueError(f"a tag must be from 0 to 2**64 - 1, got {tag!r}")
    return tags


def checked_job(key: bytes, blob: bytes, expires: float, version: int, attach: bytes, tags: Iterable[int]) -> Job:
    """Return what is to be written, if it can be.

    Raises:
        TypeError: an argument is of another type.
        ValueError: one is out of its range.
    """
    if key.__class__ is not bytes:
        raise TypeError(f"key must be bytes, got {type(key).__name__}")
    if len(key) > LONGEST_KEY:
        raise ValueError(f"key must have at most {LONGEST_KEY} bytes, got {len(key)}")
    if blob.__class__ is not bytes:
        if not isinstance(blob, (bytes, bytearray, memoryview)):
            raise TypeError(f"blob must be bytes, got {type(blob).__name__}")
        blob = bytes(blob)
    if not isinstance(expires, (int, float)):
        raise TypeError(f"expires must be a float, got {expires!r}")
    if isnan(expires):
        raise ValueError("expires must not be NaN")
    if not isinstance(version, int):
        raise TypeError(f"version must be an int, got {version!r}")
    if not 0 <= version <= UNSIGNED:
        raise ValueError(f"version must be from 0 to 2**64 - 1, got {version!r}")
    if attach.__class__ is not bytes:
        raise TypeError(f"attach must be bytes, got {type(attach).__name__}")
    return Job(key, blob, float(expires), version, attach, checked_tags(tags) if tags else ())
