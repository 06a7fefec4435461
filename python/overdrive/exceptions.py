"""The exceptions of Overdrive.

OverdriveError
├── CacheFullError (also a ValueError)
├── TraceError (also a ValueError)
└── WaitTimeout (also a TimeoutError)
"""

from __future__ import annotations

__all__ = ("CacheFullError", "OverdriveError", "TraceError", "WaitTimeout")


class OverdriveError(Exception):
    """The base of all exceptions that are Overdrive's own."""


class CacheFullError(OverdriveError, ValueError):
    """What is pinned leaves no room for another item; a `ValueError`, as for an item that is too large."""


class TraceError(OverdriveError, ValueError):
    """A file of requests cannot be read; the message says which, where in it, and why."""


class WaitTimeout(OverdriveError, TimeoutError):  # noqa: N818 - as `TimeoutError`
    """Another call computed the same result for longer than `wait_timeout`."""


# The public names, under which they are shown and pickled.
for _error in (CacheFullError, OverdriveError, TraceError, WaitTimeout):
    _error.__module__ = "overdrive"
