"""What the disk tier asks of a binding to SQLite, and what its errors mean.

Two bindings serve: `apsw_engine`, current SQLite, and `sqlite3_engine`, the standard library's. They are imported when
a tier is built, so that importing the package stays cheap.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

from overdrive.exceptions import ConfigError, MissingExtraError

__all__ = ("Argument", "Connection", "Engine", "Fault", "Rows", "choose", "fault_of_code")

Argument: TypeAlias = bytes | str | int | float | None
Rows: TypeAlias = list[tuple[object, ...]]


class Fault(enum.Enum):
    """What went wrong, by what has to be done about it."""

    BUSY = "locked by others for longer than the busy timeout"
    FULL = "the disk is full"
    CORRUPT = "the file is damaged"
    IO = "input or output failed"
    READONLY = "not writable"
    PERMISSION = "cannot be opened"


class Cursor(Protocol):
    """What a statement returns."""

    def fetchall(self) -> Rows:
        """Run the statement to its end, and return all rows."""


class Connection(Protocol):
    """A connection to one shard, used by one thread at a time."""

    @property
    def execute(self) -> Callable[[str, Sequence[Argument]], Cursor]:
        """The `execute` of a cursor, which keeps the statements that it has seen; `fetchall` must follow."""

    def run(self, sql: str, arguments: Sequence[Argument] = ()) -> Rows:
        """Run one statement to its end, so that no transaction stays open, and return all rows."""

    def run_many(self, sql: str, arguments: Iterable[Sequence[Argument]]) -> None:
        """Run one statement for each set of arguments."""

    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def close(self) -> None:
        """Close it; the last connection of all processes to a shard checkpoints it."""


class Engine(Protocol):
    """A binding to SQLite."""

    name: str
    version: str
    """Of SQLite."""
    errors: tuple[type[Exception], ...]
    """What its calls raise because of the file or the disk, or `fault` raises on."""
    checkpoints_concurrently: bool
    """Whether several processes may checkpoint one file at once."""

    def connect(self, path: str, busy_ms: int) -> Connection:
        """Open an existing file in autocommit mode."""

    def fault(self, error: Exception) -> Fault:
        """Say what an error means; raise it if it is a mistake of the program."""


# https://www.sqlite.org/rescode.html
_FAULTS = {
    1: Fault.CORRUPT,  # ERROR: our SQL is fixed, so a table of ours is missing or has other columns
    3: Fault.PERMISSION,
    5: Fault.BUSY,
    6: Fault.BUSY,  # LOCKED
    7: Fault.BUSY,  # NOMEM: as being busy, it passes
    8: Fault.READONLY,
    9: Fault.BUSY,  # INTERRUPT
    10: Fault.IO,
    11: Fault.CORRUPT,
    13: Fault.FULL,
    14: Fault.PERMISSION,  # CANTOPEN
    15: Fault.BUSY,  # PROTOCOL: it lost the race for a lock of the WAL too often
    17: Fault.CORRUPT,  # SCHEMA
    18: Fault.CORRUPT,  # TOOBIG: lengths are checked before, so this one was read from the file
    19: Fault.CORRUPT,  # CONSTRAINT: an index that contradicts its table
    20: Fault.CORRUPT,  # MISMATCH
    22: Fault.IO,  # NOLFS
    26: Fault.CORRUPT,  # NOTADB
}
_TRUNCATED = {10 | 2 << 8, 10 | 33 << 8}  # IOERR_SHORT_READ, IOERR_CORRUPTFS


def fault_of_code(code: int) -> Fault | None:
    """Return what an extended result code of SQLite means, or None for a mistake of the program."""
    if code in _TRUNCATED:
        return Fault.CORRUPT
    return _FAULTS.get(code & 0xFF)


def choose(name: str | Engine) -> Engine:
    """Return the engine of this name: "apsw", "sqlite3", or "auto" for apsw where it is installed.

    Raises:
        ConfigError: there is no such engine.
        MissingExtraError: "apsw" is asked for and not installed.
    """
    if not isinstance(name, str):
        return name
    if name not in ("auto", "apsw", "sqlite3"):
        raise ConfigError(f"engine must be 'auto', 'apsw' or 'sqlite3', got {name!r}")
    if name != "sqlite3":
        from .apsw_engine import ApswEngine

        try:
            return ApswEngine()
        except MissingExtraError:
            if name == "apsw":
                raise
    from .sqlite3_engine import Sqlite3Engine

    return Sqlite3Engine(chosen=name == "sqlite3")
