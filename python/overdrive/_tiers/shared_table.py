"""The table of invalidations in a file, by which processes without Redis hear of each other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from overdrive._core import Coherence
from overdrive._tiers.log import logger
from overdrive._tiers.names import SHARED_SLOTS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("open_table",)


def open_table(path: Path) -> Coherence:
    """Return the table in a file, which is made if need be.

    One that is damaged is replaced if no process can be using it, as it was written before the machine started: that
    is what a power cut leaves.

    Raises:
        OSError: the file cannot be used.
        ValueError: it is damaged, and others may be using it.
    """
    try:
        return Coherence(path, slots=SHARED_SLOTS)
    except ValueError as error:
        if not _is_older_than_the_boot(path):
            raise
        logger().warning("%s is made anew: %s", path, error)
        path.unlink()
        return Coherence(path, slots=SHARED_SLOTS)


def _is_older_than_the_boot(path: Path) -> bool:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    if clock is None:  # not on Linux: nobody knows
        return False
    return path.stat().st_mtime < time.time() - time.clock_gettime(clock)
