"""Prefetching: what will be asked for next, within a budget, and only while it is of use.

- `prefetcher`: what the cache talks to; `contexts`: who asks.
- `strides`: keys that count; the table of successors is `overdrive._core.Predictor`.
- `under_way`, `statistics`, `patterns`: what was fetched, how it turned out, what was learned.
"""

from __future__ import annotations

from overdrive._tiers.prefetch.contexts import current_context, prefetch_context
from overdrive._tiers.prefetch.patterns import AccessPatterns, Successor
from overdrive._tiers.prefetch.prefetcher import Prefetcher
from overdrive._tiers.prefetch.statistics import PrefetchStats

__all__ = (
    "AccessPatterns",
    "PrefetchStats",
    "Prefetcher",
    "Successor",
    "current_context",
    "prefetch_context",
)
