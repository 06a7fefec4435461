"""The origin: a table of versions in a file that all processes map."""

from __future__ import annotations

import fcntl
import mmap
import struct
import threading
from pathlib import Path
from time import monotonic

CELL = 8


class Origin:
    """The version of each key, shared by processes; a change of a key excludes other changes of it."""

    def __init__(self, path: Path, keys: int) -> None:
        self.keys = keys
        if not path.exists():
            path.write_bytes(bytes(CELL * keys))
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), CELL * keys)
        self._lock = threading.Lock()  # file locks are between processes

    def version(self, key: int) -> int:
        """Return the version now."""
        version: int = struct.unpack_from("<Q", self._map, CELL * key)[0]
        return version

    def change(self, key: int) -> tuple[int, float]:
        """Make the next version; return it, and a time before which nobody could read it."""
        with self._lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX, CELL, CELL * key)
            try:
                version = self.version(key) + 1
                began = monotonic()
                struct.pack_into("<Q", self._map, CELL * key, version)
                return version, began
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, CELL, CELL * key)

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()
        self._file.close()
