"""What the demo prints: where it ran, the table, and how to read it. ASCII only, for any pipe."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from overdrive.demo.results import Place, Row, Run
from overdrive.demo.summary import MEMOIZE, sentences
from overdrive.demo.trace import Trace

__all__ = ("closing", "opening", "table")

WIDTH = 98
HEADINGS = ("", "requests/s", "p50 us", "p99 us", "hit ratio", "cache ns/request", "bytes/entry")
ABSENT = "-"
STEADY = 20_000  # requests; below, runs of the same code differ by more than a few percent


def opening(place: Place, trace: Trace, maxsize: int) -> str:
    """What runs, on what, with which requests."""
    credit = f"\n({trace.credit})" if trace.credit else ""
    return (
        f"{_versions(place)}\n"
        f"Trace {trace.name}: {len(trace.requests):,} requests for {trace.products:,} products; "
        f"caches of {maxsize:,} pages{credit}"
    )


def _versions(place: Place) -> str:
    gil = "" if place.gil else " free-threaded"
    theirs = f"cachetools {place.cachetools}" if place.cachetools else "no cachetools"
    line = (
        f"overdrive {place.overdrive}, {theirs}, {place.implementation} {place.python}{gil}, "
        f"{place.cores} cores, {place.platform}"
    )
    if place.cachetools:
        return line
    return f"{line}\ncachetools is not installed, so its rows are left out: pip install cachetools==8.0.0"


def closing(run: Run) -> str:
    """Everything after the last stage."""
    figures = table([HEADINGS, *(_cells(row) for row in run.rows)])
    said = textwrap.fill(" ".join(sentences(run)), WIDTH)
    return "\n\n".join((_pages(run), figures, _notes(run), said))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell: the first to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.contender,
        f"{row.requests_per_second:,.0f}",
        f"{row.p50_us:,.2f}",
        f"{row.p99_us:,.1f}",
        ABSENT if row.hit_ratio is None else f"{row.hit_ratio:.2%}",
        ABSENT if row.cache_ns_per_request is None else f"{row.cache_ns_per_request:,.0f}",
        ABSENT if row.bytes_per_entry is None else f"{row.bytes_per_entry:,.0f}",
    )


def _pages(run: Run) -> str:
    if run.differing_pages:
        wrong = ", ".join(f"{number:,} of {name}" for name, number in run.differing_pages.items())
        return f"WRONG PAGES: not what the backend alone returned: {wrong}."
    return (
        f"All {len(run.rows)} contenders returned the same bytes for each of the {run.requests:,} requests "
        f"(SHA-256 {run.pages_sha256[:16]}...)."
    )


def _notes(run: Run) -> str:
    notes = [
        f"One thread. Latencies include {run.clock_ns} ns for reading the clock.",
        "cache ns/request: the cache alone, before a backend that does nothing; loop and loader subtracted.",
    ]
    if run.memory_entries is not None:
        notes.append(
            f"bytes/entry: growth of a fresh process that fills a cache of {run.memory_entries:,}, "
            "the caller's keys and the pages not counted."
        )
    if run.place.cachetools is not None:
        notes.append("no Lock: for use by one thread only. overdrive is thread-safe without one.")
    if run.row(MEMOIZE) is not None:
        notes.append("memoize: threads that miss the same page at the same time would wait for one of them to load it.")
    if run.requests < STEADY:
        notes.append(f"Fewer than {STEADY:,} requests: times are rough, and noise can be more than what differs.")
    return "\n".join(textwrap.fill(note, WIDTH) for note in notes)
