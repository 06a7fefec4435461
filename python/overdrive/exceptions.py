"""The exceptions of Overdrive.

OverdriveError
├── TraceError (also a ValueError)
└── WaitTimeout (also a TimeoutError)
"""

from __future__ import annotations

__all__ = ("OverdriveError", "TraceError", "WaitTimeout")


class OverdriveError(Exception):
    """The base of all exceptions that are Overdrive's own."""


class TraceError(OverdriveError, ValueError):
    """A file of requests cannot be read; the message says which, where in it, and why."""


class WaitTimeout(OverdriveError, TimeoutError):  # noqa: N818 - as `TimeoutError`
    """Another call computed the same result for longer than `wait_timeout`."""


# The public names, under which they are shown and pickled.
OverdriveError.__module__ = TraceError.__module__ = WaitTimeout.__module__ = "overdrive"
