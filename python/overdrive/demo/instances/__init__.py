"""The second part of the demo: two processes with memory, Redis and disk, while prices change and things fail."""

from __future__ import annotations

import tempfile
from pathlib import Path

from overdrive._progress import Progress
from overdrive.demo.instances import report
from overdrive.demo.instances.children import find_redis
from overdrive.demo.instances.phases import MAX_STALENESS, record
from overdrive.demo.instances.results import Outcome
from overdrive.demo.trace import Trace

__all__ = ("run",)


def run(trace: Trace, pages: int, seconds: float, progress: Progress) -> Outcome:
    """Run it, print what came out, and return it.

    Raises:
        ChildError: a process does not start.
    """
    program = find_redis()
    print(report.opening(has_redis=program is not None, bound_ms=MAX_STALENESS * 1000), flush=True)
    title = f"Asking two processes for {seconds:g} s"
    with tempfile.TemporaryDirectory(prefix="overdrive-") as folder, progress.stage(title) as advance:
        outcome = record(
            Path(folder), trace.requests, pages=pages, seconds=seconds, redis_program=program, advance=advance
        )
    print(f"\n{report.closing(outcome)}")
    return outcome
