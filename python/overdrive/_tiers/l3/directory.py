"""The directory of the disk tier: whose it is, who uses it, and whether the machine went down in between.

    <path>/v1/layout             {"format": 1, "shards": 8}
    <path>/v1/epoch              {"boot": "...", "epoch": 3, "clean": false}
    <path>/v1/users.lock         held shared by every process that uses the tier
    <path>/v1/opening.lock       held while a process opens, closes or repairs
    <path>/v1/shard-00.db ...    SQLite
    <path>/v1/blob/xx/...        values above 64 KiB
    <path>/v1/ballast            3 MiB to give back when the disk is full

Rows carry the epoch in which they were written. It grows when the directory is opened after a reboot that no clean
close preceded: SQLite in the WAL mode with `synchronous=NORMAL` may then have lost the last commits, deletes included.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from overdrive.exceptions import ConfigError

try:
    import fcntl
except ImportError:  # Windows: one process at a time, and every start without a clean close makes rows suspect
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ("Directory", "boot_id", "file_system")

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/self/mountinfo")
# Locks or shared memory, both of which SQLite's WAL needs, do not work there, or work on one host only.
_REFUSED = ("9p", "afs", "ceph", "cifs", "fuse", "glusterfs", "lustre", "ncpfs", "nfs", "smb", "virtiofs")


def boot_id() -> str:
    """Return what names the time since the machine started; empty where there is no such thing."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def file_system(path: Path) -> str:
    """Return the type of the file system that holds `path`, such as "ext4"; empty if it cannot be told."""
    try:
        lines = _MOUNTS.read_text().splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    name = os.path.realpath(path)
    for line in lines:
        left, _, right = line.partition(" - ")
        point = left.split()[4].encode().decode("unicode_escape")
        inside = name == point or name.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind


