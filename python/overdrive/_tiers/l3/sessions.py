"""The connections of one thread, and how they get through a fork.

SQLite must not be carried through a fork: the child would share locks, and even closing could remove the parent's WAL.
So all connections of the process are closed before it forks, and both sides open new ones when they need them. An
operation that does not end within a second keeps its connections; the child then leaks them and its tiers stay off.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import threading
import weakref
from typing import TYPE_CHECKING

from overdrive._core import _DiskSession

from .schema import Sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .engine import Engine, Rows
    from .shard import Handle, Shard

__all__ = ("Session", "Sessions")

_PATIENCE = 1.0

_every: weakref.WeakSet[Sessions] = weakref.WeakSet()


class Session(_DiskSession):
    """What one thread has open.

    Its thread uses it with `in_use` set; whoever closes it from outside `bar`s it first, and both hold `lock`, except
    for the quick way to one row, which looks at those two alone.

    While it is in use, its thread may come again, from a finalizer, a signal handler or `is_current`: a connection
    that is in the middle of something is of no use then, so there is another session `inside` for that. Its
    connections do not wait for locks, as it may be the thread itself that holds them.
    """

    __slots__ = ("_errors", "_is_inside", "_owner", "_seized", "_shards", "inside", "is_shut", "lock")

    def __init__(
        self, shards: Sequence[Shard], errors: tuple[type[Exception], ...], *, is_inside: bool = False
    ) -> None:
        self._shards = shards
        self._errors = errors
        self._is_inside = is_inside
        self._owner = threading.get_ident()
        self._seized = 0
        self.lock = threading.RLock()  # reentrant: its thread may close the tier in the middle of an operation
        self.inside: Session | None = None
        self.is_shut = False

    def seize(self) -> bool:
        """Keep its thread from using it until `let_go`; whether that was possible.

        It is not in the middle of an operation of the calling thread, or of one that takes longer than a second:
        waiting for that could be waiting for each other.
        """
        if not self.lock.acquire(timeout=_PATIENCE):
            return False
        self._seized += 1
        try:
            is_idle = self.bar(0.0 if self._owner == threading.get_ident() else _PATIENCE)
        except BaseException:
            self.let_go()
            raise
        if not is_idle:
            self.let_go()
        return is_idle

    def let_go(self) -> None:
        """Let its thread go on, unless the caller has seized it further out as well."""
        self._seized -= 1
        if not self._seized:
            self.unbar()
        self.lock.release()

    def close_from_outside(self) -> None:
        """Close all connections, unless they are in use."""
        if self.seize():
            try:
                self.close()
            finally:
                self.let_go()

    def handle(self, index: int) -> Handle:
        """Return the connection to a shard, opened if there is none to its current file."""
        if index >= len(self.handles):  # the tier began with a directory that it could not read
            self.handles.extend([None] * (len(self._shards) - len(self.handles)))
        handle = self.handles[index]
        shard = self._shards[index]
        if handle is not None:
            if handle.generation == shard.generation:
                return handle
            self.drop(index)
        if self.is_shut:
            raise ValueError("the disk tier was closed in the middle of an operation")
        handle = self.handles[index] = shard.open(waits=not self._is_inside)
        return handle

    def drop(self, index: int) -> None:
        """Close one connection."""
        handle = self.handles[index]
        self.handles[index] = None
        if handle is not None:
            # What a broken disk says to a close changes nothing.
            with contextlib.suppress(*self._errors):
                handle.connection.close()

    def end_transaction(self, index: int) -> None:
        """Roll back what an operation left open as it failed; the error of that operation is the one that matters."""
        handle = self.handles[index]
        if handle is None or not handle.connection.in_transaction():
            return
        try:
            handle.run(Sql.ROLLBACK)
        except self._errors:
            self.drop(index)

    def close(self) -> None:
        """Close all connections."""
        for index in range(len(self.handles)):
            self.drop(index)

    def leak(self) -> None:
        """Forget the connections without closing them; an operation that goes on is told so."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.handles))
        for handle in self.handles:
            if handle is not None:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle.connection))
                handle.execute, handle.run = None, _refuse_in_child
        self.handles[:] = [None] * len(self.handles)

    def __del__(self) -> None:
        self.close()  # its thread ended


class Sessions:
    """The sessions of a tier, one for each thread that used it."""

    def __init__(self, shards: Sequence[Shard], engine: Engine) -> None:
        self._shards = shards
        self._engine = engine
        self._lock = threading.RLock()
        self._all: weakref.WeakSet[Session] = weakref.WeakSet()
        self._held: list[Session] = []
        self._closer: int | None = None
        self.local = threading.local()
        self.carried_over = False
        """Whether this process was forked in the middle of an operation."""
        self.pid = os.getpid()
        _every.add(self)

    def mine(self) -> Session:
        """Return the session of this thread."""
        session: Session | None = getattr(self.local, "session", None)
        if session is None:
            session = self.local.session = self._new()
        while session.in_use:
            if session.inside is None:
                session.inside = self._new(is_inside=True)
            session = session.inside
        return session

    def _new(self, *, is_inside: bool = False) -> Session:
        if self._closer not in (None, threading.get_ident()):
            raise ValueError("the disk tier is closed")
        session = Session(self._shards, self._engine.errors, is_inside=is_inside)
        with self._lock:
            self._all.add(session)
        return session

    def close(self) -> None:
        """Close every connection of every thread; they are opened again if they are needed."""
        with self._lock:
            sessions = list(self._all)
        for session in sessions:
            session.close_from_outside()

    def shut(self) -> None:
        """Close every connection for good; from here on only the calling thread may open new ones.

        Those of an operation that goes on are closed at its end.
        """
        self._closer = threading.get_ident()
        with self._lock:
            sessions = list(self._all)
        for session in sessions:
            session.is_shut = True
            session.close_from_outside()
        self._forget_mine()

    def _forget_mine(self) -> None:
        """Have the calling thread start a new session, inside those that are in use."""
        session: Session | None = getattr(self.local, "session", None)
        if session is None or not session.in_use:
            vars(self.local).pop("session", None)
            return
        while session.inside is not None and session.inside.in_use:
            session = session.inside
        session.inside = None

    def hold(self) -> None:
        """Close every connection and keep threads from opening new ones until `release`."""
        self._lock.acquire()
        for session in list(self._all):
            if session.seize():
                self._held.append(session)
                session.close()

    def release(self) -> None:
        """Let the threads go on, in the process that forked."""
        for session in self._held:
            session.let_go()
        self._held = []
        self._lock.release()

    def inherit(self) -> None:
        """Start over in a forked child, where only the forking thread lives."""
        held = set(self._held)
        for session in list(self._all):
            self.carried_over |= session not in held
            session.leak()  # also one that the forking thread has opened since
        self._held = []
        self._all = weakref.WeakSet()
        vars(self.local).pop("session", None)
        self._lock = threading.RLock()
        self.pid = os.getpid()


def _refuse_in_child(*_: object) -> Rows:
    raise OSError(errno.EIO, "this process was forked in the middle of the operation")


_holding: list[Sessions] = []
_forking = threading.Lock()  # two threads that fork at once would wait for each other's tiers


def _before_fork() -> None:
    _forking.acquire()
    for sessions in list(_every):
        _holding.append(sessions)
        sessions.hold()


def _after_in_parent() -> None:
    while _holding:
        _holding.pop().release()
    _forking.release()


def _after_in_child() -> None:
    while _holding:
        _holding.pop().inherit()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
