"""The exceptions of Overdrive.

OverdriveError
└── WaitTimeout (also a TimeoutError)
"""

from __future__ import annotations

__all__ = ("OverdriveError", "WaitTimeout")


class OverdriveError(Exception):
    """The base of all exceptions that are Overdrive's own."""


class WaitTimeout(OverdriveError, TimeoutError):  # noqa: N818 - as `TimeoutError`
    """Another call computed the same result for longer than `wait_timeout`."""


# The public names, under which they are shown and pickled.
OverdriveError.__module__ = WaitTimeout.__module__ = "overdrive"
