"""Memory per entry: the growth of a fresh process that fills one cache.

A process per figure, because an allocator that was used before hides growth; the resident memory,
because tracemalloc does not see what Rust allocates.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from overdrive.demo.contenders import Contender
from overdrive.demo.processes import command, environment

__all__ = ("ENTRIES", "MemoryProbeError", "bytes_per_entry", "resident")

ENTRIES = 500_000
STATM = Path("/proc/self/statm")
PROBE = "overdrive.demo.probe"
PROBE_TIMEOUT = 120  # seconds


class MemoryProbeError(RuntimeError):
    """A probe process that ended without a figure."""


def bytes_per_entry(contender: Contender, entries: int) -> float | None:
    """Bytes per entry of a full cache, keys and pages not counted; None where the system does not tell.

    Raises:
        MemoryProbeError: if the process that measures fails.
    """
    if resident() is None:
        return None
    try:
        done = subprocess.run(
            command(PROBE, contender.name, str(entries)),
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=PROBE_TIMEOUT,
        )
        return float(done.stdout)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
        raise MemoryProbeError(f"{contender.name}: {reason}") from None
    except subprocess.TimeoutExpired:
        raise MemoryProbeError(f"{contender.name}: no answer in {PROBE_TIMEOUT} s") from None


def resident() -> int | None:
    """Resident memory of this process in bytes: now on Linux, at its peak on other Unix systems."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if sys.platform == "win32":
        return None
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
