"""What the figures say, in sentences that are worked out from them, whoever they favour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from overdrive.demo.contenders import BASELINE
from overdrive.demo.results import Row, Run

__all__ = ("MEMOIZE", "sentences")

OURS = "overdrive.cached"
MEMOIZE = "overdrive.memoize"
THEIRS = "cachetools.cached + Lock"
# Ours, theirs: the same use of both packages. The first pair is the one that is told in full.
PAIRS = (
    (OURS, THEIRS),
    (OURS, "cachetools.cached, no Lock"),
    (MEMOIZE, "cachetools.cached, no Lock"),
    ("overdrive.LRUCache", "cachetools.LRUCache + Lock"),
)
# Closer than this is called level: two runs of the same code differ by as much on a busy machine.
LEVEL = 1.05


class Comparison(NamedTuple):
    """One figure of two contenders; `lead` is how many times better the first is."""

    figure: str
    lead: float


def sentences(run: Run) -> list[str]:
    """One to five sentences about the run."""
    baseline, ours, theirs, memoized = map(run.row, (BASELINE, OURS, THEIRS, MEMOIZE))
    if baseline is None or ours is None:
        return []
    said = [_against_no_cache(run, ours, baseline)]
    if theirs is not None:
        said += [_share_of_cache(ours, theirs), _against_theirs(ours, theirs)]
        if memoized is not None:
            said.append(_against_theirs(memoized, theirs))
        said.append(_where_theirs_leads(run))
    return [sentence for sentence in said if sentence]


def compare(ours: Row, theirs: Row) -> list[Comparison]:
    """Each figure that both have."""
    lower_is_better = (
        ("p50", ours.p50_us, theirs.p50_us),
        ("p99", ours.p99_us, theirs.p99_us),
        ("time in the cache", ours.cache_ns_per_request, theirs.cache_ns_per_request),
        ("memory", ours.bytes_per_entry, theirs.bytes_per_entry),
    )
    return [
        Comparison("requests/s", ours.requests_per_second / theirs.requests_per_second),
        # A figure that is not above zero is noise of a very short run: no ratio can be given.
        *(
            Comparison(figure, other / own)
            for figure, own, other in lower_is_better
            if own is not None and other is not None and own > 0 and other > 0
        ),
    ]


def _against_no_cache(run: Run, ours: Row, baseline: Row) -> str:
    times = ours.requests_per_second / baseline.requests_per_second
    return (
        f"With room for {run.cache_size:,} of {run.products:,} pages, {ours.hit_ratio or 0:.1%} of the "
        f"requests were hits, and {OURS} served {times:.1f} times as many requests per second as {BASELINE}."
    )


def _share_of_cache(ours: Row, theirs: Row) -> str:
    own, other = ours.cache_ns_per_request, theirs.cache_ns_per_request
    if own is None or other is None:
        return ""
    return (
        f"The cache, timed alone, accounts for {own / ours.mean_us / 1000:.1%} of the time per request with "
        f"{OURS} and {other / theirs.mean_us / 1000:.1%} with {THEIRS}; most of the rest is the backend."
    )


def _against_theirs(ours: Row, theirs: Row) -> str:
    compared = compare(ours, theirs)
    parts = [f"better in {_listed(c for c in compared if c.lead >= LEVEL)}"]
    level = [c.figure for c in compared if 1 / LEVEL < c.lead < LEVEL]
    if level:
        parts.append(f"level (within {LEVEL - 1:.0%}) in {', '.join(level)}")
    behind = [Comparison(c.figure, 1 / c.lead) for c in compared if c.lead <= 1 / LEVEL]
    parts.append(f"worse in {_listed(behind)}")
    return f"Against {theirs.contender}, {ours.contender} is {', '.join(parts[:-1])} and {parts[-1]}."


def _where_theirs_leads(run: Run) -> str:
    """The other pairs are told only where cachetools wins: that must not hide in the table."""
    parts = []
    for own, other in PAIRS[1:]:
        ours, theirs = run.row(own), run.row(other)
        if ours is not None and theirs is not None:
            behind = [Comparison(c.figure, 1 / c.lead) for c in compare(ours, theirs) if c.lead <= 1 / LEVEL]
            if behind:
                parts.append(f"{other} is ahead of {own} in {_listed(behind)}")
    return f"{'; '.join(parts)}." if parts else ""


def _listed(compared: Iterable[Comparison]) -> str:
    return ", ".join(f"{c.figure} ({c.lead:.{1 if c.lead >= 1.95 else 2}f} times)" for c in compared) or "nothing"
