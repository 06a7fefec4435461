"""The exceptions of Overdrive.

OverdriveError
├── SnapshotError (also a ValueError)
│   ├── DamagedSnapshotError
│   ├── NotASnapshotError
│   └── SnapshotVersionError
└── WaitTimeout (also a TimeoutError)
"""

from __future__ import annotations

__all__ = (
    "DamagedSnapshotError",
    "NotASnapshotError",
    "OverdriveError",
    "SnapshotError",
    "SnapshotVersionError",
    "WaitTimeout",
)


class OverdriveError(Exception):
    """The base of all exceptions that are Overdrive's own."""


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
    OverdriveError,
    WaitTimeout,
    SnapshotError,
    NotASnapshotError,
    DamagedSnapshotError,
    SnapshotVersionError,
):
    _error.__module__ = "overdrive"
del _error
