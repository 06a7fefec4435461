"""Values above 64 KiB, each in a file of its own, which the row names.

A file is written whole under another name, then renamed; it is removed after the row that names it. So a row may name
a file that a concurrent write has just removed (the reader looks the row up again), and a crash may leave a file that
no row names (`sweep` removes it). Names are never used twice: a file cannot be of another version than its row.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Blobs", "crc_of_name")

_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def crc_of_name(name: str) -> int:
    """Return the checksum of the key, which says in which shard its row is, from the name of its file."""
    return int(name[:8], 16)


class Blobs:
    """The files under `root`.

    Raises:
        OSError: from every method but `remove`, as the system raises it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, key: bytes, version: int, blob: bytes) -> str:
        """Store and return the name."""
        name = f"{crc32(key):08x}{blake2b(key, digest_size=12).hexdigest()}.{version:x}.{secrets.token_hex(4)}"
        path = self._path(name)
        draft = path.with_name(name + ".tmp")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                rest = memoryview(blob)
                while rest:
                    rest = rest[file.write(rest) :]
            draft.rename(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return name

    def read(self, name: str, size: int, first: int | None = None) -> bytes | None:
        """Return the content, or its `first` bytes; None if there is no such file of this size."""
        try:
            descriptor = os.open(self._path(name), os.O_RDONLY | _FLAGS)
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link, which is none of ours
                return None
            raise
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            found = os.fstat(descriptor)
            if found.st_size != size or not stat.S_ISREG(found.st_mode):
                return None
            wanted = size if first is None else min(first, size)
            content = file.read(wanted)
            while content and len(content) < wanted:
                more = file.read(wanted - len(content))
                if not more:
                    return None
                content += more
            return content

    def remove(self, name: str) -> bool:
        """Remove a file; whether it is gone."""
        try:
            self._path(name).unlink(missing_ok=True)
        except (OSError, ValueError):
            return False
        return True

    def sweep(self, is_referenced: Callable[[str], bool | None], older_than: float, limit: int) -> int:
        """Remove files that no row names; at most `limit` are looked at. `is_referenced` may answer None: unknown.

        A file younger than `older_than` (seconds since the epoch) may belong to a row that is being written.
        """
        removed = seen = 0
        for folder in os.scandir(self._root):
            if not folder.is_dir(follow_symlinks=False):
                continue
            for found in os.scandir(folder.path):
                if seen >= limit:
                    return removed
                seen += 1
                try:
                    young = found.stat(follow_symlinks=False).st_mtime >= older_than
                    known = young or (not found.name.endswith(".tmp") and is_referenced(found.name))
                except FileNotFoundError:
                    continue  # removed meanwhile
                except ValueError:
                    continue  # not a name of ours
                if known is False:
                    Path(found.path).unlink(missing_ok=True)
                    removed += 1
        return removed

    def _path(self, name: str) -> Path:
        # A flipped bit in a row must not lead out of the folder.
        if "/" in name or "\0" in name or not name[:2].isalnum():
            raise ValueError(f"not the name of a blob: {name!r}")
        return self._root / name[:2] / name