class Directory:
    """The files of one disk tier that are not its shards.

    Args:
        path: where; made, with mode 0700, if it is not there.
        shards: how many a new directory gets; an existing one keeps its own.

    Raises:
        ConfigError: the place is unsafe, on a network file system, or of an unknown format.
        OSError: it cannot be read or made.
    """

    def __init__(self, path: Path, shards: int) -> None:
        self.root = path / "v1"
        self.shards = shards
        self.epoch = 0
        self._wanted = path
        self._users = -1
        self._lock = threading.RLock()
        self._locked = False

    def open(self) -> None:
        """Check or make the directory, and say that this process uses it."""
        self.forget()  # an earlier try may have come as far as that
        kind = file_system(self._wanted.parent if not self._wanted.exists() else self._wanted)
        if kind.startswith(_REFUSED):
            raise ConfigError(f"cache_dir {str(self._wanted)!r} is on {kind}; SQLite's WAL needs a local file system")
        _check_parents(self._wanted)
        for folder in (self._wanted, self.root, self.root / "blob"):
            folder.mkdir(mode=0o700, parents=folder == self._wanted, exist_ok=True)
            _check_own(folder)
        with self.exclusively():
            self._read_layout()
            self._join()

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep other processes, and other threads, from opening, closing or repairing."""
        with self._lock:
            if self._locked:  # by this thread, further out
                yield
                return
            descriptor = self._open("opening.lock")
            try:
                if fcntl is not None:
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._locked = True
                yield
            finally:
                self._locked = False
                os.close(descriptor)

    def close(self, checkpoint: Callable[[], bool]) -> bool:
        """Leave; if nobody else is there, call `checkpoint`, and if it returns true mark the directory clean."""
        if self._users < 0:
            return False
        with self.exclusively():
            alone = self._alone()
            clean = alone and checkpoint()
            if clean:
                self._write("epoch", {"boot": boot_id(), "epoch": self.epoch, "clean": True})
            self.forget()
            return clean

    def forget(self) -> None:
        """Drop the handles, as a child must do with what it inherited."""
        if self._users >= 0:
            os.close(self._users)
            self._users = -1

    def rejoin(self) -> None:
        """Say that this process, a fork, uses the directory as well."""
        self._lock, self._locked = threading.RLock(), False
        self.forget()
        self._users = self._open("users.lock")
        if fcntl is not None:
            fcntl.flock(self._users, fcntl.LOCK_SH)

    def shard(self, index: int) -> Path:
        """Return the path of a shard."""
        return self.root / f"shard-{index:02d}.db"

    def lock(self, name: str) -> int | None:
        """Take a lock that one process at a time holds; None if another one has it."""
        descriptor = self._open(name)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _alone(self) -> bool:
        if fcntl is None:
            return True
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _join(self) -> None:
        self._users = self._open("users.lock")
        alone = self._alone()
        if fcntl is not None:
            fcntl.flock(self._users, fcntl.LOCK_SH)
        boot = boot_id()
        state = self._read("epoch")
        epoch = state.get("epoch")
        if isinstance(epoch, int):
            self.epoch = epoch
        elif any(self.root.glob("shard-*.db")):
            self.epoch = int(time.time())  # the note is lost: no epoch that a row may have
        same = bool(boot) and state.get("boot") == boot
        if alone and state and not same and state.get("clean") is not True:
            self.epoch += 1
        if alone or not state:
            # Before the first write: from here on a reboot makes what is on the disk suspect.
            self._write("epoch", {"boot": boot, "epoch": self.epoch, "clean": False})

    def _read_layout(self) -> None:
        layout = self._read("layout")
        if not layout:
            if any(self.root.glob("shard-*.db")):
                # Shards of an unknown number: as many as there are.
                self.shards = 1 + max(int(found.stem[6:]) for found in self.root.glob("shard-[0-9][0-9].db"))
            self._write("layout", {"format": 1, "shards": self.shards})
            return
        count = layout.get("shards")
        if layout.get("format") != 1 or not isinstance(count, int) or not 1 <= count <= 64:
            raise ConfigError(
                f"{str(self.root)!r} is of a format that this release does not know: {layout!r}; "
                "nothing was changed: remove it or use another cache_dir"
            )
        self.shards = count

    def _read(self, name: str) -> dict[str, object]:
        try:
            descriptor = os.open(self.root / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except FileNotFoundError:
            return {}
        with os.fdopen(descriptor, "rb") as file:
            try:
                found = json.loads(file.read(4096))
                # A note with a flipped bit is as good as none: it is made anew.
                return found if found.pop("check") == _checksum(found) else {}
            except (ValueError, AttributeError, TypeError, KeyError):
                return {}

    def _write(self, name: str, content: dict[str, object]) -> None:
        draft = self.root / f"{name}.{os.getpid()}.tmp"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps({**content, "check": _checksum(content)}).encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.root / name)
        if fcntl is not None:  # elsewhere a directory cannot be opened
            descriptor = os.open(self.root, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        return os.open(self.root / name, flags, 0o600)


def _checksum(content: dict[str, object]) -> int:
    return crc32(json.dumps(content, sort_keys=True).encode())


def _check_parents(path: Path) -> None:
    """Refuse a place that somebody else could swap for another."""
    for parent in Path(os.path.realpath(path.parent)), *Path(os.path.realpath(path.parent)).parents:
        try:
            mode = parent.stat().st_mode
        except FileNotFoundError:
            continue
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ConfigError(
                f"cache_dir {str(path)!r} is unsafe: everybody may write to {str(parent)!r}, which has no sticky bit"
            )


def _check_own(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"cache_dir {str(path)!r} must be a directory and not a link to one")
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise ConfigError(f"cache_dir {str(path)!r} belongs to user {found.st_uid}, not to {os.geteuid()}")
    if found.st_mode & 0o022:
        raise ConfigError(
            f"cache_dir {str(path)!r} must have mode 0700: others may write to it ({stat.S_IMODE(found.st_mode):04o})"
        )
    if found.st_mode & 0o055:
        path.chmod(0o700)
