"""The exceptions of Overdrive.

OverdriveError
├── CacheFullError (also a ValueError)
├── SnapshotError (also a ValueError)
│   ├── DamagedSnapshotError
│   ├── NotASnapshotError
│   └── SnapshotVersionError
├── TraceError (also a ValueError)
└── WaitTimeout (also a TimeoutError)
"""

from __future__ import annotations

__all__ = (
    "CacheFullError",
    "DamagedSnapshotError",
    "NotASnapshotError",
    "OverdriveError",
    "SnapshotError",
    "SnapshotVersionError",
    "TraceError",
    "WaitTimeout",
)


class OverdriveError(Exception):
    """The base of all exceptions that are Overdrive's own."""


class CacheFullError(OverdriveError, ValueError):
    """What is pinned leaves no room for another item; a `ValueError`, as for an item that is too large."""


class TraceError(OverdriveError, ValueError):
    """A file of requests cannot be read; the message says which, where in it, and why."""


class WaitTimeout(OverdriveError, TimeoutError):  # noqa: N818 - as `TimeoutError`
    """Another call computed the same result for longer than `wait_timeout`."""


class SnapshotError(OverdriveError, ValueError):
    """A snapshot file cannot be loaded, or values cannot be saved to one."""


class NotASnapshotError(SnapshotError):
    """The file that is to be loaded is something other than a snapshot."""


class DamagedSnapshotError(SnapshotError):
    """A snapshot file is not as it was saved: a part is missing or was changed. Nothing of it is loaded."""


class SnapshotVersionError(SnapshotError):
    """A snapshot file is of a version of the format that this release does not read."""


# The public names, under which they are shown and pickled.
for _error in (
    CacheFullError,
    OverdriveError,
    TraceError,
    WaitTimeout,
    SnapshotError,
    NotASnapshotError,
    DamagedSnapshotError,
    SnapshotVersionError,
):
    _error.__module__ = "overdrive"
del _error
