"""What is printed of the processes. ASCII only, for any pipe."""

from __future__ import annotations

import textwrap

from overdrive.demo.instances.results import Outcome, PhaseRow
from overdrive.demo.report import WIDTH, table

__all__ = ("closing", "opening")

HEADINGS = (
    "",
    "requests",
    "L1",
    "L2",
    "L3",
    "loads",
    "p50 us",
    "p99 us",
    "p50 ms",
    "p99 ms",
    "stale",
    "worst",
    "beyond",
)
_SHARES = (
    "Each phase asks for the same products again. L1, L2, L3: the share that memory, Redis and the disk answered. "
    "loads: pages made by the shop."
)
_IN_PROCESS = (
    "us: in the process, from the call of the cached function to its result. ms: over HTTP, as the client sees it; "
    "clients and servers share this machine's processors."
)
_STALE = (
    "stale: pages that had been replaced before they were asked for, worst: for how many ms at most; after each change "
    "both processes are asked at once. beyond: those older than {:.0f} ms."
)


def opening(*, has_redis: bool, bound_ms: float) -> str:
    """What runs."""
    if has_redis:
        what = "share a Redis that the demo starts, and have a disk tier each"
    else:
        what = "share a disk tier and its table of invalidations (redis-server is not installed, so there is no Redis)"
    said = (
        f"Two processes serve the shop through TieredCache: they {what}. Prices change all the time; a page may be out "
        f"of date for at most {bound_ms:.0f} ms after a change was acknowledged."
    )
    return textwrap.fill(said, WIDTH)


def closing(outcome: Outcome) -> str:
    """Everything after the last stage."""
    figures = table([HEADINGS, *(_cells(row) for row in outcome.rows)])
    return "\n\n".join((figures, _notes(outcome), textwrap.fill(" ".join(_sentences(outcome)), WIDTH)))


def _cells(row: PhaseRow) -> tuple[str, ...]:
    return (
        row.phase,
        f"{row.requests:,}",
        f"{row.memory_share:.1%}",
        f"{row.redis_share:.1%}",
        f"{row.disk_share:.1%}",
        f"{row.loads:,}",
        f"{row.spent_p50_us:,.0f}",
        f"{row.spent_p99_us:,.0f}",
        f"{row.waited_p50_ms:,.1f}",
        f"{row.waited_p99_ms:,.1f}",
        f"{row.stale:,}",
        f"{row.worst_stale_ms:,.0f}" if row.stale else "-",
        f"{row.stale_beyond:,}",
    )


def _notes(outcome: Outcome) -> str:
    notes = [
        _SHARES,
        _IN_PROCESS,
        _STALE.format(outcome.bound_ms),
        "The shop is an SQLite file on this machine, and quicker than Redis: see who is asked, not what it saves.",
    ]
    return "\n".join(textwrap.fill(note, WIDTH) for note in notes)


def _sentences(outcome: Outcome) -> list[str]:
    rows = outcome.rows
    requests, changes = sum(row.requests for row in rows), sum(row.changes for row in rows)
    wrong, beyond = sum(row.wrong for row in rows), sum(row.stale_beyond for row in rows)
    stale, worst = sum(row.stale for row in rows), max(row.worst_stale_ms for row in rows)
    redirected, unanswered = sum(row.redirected for row in rows), sum(row.unanswered for row in rows)
    if wrong:
        pages = f"WRONG PAGES: {wrong:,} of {requests:,} were not what the shop shows, in any version."
    else:
        pages = (
            f"Each of the {requests:,} pages was compared with what the shop shows at the version that it says: "
            "all were the same bytes."
        )
    if beyond:
        staleness = f"STALE PAGES: {beyond:,} were older than {outcome.bound_ms:.0f} ms."
    else:
        seen = f"{stale:,}, by {worst:.1f} ms at worst" if stale else "none"
        staleness = (
            f"Stale beyond {outcome.bound_ms:.0f} ms after one of the {changes:,} acknowledged changes: 0; "
            f"stale at all: {seen}."
        )
    restart = (
        f"The killed process listened again after {outcome.restart.down_s:.1f} s, while the other one answered: "
        f"{redirected:,} requests went there, {unanswered:,} were not answered."
    )
    return [pages, staleness, restart]
