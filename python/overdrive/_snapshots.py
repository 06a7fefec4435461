"""Snapshot files: the records of a cache, saved and loaded.

The format, and what `codec` means, is described in `docs/snapshots.md`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from overdrive._core import _snapshot_read, _snapshot_write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from os import PathLike

__all__ = ("Codec", "Loaded", "Record", "SnapshotReport", "load_records", "save_records")

#: How to write what is not of built-in types: "pickle", or two functions of one's own.
Codec: TypeAlias = Literal["pickle"] | tuple[Callable[[Any], bytes], Callable[[bytes], Any]] | None

_PICKLE, _CODEC = 1, 2


class Record(NamedTuple):
    """An item of a cache. Times are in seconds that are left, None for no limit."""

    key: Any
    value: Any
    ttl: float | None = None
    tags: tuple[Any, ...] | None = None
    pinned: bool = False
    weight: float | None = None
    idle: float | None = None


class SnapshotReport(NamedTuple):
    """What became of saving or loading a snapshot.

    Attributes:
        path: The file.
        items: How many items were saved or loaded.
        bytes: The size of the file.
        skipped: How many items were left out because they could not be saved.
        expired: How many items were left out because their time had run out.
        seconds: How long it took.
    """

    path: str
    items: int
    bytes: int
    skipped: int
    expired: int
    seconds: float


SnapshotReport.__module__ = "overdrive"


class Loaded(NamedTuple):
    """What is in a snapshot."""

    meta: dict[str, Any]
    #: Tuples with the fields of `Record`, in the order in which they were saved.
    records: list[tuple[Any, Any, float | None, tuple[Any, ...] | None, bool, float | None, float | None]]
    report: SnapshotReport


def save_records(
    path: str | bytes | PathLike[str] | PathLike[bytes],
    records: Iterable[tuple[Any, ...]],
    *,
    meta: Mapping[str, Any],
    codec: Codec = None,
    skip_unsupported: bool = False,
    clock: Callable[[], float] = time.time,
) -> SnapshotReport:
    """Save records to a file.

    The file takes the place of another one, at once, when it is complete and on the disk; if anything
    fails before, the other one stays as it was. It can be read and written by its owner only.

    Args:
        path: The file; its folder must exist.
        records: `Record`s or tuples `(key, value, ttl, tags, pinned, weight[, idle])`, from the coldest
            to the hottest. The iterable and the codec are called without any lock; values may change
            meanwhile, and are saved as they are when their turn comes.
        meta: What the writer wants to be told on loading, in built-in types.
        codec: How to save keys and values that have something in them that is not of exactly a
            supported type; None refuses them.
        skip_unsupported: Leave out and count items that cannot be saved, instead of raising.
        clock: Gives the time of saving, in seconds since 1970.

    Raises:
        TypeError: if something is not of a supported type, with its type and where it is.
        SnapshotError: if a value contains itself or nests deeper than 100, or `path` is a device.
        OSError: if the file cannot be written.
    """
    start = time.perf_counter()
    flags, dumps, _ = _functions(codec)
    items, size, skipped = _snapshot_write(
        os.fsdecode(path),
        records,
        meta=dict(meta),
        created=float(clock()),
        flags=flags,
        dumps=dumps,
        skip=_refusals(codec) if skip_unsupported else None,
    )
    return SnapshotReport(os.fsdecode(path), items, size, skipped, 0, time.perf_counter() - start)


def load_records(
    path: str | bytes | PathLike[str] | PathLike[bytes],
    *,
    codec: Codec = None,
    keep_ttl: Literal["remaining", "as_saved"] = "remaining",
    clock: Callable[[], float] = time.time,
) -> Loaded:
    """Load what `save_records` saved: everything, or else an error and nothing.

    Args:
        path: The file.
        codec: The one that the file was saved with. **A pickle can run any code when it is loaded:** pass
            "pickle" only for files that nobody but you could have written. Without a codec, loading a
            file runs no code of its choosing, whoever wrote it.
        keep_ttl: "remaining": the time since saving counts, and items that have run out are left out (a
            clock that went backwards counts as no time). "as_saved": as if the file had just been saved.
        clock: Gives the time of loading, in seconds since 1970.

    Raises:
        NotASnapshotError: if the file is something else.
        SnapshotVersionError: if it is of another version of the format.
        DamagedSnapshotError: if a part of it is missing or not as it was saved.
        SnapshotError: if it was saved with another codec.
        OSError: if it cannot be read.
    """
    start = time.perf_counter()
    if keep_ttl not in ("remaining", "as_saved"):
        raise ValueError(f"keep_ttl must be 'remaining' or 'as_saved', got {keep_ttl!r}")
    flag, _, loads = _functions(codec)
    now = float(clock()) if keep_ttl == "remaining" else None
    meta, records, expired, size = _snapshot_read(os.fsdecode(path), now=now, codec=flag, loads=loads)
    report = SnapshotReport(os.fsdecode(path), len(records), size, 0, expired, time.perf_counter() - start)
    return Loaded(meta, records, report)


def _functions(codec: Codec) -> tuple[int, Callable[[Any], bytes] | None, Callable[[bytes], Any] | None]:
    if codec is None:
        return 0, None, None
    if codec == "pickle":
        import pickle

        return _PICKLE, _pickled, pickle.loads
    if isinstance(codec, tuple) and len(codec) == 2 and all(map(callable, codec)):
        return _CODEC, *codec
    raise ValueError(f"codec must be None, 'pickle' or a tuple (dumps, loads) of functions, got {codec!r}")


def _pickled(value: object) -> bytes:
    import pickle

    return pickle.dumps(value, protocol=5)


def _refusals(codec: Codec) -> tuple[type[Exception], ...]:
    """Return what a codec raises for objects that it cannot write."""
    usual = (TypeError, ValueError, AttributeError, RecursionError)
    if codec != "pickle":
        return usual
    import pickle

    return (*usual, pickle.PicklingError)
