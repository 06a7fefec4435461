"""SQLite through apsw: a current version, and errors that say what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from overdrive.exceptions import MissingExtraError

from .engine import Fault, fault_of_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

    from .engine import Argument, Connection, Rows

__all__ = ("ApswEngine",)


class ApswEngine:
    """The engine "apsw".

    Args:
        vfs: the name of the file layer that SQLite goes through; empty for its own.

    Raises:
        MissingExtraError: apsw is not installed.
    """

    name = "apsw"
    checkpoints_concurrently = True

    def __init__(self, vfs: str = "") -> None:
        try:
            import apsw
        except ImportError as error:
            raise MissingExtraError("the disk engine 'apsw' needs the extra: pip install 'overdrive[disk]'") from error
        self._apsw = apsw
        self._vfs = vfs or None
        self.version = apsw.sqlite_lib_version()
        # A text that a flipped bit made undecodable is no error of SQLite's.
        self.errors: tuple[type[Exception], ...] = (apsw.Error, UnicodeDecodeError)

    def connect(self, path: str, busy_ms: int) -> Connection:
        """Open an existing file."""
        flags = self._apsw.SQLITE_OPEN_READWRITE | self._apsw.SQLITE_OPEN_NOFOLLOW | self._apsw.SQLITE_OPEN_NOMUTEX
        connection = self._apsw.Connection(path, flags=flags, vfs=self._vfs, statementcachesize=64)
        connection.set_busy_timeout(busy_ms)
        return cast("Connection", _ApswConnection(connection))

    def fault(self, error: Exception) -> Fault:
        """Say what an error means."""
        if isinstance(error, UnicodeDecodeError):
            return Fault.CORRUPT
        code = getattr(error, "extendedresult", None) or getattr(error, "result", None)
        fault = fault_of_code(code) if isinstance(code, int) else None
        if fault is None:
            raise error
        return fault


class _ApswConnection:
    __slots__ = ("_connection", "execute")

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.execute = connection.cursor().execute

    def run(self, sql: str, arguments: Sequence[Argument] = ()) -> Rows:
        return self.execute(sql, arguments).fetchall()

    def run_many(self, sql: str, arguments: Iterable[Sequence[Argument]]) -> None:
        self._connection.cursor().executemany(sql, arguments)

    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def close(self) -> None:
        self._connection.close(True)
