"""Closing what is open when the interpreter ends, so that the directory is left clean."""

from __future__ import annotations

import atexit
import logging
import weakref
from typing import Protocol

__all__ = ("closes_at_exit",)


class _Closable(Protocol):
    def close(self) -> object: ...


_log = logging.getLogger("overdrive.disk")
_open: weakref.WeakSet[_Closable] = weakref.WeakSet()


def closes_at_exit(tier: _Closable) -> None:
    """Close `tier` at the exit of the interpreter, if it still exists then."""
    if not _open:
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _open.add(tier)


def _close_all() -> None:
    for tier in list(_open):
        try:
            tier.close()
        except Exception:  # noqa: BLE001 - the others are to be closed all the same
            _log.exception("disk tier: closing it at exit failed")
