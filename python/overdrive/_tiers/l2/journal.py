"""Pending invalidations, written down: they survive the process.

Each process has a file of its own in a common directory, which it locks. What a process left behind is found by the
next one: its file can be locked. A line is a kind and a name in hexadecimal digits; one without its end was torn.
"""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment] # Windows, where a file that is open cannot be removed, which does as well

if TYPE_CHECKING:
    from overdrive._tiers.l2.recovery import Item, Kind

__all__ = ("Journal", "count_pending")

logger: Final = logging.getLogger("overdrive")

KINDS: Final[dict[bytes, Kind]] = {b"k": "k", b"t": "t", b"c": "c"}
LARGEST: Final = 64 << 20
FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class Journal:
    """The file of one process for one namespace. A disk that takes nothing is logged, once, and changes nothing else.

    Args:
        directory: where the files are; made if it is missing, readable by its owner only.
        namespace: whose invalidations these are.
    """

    def __init__(self, directory: Path, namespace: str) -> None:
        self._directory = Path(directory)
        self._prefix = f"{namespace}~"
        self._path: Path | None = None
        self._descriptor = -1
        self._pid = 0
        self._size = 0
        self._failed = False

    @property
    def path(self) -> Path | None:
        """The file, once something was written."""
        return self._path

    def append(self, items: list[Item]) -> None:
        """Write items down."""
        lines = b"".join(b"%b %b\n" % (kind.encode(), name.hex().encode()) for kind, name in items)
        try:
            self._open()
            # After an item that stands for everything the older ones say nothing.
            if items[0][0] == "c" or self._size > LARGEST:
                self._truncate()
                lines = lines if items[0][0] == "c" else b"c \n"
            os.write(self._descriptor, lines)
            self._size += len(lines)
        except OSError as error:
            if not self._failed:
                self._failed = True
                text = (
                    "redis tier: pending invalidations cannot be written to %s and would be lost with this process: %s"
                )
                logger.warning(text, self._directory, error)

    def clear(self) -> None:
        """Forget everything: it was delivered."""
        if self._size and self._pid == os.getpid():
            self._truncate()

    def adopt(self) -> list[Item]:
        """Return what processes that are gone left behind, and remove their files."""
        items: dict[Item, None] = {}
        try:
            left = [path for path in self._directory.iterdir() if path.name.startswith(self._prefix)]
        except OSError:
            return []
        for path in sorted(left):
            if path != self._path:
                items |= dict.fromkeys(self._take(path))
        return list(items)

    def close(self) -> None:
        """Let go of the file, and remove it if nothing is pending."""
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        if not self._size and self._path is not None and self._pid == os.getpid():
            self._path.unlink(missing_ok=True)

    def _open(self) -> None:
        if self._descriptor >= 0 and self._pid == os.getpid():
            return
        # A process that was forked must not write into the file of its parent.
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{self._prefix}{secrets.token_hex(8)}"
        descriptor = os.open(path, FLAGS, 0o600)
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._path, self._descriptor, self._pid, self._size = path, descriptor, os.getpid(), 0

    def _truncate(self) -> None:
        os.ftruncate(self._descriptor, 0)
        self._size = 0

    @staticmethod
    def _take(path: Path) -> list[Item]:
        try:
            descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return []
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(LARGEST + 1)
            path.unlink()
        except OSError:
            return []  # its process lives, or another one was faster
        finally:
            os.close(descriptor)
        return _read(content)


def _read(content: bytes) -> list[Item]:
    items: list[Item] = []
    for line in content.split(b"\n")[:-1]:
        kind, _, name = line.partition(b" ")
        try:
            items.append((KINDS[kind], bytes.fromhex(name.decode("ascii"))))
        except (KeyError, ValueError):
            # What cannot be read may have been any invalidation.
            return [("c", b"")]
    return items


def count_pending(directory: Path, namespace: str) -> int:
    """Return how many items are written down, by processes that run and by such as are gone. Changes nothing."""
    try:
        paths = [path for path in directory.iterdir() if path.name.startswith(f"{namespace}~")]
    except OSError:
        return 0
    items: set[Item] = set()
    for path in paths:
        try:
            items.update(_read(path.read_bytes()))
        except OSError:  # delivered meanwhile
            continue
    return len(items)
