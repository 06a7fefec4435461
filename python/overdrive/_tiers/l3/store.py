"""The shards of a tier, and what is done about a disk that fails.

Everything that touches the disk goes through `Store._attempt`, or does what it does: an error never leaves, it becomes
a fault, the fault a reaction (retry on a fresh file, shed, switch off), and the result "nothing".
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import weakref
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from overdrive._core import _DiskTier
from overdrive.exceptions import ConfigError

from .blobs import Blobs
from .condition import Condition, State
from .directory import Directory
from .doomed import Doomed
from .engine import Fault, choose
from .row import INLINE_BYTES, LONGEST_KEY, TOUCH_EVERY, Row, signed
from .schema import TABLES, Sql
from .sessions import Sessions
from .shard import DamagedShard, Handle, Shard
from .space import Ballast

if TYPE_CHECKING:
    from collections.abc import Callable

    from .engine import Engine

__all__ = ("Store",)

Answer = TypeVar("Answer")

_FULL = {errno.ENOSPC, errno.EDQUOT}
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR}
_DENIED = {errno.EACCES, errno.EPERM, errno.ELOOP}

_stores: weakref.WeakSet[Store] = weakref.WeakSet()


class Store(_DiskTier):
    """What `DiskTier` is built on. Its constructor raises `ConfigError` alone: a broken disk is a state."""

    def __init__(
        self, path: Path, shards: int, engine: str | Engine, clock: Callable[[], float], busy_ms: int, cache_kib: int
    ) -> None:
        self._path = path
        self._engine = choose(engine)
        self._clock = clock
        self._busy_ms = busy_ms
        self._cache_kib = cache_kib
        self._faults: tuple[type[Exception], ...] = (*self._engine.errors, OSError, ConfigError, DamagedShard)
        self._directory = Directory(path, shards)
        self._condition = Condition(str(path))
        self._doomed = Doomed()
        self._blobs = Blobs(self._directory.root / "blob")
        self._ballast = Ballast(self._directory.root / "ballast")
        self._events: Counter[str] = Counter()
        # Here, and for other locks of the tier: a finalizer or a signal handler of this thread may need it again.
        self._events_lock = threading.RLock()
        self._look_lock = threading.RLock()
        # One thread at a time: another one would delete again what was written since.
        self._deletes_lock = threading.RLock()
        self._looks = 0
        self._shards: list[Shard] = []
        self._sessions = Sessions(self._shards, self._engine)
        super().__init__(
            self._sessions.local,
            clock=clock,
            faults=self._faults,
            read=Sql.FIND,
            write=Sql.WRITE,
            row=Row,
            touch_every=TOUCH_EVERY,
            longest_key=LONGEST_KEY,
            longest_blob=INLINE_BYTES,
        )
        self._count = shards
        self._entered = False
        self._closed = False
        # Set, as `_attention` is for reads, while there is something to look at before a write goes on: the tier is
        # closed, or off, or full, or deletes are still to be done.
        self._shedding = False
        try:
            self._enter()
        except OSError as error:
            self._worsen(State.OFF, f"{type(error).__name__}: {error}")
        _stores.add(self)

    def _enter(self) -> None:
        """Open the directory and every shard, which is also when an unknown format is noticed."""
        self._entered = False
        self._directory.open()
        if self._count != self._directory.shards and len(self._doomed):
            # What was deleted meanwhile is known by shards of another number.
            self._doomed = Doomed()
            for index in range(self._directory.shards):
                self._doomed.add_shard(index)
        self._count = self._directory.shards
        self._epoch = self._directory.epoch
        for shard in self._shards:
            shard.retire()
        self._shards[:] = [
            Shard(self._directory, index, self._engine, self._busy_ms, self._cache_kib) for index in range(self._count)
        ]
        self._sessions.close()
        for index in range(self._count):
            self._attempt(index, lambda _: True, format_matters=True)
        self._entered = True
        with contextlib.suppress(OSError):  # a full disk is noticed by who writes
            self._ballast.ensure()

    def _attempt(
        self,
        index: int,
        operation: Callable[[Handle], Answer],
        *,
        frees: bool = False,
        format_matters: bool = False,
    ) -> Answer | None:
        """Run `operation` on a shard; once more if what failed was repaired; None if it cannot be done.

        `frees`: it makes room, so it is tried again with the space that the ballast took.
        """
        for tries_left in (1, 0):
            session = self._sessions.mine()
            with session.lock:
                generation = self._shards[index].generation
                try:
                    session.in_use = True
                    handle = session.handle(index)
                    generation = handle.generation
                    try:
                        return operation(handle)
                    except BaseException:
                        session.end_transaction(index)
                        raise
                except self._faults as error:
                    if format_matters and isinstance(error, ConfigError):
                        raise
                    failure = error
                    fault = self._fault(error)
                    if fault not in (Fault.BUSY, Fault.FULL):
                        session.drop(index)
                finally:
                    session.in_use = False
                    if session.is_shut:  # in the middle of this
                        session.close()
            if not self._react(index, fault, failure, generation, frees=frees) or not tries_left:
                break
        return None

    def _fault(self, error: Exception) -> Fault:
        if isinstance(error, ConfigError):
            return Fault.PERMISSION
        if isinstance(error, DamagedShard):
            return Fault.CORRUPT
        if isinstance(error, OSError) and not isinstance(error, self._engine.errors):
            if error.errno in _FULL:
                return Fault.FULL
            if error.errno in _PASSING:
                return Fault.BUSY
            if error.errno == errno.EROFS:
                return Fault.READONLY
            return Fault.PERMISSION if error.errno in _DENIED else Fault.IO
        return self._engine.fault(error)

    def _react(self, index: int, fault: Fault, error: Exception, generation: int, *, frees: bool) -> bool:
        """Do something about a fault; whether it is worth another try."""
        self._note(f"fault_{fault.name.lower()}")
        if fault is Fault.BUSY:
            return False
        if fault is Fault.CORRUPT:
            return self._set_aside(index, generation)
        if fault is Fault.FULL:
            released = self._ballast.release()
            self._worsen(State.FULL, fault.value)
            if frees and not released:
                # Not even a delete has room: the shard is given up, which deletes it all.
                return self._set_aside(index, generation, keep=False)
            return frees
        self._worsen(State.OFF, f"{fault.value}: {type(error).__name__}: {error}")
        return False

    def _set_aside(self, index: int, generation: int, *, keep: bool = True) -> bool:
        try:
            if self._shards[index].set_aside(generation, keep=keep):
                self._note("shards_set_aside" if keep else "shards_dropped")
        except OSError as error:
            self._worsen(State.OFF, f"a damaged shard cannot be set aside: {type(error).__name__}: {error}")
            return False
        return True

    def _worsen(self, state: State, reason: str) -> None:
        self._condition.worsen(state, reason)
        self._look()

    def _look(self) -> None:
        with self._look_lock:
            self._looks += 1
            this = self._looks
            state = self._condition.state
            attention = self._closed or state is State.OFF or bool(len(self._doomed))
            if this == self._looks:  # else another look was taken in the middle of this one
                self._attention = attention
                self._shedding = attention or state is not State.OK

    def _note(self, event: str, times: int = 1) -> None:
        if times:
            with self._events_lock:
                self._events[event] += times

    def _is_readable(self) -> bool:
        """Whether a read may go on; looks at the disk again if it is time to."""
        self._check_open()
        if self._condition.state is State.OFF:
            self._probe()
        return self._condition.state is not State.OFF

    def _is_writable(self) -> bool:
        """Whether a write may go on; looks at the disk again if it is time to."""
        self._check_open()
        if self._condition.state is not State.OK or len(self._doomed):
            self._probe()
        # While a delete is remembered, nothing is written that it could remove when it is done.
        if self._condition.state is State.OK and not len(self._doomed):
            return True
        self._note("writes_shed")
        return False

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"the disk tier {str(self._path)!r} is closed")

    def _probe(self) -> None:
        """See whether the disk works again, if the time for that has come; then do the deletes that it missed."""
        if self._condition.state is State.OK:
            self._finish_deletes()
        elif self._condition.probe_is_due() and not self._sessions.carried_over:
            try:
                if not self._entered or not self._directory.root.exists():
                    self._enter()
                if not all(self._attempt(index, _write_something) for index in range(self._count)):
                    return
                self._ballast.ensure()
            except (OSError, ConfigError) as error:
                full = self._entered and self._fault(error) is Fault.FULL
                self._worsen(State.FULL if full else State.OFF, f"{type(error).__name__}: {error}")
                return
            if self._finish_deletes():
                self._condition.recover()
                self._look()

    def _finish_deletes(self) -> bool:
        """Do what could not be done when it was asked for; whether nothing of it is left."""
        with self._deletes_lock:
            self._delete_doomed()
        self._look()
        return not len(self._doomed)

    def _delete_doomed(self) -> None:
        for index in range(self._count):
            keys, tags, everything = self._doomed.of_shard(index)
            if not (keys or tags or everything):
                continue

            def operation(
                handle: Handle, keys: set[bytes] = keys, tags: set[int] = tags, everything: bool = everything
            ) -> bool:
                if everything:
                    clear(handle)
                handle.run(Sql.BEGIN)
                for key in keys:
                    handle.run(Sql.DELETE, (key,))
                for tag in tags:
                    handle.run(Sql.DELETE_TAG, (signed(tag),))
                handle.run(Sql.COMMIT)
                return True

            if self._attempt(index, operation, frees=True):
                self._doomed.done(index, keys, tags, everything)

    def _empty_trash(self, index: int) -> None:
        """Remove the files whose rows are gone."""

        def operation(handle: Handle) -> bool:
            while names := [name for (name,) in handle.run(Sql.TRASH) if isinstance(name, str)]:
                removed = [name for name in names if self._blobs.remove(name)]
                handle.run(Sql.BEGIN)
                for name in removed:
                    handle.run(Sql.UNTRASH, (name,))
                handle.run(Sql.COMMIT)
                if len(removed) < len(names):
                    break
            return True

        self._attempt(index, operation, frees=True)

    def _after_fork(self) -> None:
        """Start over in a forked child."""
        self._events_lock = threading.RLock()
        self._look_lock = threading.RLock()
        self._deletes_lock = threading.RLock()
        self._condition.after_fork()
        self._doomed.after_fork()
        for shard in self._shards:
            shard.after_fork()
        if self._closed:
            return
        if self._sessions.carried_over:
            self._worsen(State.OFF, "this process was forked while an operation was under way")
        elif self._entered:
            try:
                self._directory.rejoin()
            except OSError as error:
                self._worsen(State.OFF, f"{type(error).__name__}: {error}")


def clear(handle: Handle) -> None:
    """Empty a shard at the price of dropping its tables, however many rows they have."""
    handle.run(Sql.BEGIN)
    for statement in (*Sql.CLEAR, *TABLES):
        handle.run(statement)
    handle.run(Sql.COMMIT)


def _write_something(handle: Handle) -> bool:
    handle.run(Sql.PROBE)
    return True


def _after_fork_in_child() -> None:
    for store in list(_stores):
        store._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
