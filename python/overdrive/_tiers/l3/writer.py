"""Write-behind: a bounded queue and the thread that commits it in batches, and does the housekeeping.

A job is committed only if it is still wanted at the last moment: the batch is written in a transaction, which keeps
deletes out, and each job is asked again before the commit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ("Job", "Writer")

_log = logging.getLogger("overdrive.disk")
_BATCH = 64
_BEHIND = 4 * _BATCH
_GATHER = 0.05


class Job:
    """A write that is to be done."""

    __slots__ = ("attach", "blob", "cancelled", "expires", "is_current", "key", "tags", "version")

    def __init__(
        self,
        key: bytes,
        blob: bytes,
        expires: float,
        version: int,
        attach: bytes,
        tags: tuple[int, ...],
        is_current: Callable[[], bool] | None = None,
    ) -> None:
        self.key = key
        self.blob = blob
        self.expires = expires
        self.version = version
        self.attach = attach
        self.tags = tags
        self.is_current = is_current
        self.cancelled = False

    def is_wanted(self) -> bool:
        """Whether nothing deleted the key since the job was queued; what `is_current` raises counts as no."""
        if not self.cancelled and self.is_current is not None:
            try:
                self.cancelled = not self.is_current()
            except Exception:  # noqa: BLE001 - it is the caller's, and a write that nobody can vouch for is left out
                _log.exception("disk tier: is_current() failed, the entry is not written")
                self.cancelled = True
        return not self.cancelled


class Writer:
    """The queue and its thread, which starts with the first job.

    Args:
        commit: called with up to 64 jobs; returns how many were committed.
        tidy: called after batches, and when `wake` asked for it.
        max_jobs: how many wait at most. max_bytes: how large their blobs are together, at most.
    """

    def __init__(
        self, commit: Callable[[Sequence[Job]], int], tidy: Callable[[], None], max_jobs: int, max_bytes: int
    ) -> None:
        self._commit = commit
        self._tidy = tidy
        self._max_jobs = max_jobs
        self._max_bytes = max_bytes
        # Reentrant: finalizers and signal handlers may use the queue in the middle of what is done here.
        self._changed = threading.Condition()
        self._waiting: OrderedDict[bytes, Job] = OrderedDict()
        self._bytes = 0
        self._in_flight: list[list[Job]] = []
        self._thread: threading.Thread | None = None
        self._urgent = 0
        self._woken = False
        self._closing = False
        self.dropped = 0
        self.committed = 0
        self.failed = 0

    def put(self, job: Job) -> bool:
        """Queue a job, in place of one for the same key; False, and counted, if the queue is full.

        Commits a batch, if many wait.
        """
        if self.is_behind:
            self._help()
        with self._changed:
            earlier = self._waiting.get(job.key)
            held = 0 if earlier is None else len(earlier.blob)
            full = earlier is None and len(self._waiting) >= self._max_jobs
            if self._closing or full or self._bytes - held + len(job.blob) > self._max_bytes:
                self.dropped += 1
                if earlier is not None:
                    # The value before this one must not be what stays.
                    self._remove(job.key)
                return False
            self._bytes += len(job.blob) - held
            self._waiting[job.key] = job
            self._start()
            if len(self._waiting) in (1, _BATCH):
                self._changed.notify_all()
        return True

    def _help(self) -> None:
        """Commit a batch in this thread, if the writer's has fallen behind.

        Threads that compute, and call SQLite in between, hardly ever let another one run: it would be given its turn
        after 5 ms, for one row. What they queue they are quicker to write themselves.
        """
        with self._changed:
            if len(self._waiting) < _BEHIND or self._closing:
                return
            jobs = self._take()
        committed = 0
        try:
            committed = self._commit(jobs)
        finally:
            self._note(jobs, committed)

    def cancel(self, keys: Iterable[bytes]) -> None:
        """Make sure that no job queued before this call writes one of the keys after it."""
        if self.is_idle:
            return
        with self._changed:
            doomed = set(keys)
            for key in doomed.intersection(self._waiting):
                self._remove(key)
            for batch in list(self._in_flight):
                for job in batch:
                    job.cancelled |= job.key in doomed

    def cancel_if(self, is_doomed: Callable[[Job], bool]) -> None:
        """The same for jobs of which `is_doomed` is true."""
        with self._changed:
            for job in [job for job in list(self._waiting.values()) if is_doomed(job)]:
                self._remove(job.key)
            for batch in list(self._in_flight):
                for job in batch:
                    job.cancelled |= is_doomed(job)

    def wake(self) -> None:
        """Have the thread tidy up soon."""
        with self._changed:
            if self._closing:
                return
            self._woken = True
            self._start()
            self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what is queued now was tried; False if some of it was not committed, or `timeout` seconds passed.

        Jobs that a delete made pointless count as done.
        """
        with self._changed:
            failed = self.failed
            self._urgent += 1
            self._changed.notify_all()
            try:
                idle = self._changed.wait_for(lambda: not self._waiting and not self._in_flight, timeout)
            finally:
                self._urgent -= 1
            return idle and self.failed == failed

    def close(self, timeout: float | None = None) -> bool:
        """Take no more jobs, do the queued ones, and end the thread; whether it ended in time."""
        with self._changed:
            self._closing = True
            thread = self._thread
            self._changed.notify_all()
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    @property
    def is_behind(self) -> bool:
        """Whether more jobs wait than a thread that is given its turns leaves waiting."""
        return len(self._waiting) >= _BEHIND

    @property
    def is_idle(self) -> bool:
        """Whether no job waits, or is being done."""
        return not (self._waiting or self._in_flight)

    @property
    def queued(self) -> int:
        """How many jobs wait."""
        return len(self._waiting) + sum(map(len, self._in_flight))

    def _remove(self, key: bytes) -> None:
        job = self._waiting.pop(key, None)
        if job is not None:
            self._bytes -= len(job.blob)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="overdrive-disk-writer", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while batch := self._next():
            jobs = batch[0]
            try:
                if jobs:
                    self._note(jobs, self._commit(jobs))
                self._tidy()
            except Exception:  # noqa: BLE001 - a mistake of ours must not end the thread
                _log.exception("disk tier: the writer failed")
                self._note(jobs, 0)

    def _next(self) -> tuple[list[Job]] | None:
        """Return the next batch, which is empty if there is only tidying to do; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._woken or self._closing)
            if self._waiting and not self._closing:
                until = time.monotonic() + _GATHER
                while len(self._waiting) < _BATCH and not (self._urgent or self._closing):
                    left = until - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        break
            if self._closing and not self._waiting:
                return None
            self._woken = False
            return (self._take(),)

    def _take(self) -> list[Job]:
        """Take the oldest jobs, which are in flight then; the lock is held."""
        batch: list[Job] = []
        if self._waiting:
            self._in_flight.append(batch)  # before it takes any: `is_idle` looks without the lock
        while self._waiting and len(batch) < _BATCH:
            try:
                key, job = next(iter(self._waiting.items()))
            except (StopIteration, RuntimeError):  # in between a finalizer changed what there was
                continue
            batch.append(job)  # first, as a delete looks for it here and there
            if self._waiting.get(key) is job:
                self._remove(key)
            else:
                job.cancelled = True
        if not batch:
            self._in_flight = [other for other in self._in_flight if other is not batch]
        if not self._waiting:
            self._bytes = 0  # whatever finalizers added and removed in between
        return batch

    def _note(self, jobs: list[Job], committed: int) -> None:
        with self._changed:
            for at, batch in enumerate(self._in_flight):
                if batch is jobs:
                    del self._in_flight[at]
                    self.committed += committed
                    self.failed += sum(not job.cancelled for job in jobs) - committed
                    break
            self._changed.notify_all()
