"""The exceptions of Overdrive.

OverdriveError
├── CacheFullError (also a ValueError)
├── ConfigError (also a ValueError)
├── LoadTimeout (also a TimeoutError)
├── MissingExtraError (also an ImportError)
├── SerializationError (also a TypeError)
├── SnapshotError (also a ValueError)
│   ├── DamagedSnapshotError
│   ├── NotASnapshotError
│   └── SnapshotVersionError
├── TierUnavailable (also a ConnectionError)
├── TraceError (also a ValueError)
└── WaitTimeout (also a TimeoutError)
"""

from __future__ import annotations

__all__ = (
    "CacheFullError",
    "ConfigError",
    "DamagedSnapshotError",
    "LoadTimeout",
    "MissingExtraError",
    "NotASnapshotError",
    "OverdriveError",
    "SerializationError",
    "SnapshotError",
    "SnapshotVersionError",
    "TierUnavailable",
    "TraceError",
    "WaitTimeout",
)


class OverdriveError(Exception):
    """The base of all exceptions that are Overdrive's own."""


class CacheFullError(OverdriveError, ValueError):
    """What is pinned leaves no room for another item; a `ValueError`, as for an item that is too large."""


class ConfigError(OverdriveError, ValueError):
    """An option, or a combination of options, cannot work; the message names it, its value and what is allowed."""


class MissingExtraError(OverdriveError, ImportError):
    """A package that is not installed is needed; the message names the extra that brings it."""


class SerializationError(OverdriveError, TypeError):
    """A value cannot be written outside of memory; the message says of which type it is, and where in the value."""


class TierUnavailable(OverdriveError, ConnectionError):  # noqa: N818 - a state that passes
    """A tier did not answer within its budget, or is known to be down."""


class LoadTimeout(OverdriveError, TimeoutError):  # noqa: N818 - as `TimeoutError`
    """Loading a value took longer than `hard_timeout`. The load goes on, and what comes of it is kept."""


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
    ConfigError,
    LoadTimeout,
    MissingExtraError,
    SerializationError,
    TierUnavailable,
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
