"""One SQLite file of the tier: how a connection to it is opened, and what happens to it when it is damaged.

No file of a shard is ever opened here but by SQLite: closing it would drop the locks that SQLite holds on it in this
process (POSIX locks belong to the process, not to the descriptor).
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
import weakref
from itertools import count
from typing import TYPE_CHECKING

from overdrive.exceptions import ConfigError

from .schema import FORMAT, STAMP, TABLES, TRASH, Sql

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .directory import Directory
    from .engine import Argument, Connection, Cursor, Engine, Rows

__all__ = ("DamagedShard", "Handle", "Shard")

_CHECKPOINT_PAGES = 4000
_generations = count()  # of all shards: those of a directory that was made again are not taken for its predecessor's
_KEPT_DAMAGED = 2
_SIDES = ("", "-wal", "-shm")


class DamagedShard(Exception):  # noqa: N818 - what it is, and no error of the caller's
    """A file in the place of a shard that SQLite opens and that is none."""


class Handle:
    """A connection of one thread to one shard, with what is called for every read at hand.

    `execute` is None once the file was replaced.
    """

    __slots__ = ("__weakref__", "connection", "execute", "generation", "run")

    def __init__(self, connection: Connection, generation: int) -> None:
        self.connection = connection
        self.generation = generation
        self.run: Callable[..., Rows] = connection.run
        self.execute: Callable[[str, Sequence[Argument]], Cursor] | None = connection.execute


class Shard:
    """A file, and which incarnation of it is the current one.

    `generation` is another one when the file is replaced; handles of an older one are of a file that was set aside.
    """

    def __init__(self, directory: Directory, index: int, engine: Engine, busy_ms: int, cache_kib: int) -> None:
        self.index = index
        self.path = directory.shard(index)
        self.generation = next(_generations)
        self._directory = directory
        self._engine = engine
        self._busy_ms = busy_ms
        self._cache_kib = cache_kib
        self._lock = threading.RLock()
        self._inode: tuple[int, int] | None = None
        self._handles: weakref.WeakSet[Handle] = weakref.WeakSet()

    def open(self, *, waits: bool = True) -> Handle:
        """Open a connection, making the file if there is none; whether it waits while others lock the file.

        Raises:
            ConfigError: the file is of an unknown format, or not ours.
            OSError: it cannot be made.
            Exception: of the engine's `errors`.
        """
        with self._lock:
            self._make()
            generation = self.generation
            connection = self._engine.connect(str(self.path), self._busy_ms if waits else 0)
            try:
                self._set_up(connection)
            except BaseException:
                with contextlib.suppress(*self._engine.errors):
                    connection.close()
                raise
            handle = Handle(connection, generation)
            self._handles.add(handle)
            return handle

    def wal_bytes(self) -> int:
        """Return how long the WAL is."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except OSError:
            return 0

    def after_fork(self) -> None:
        """Start over with locks that no thread of the parent holds."""
        self._lock = threading.RLock()
        self._handles = weakref.WeakSet()

    def notice_replacement(self) -> bool:
        """Start a new generation if another process set the file aside, and return whether it did."""
        try:
            found = self.path.stat()
            inode = found.st_dev, found.st_ino
        except FileNotFoundError:
            inode = None  # set aside, and nobody has needed another one yet
        except OSError:
            return False  # the next operation says what is wrong
        if inode == self._inode:
            return False
        self.retire()
        return True

    def set_aside(self, generation: int, *, keep: bool = True) -> bool:
        """Replace the file by an empty one; the damaged one is renamed, or removed if it is not to be kept.

        Nothing happens if the file of that generation was replaced already. Returns whether it was done here.

        Raises:
            OSError: it can be neither renamed nor removed.
        """
        with self._lock, self._directory.exclusively():
            self.notice_replacement()
            if self.generation != generation:
                return False
            self._end_generation()
            name = f"{self.path.name}.corrupt-{int(time.time())}"
            for side in _SIDES:
                path = self.path.with_name(self.path.name + side)
                with contextlib.suppress(FileNotFoundError):
                    if keep:
                        path.rename(self.path.with_name(name + side))
                    else:
                        path.unlink()
            self._inode = None
            self._forget_old_damage()
            return True

    def retire(self) -> None:
        """Say that nothing opened so far is of use any more."""
        with self._lock:
            self._end_generation()

    def _end_generation(self) -> None:
        """Say that the file is another one; the lock is held."""
        self.generation = next(_generations)
        for handle in self._handles:
            handle.execute = None
        self._handles.clear()

    def _forget_old_damage(self) -> None:
        damaged = [path for path in self.path.parent.glob("shard-*.corrupt-*") if not path.name.endswith(_SIDES[1:])]
        for path in sorted(damaged, key=lambda found: found.name.rpartition("-")[2])[:-_KEPT_DAMAGED]:
            for side in _SIDES:
                path.with_name(path.name + side).unlink(missing_ok=True)

    def _make(self) -> None:
        """Make the file, for the owner alone: SQLite gives its WAL the same mode."""
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
            with contextlib.suppress(FileExistsError):
                # Locks of SQLite in this process are safe: it has not opened what did not exist.
                os.close(os.open(self.path, flags, 0o600))
            found = self.path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{str(self.path)!r} must be a regular file and not a link to one")
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            raise ConfigError(f"{str(self.path)!r} belongs to user {found.st_uid}, not to {os.geteuid()}")
        inode = found.st_dev, found.st_ino
        if self._inode is not None and inode != self._inode:
            self._end_generation()
        self._inode = inode

    def _set_up(self, connection: Connection) -> None:
        connection.run(f"PRAGMA cache_size = -{self._cache_kib}")
        found = _stamp(connection)
        if found == 0:
            with self._directory.exclusively():
                found = _stamp(connection)
                if found == 0:
                    self._create(connection)
                    found = STAMP
        if found != STAMP:
            if found % STAMP or not 0 < found // STAMP < 256:
                raise DamagedShard(f"its format is given as {found:#x}")
            raise ConfigError(
                f"{str(self.path)!r} is of format {found // STAMP}, this release knows {FORMAT}; "
                "nothing was changed: remove it or use another cache_dir"
            )
        connection.run("PRAGMA synchronous = NORMAL")
        connection.run(f"PRAGMA journal_size_limit = {_CHECKPOINT_PAGES * 4096}")
        pages = _CHECKPOINT_PAGES if self._engine.checkpoints_concurrently else 0
        connection.run(f"PRAGMA wal_autocheckpoint = {pages}")

    def _create(self, connection: Connection) -> None:
        if connection.run("SELECT count(*) FROM sqlite_master")[0][0]:
            # Unless a finalizer has made them since the stamp was read.
            if _stamp(connection) == STAMP:
                return
            raise DamagedShard("it has tables and no format")
        connection.run("PRAGMA journal_mode = WAL")
        connection.run(Sql.BEGIN)
        if _stamp(connection) == STAMP:
            connection.run(Sql.ROLLBACK)
            return
        for statement in (TRASH, *TABLES, f"PRAGMA user_version = {STAMP}"):
            connection.run(statement)
        connection.run(Sql.COMMIT)


def _stamp(connection: Connection) -> int:
    found = connection.run("PRAGMA user_version")[0][0]
    return found if isinstance(found, int) else -1
