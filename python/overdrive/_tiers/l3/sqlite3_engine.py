"""SQLite through the standard library: always there, of the version that Python was built with."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, cast

from .engine import Fault, fault_of_code

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from .engine import Argument, Connection, Rows

__all__ = ("Sqlite3Engine",)

# Before it, a checkpoint that resets the WAL while another connection writes may lose what was written.
_RESET_IS_SAFE = (3, 51, 3)

_warned = threading.Event()


class Sqlite3Engine:
    """The engine "sqlite3".

    Args:
        chosen: whether somebody asked for it; if not, one warning per process says what is missing.
    """

    name = "sqlite3"

    def __init__(self, *, chosen: bool = True) -> None:
        import sqlite3

        self._sqlite3 = sqlite3
        self.version = sqlite3.sqlite_version
        self.errors: tuple[type[Exception], ...] = (sqlite3.Error, UnicodeDecodeError)
        self.checkpoints_concurrently = sqlite3.sqlite_version_info >= _RESET_IS_SAFE
        if not chosen and not _warned.is_set():
            _warned.set()
            old = (
                ""
                if self.checkpoints_concurrently
                else (
                    ", which is older than 3.51.3 and can lose writes when two processes checkpoint at once; "
                    "therefore only one process checkpoints"
                )
            )
            warnings.warn(
                f"apsw is not installed: the disk tier uses the SQLite {self.version} of the standard library{old}. "
                "For a current one: pip install 'overdrive[disk]'; to keep this one silently: engine='sqlite3'.",
                RuntimeWarning,
                stacklevel=4,
            )

    def connect(self, path: str, busy_ms: int) -> Connection:
        """Open an existing file."""
        connection = self._sqlite3.connect(
            path, timeout=busy_ms / 1000, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        return cast("Connection", _Sqlite3Connection(connection))

    def fault(self, error: Exception) -> Fault:
        """Say what an error means."""
        code = getattr(error, "sqlite_errorcode", None)
        if code is None and not isinstance(error, self._sqlite3.ProgrammingError):
            return Fault.CORRUPT  # raised by the module itself on what it read, such as a text that is not UTF-8
        fault = fault_of_code(code) if isinstance(code, int) else None
        if fault is None:
            raise error
        return fault


class _Sqlite3Connection:
    __slots__ = ("_connection", "execute")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.execute = connection.cursor().execute

    def run(self, sql: str, arguments: Sequence[Argument] = ()) -> Rows:
        return self.execute(sql, arguments).fetchall()

    def run_many(self, sql: str, arguments: Iterable[Sequence[Argument]]) -> None:
        self._connection.cursor().executemany(sql, arguments)

    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def close(self) -> None:
        self._connection.close()
