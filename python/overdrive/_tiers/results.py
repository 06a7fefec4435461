"""Answers with what is known of them: `Result`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overdrive._memoize.lifetimes import Verdict
from overdrive._tiers.found import Found
from overdrive._tiers.loading import verdict_of
from overdrive._tiers.result import Result

if TYPE_CHECKING:
    from overdrive._core import Entry
    from overdrive._tiers.ask import Ask
    from overdrive._tiers.tiers import Tiers

__all__ = ("found_result", "remembered_result", "result_of")


def found_result(tiers: Tiers, found: Found | None) -> Result[Any] | None:
    """Return what a search has found."""
    if found is None:
        return None
    tier: Any = found.tier
    return Result(found.value, tier, found.age(tiers.wall()), found.stale, found.version, frozenset(found.tags))


def remembered_result(tiers: Tiers, ask: Ask) -> Result[Any] | None:
    """Return what memory answers, if it does."""
    entry = ask.entry()
    if entry is None or entry.error is not None or verdict_of(tiers, ask, entry) is Verdict.GONE:
        return None
    tiers.tally.count_tier("l1", "hits")
    return _of_entry(tiers, entry)


def result_of(tiers: Tiers, ask: Ask, answer: Any) -> Result[Any]:
    """Return an answer, which memory may have given, or a search."""
    if type(answer) is Found:
        tier: Any = answer.tier
        age = answer.age(tiers.wall())
        return Result(answer.value, tier, age, answer.stale, answer.version, frozenset(answer.tags))
    entry = ask.entry()
    if entry is not None and entry.value is answer:
        return _of_entry(tiers, entry)
    return Result(answer, "l1")


def _of_entry(tiers: Tiers, entry: Entry) -> Result[Any]:
    found = entry.extra
    if not isinstance(found, Found):
        return Result(entry.value, "l1")
    is_stale = found.stale or tiers.now() >= entry.fresh_until
    return Result(found.value, "l1", found.age(tiers.wall()), is_stale, found.version, frozenset(found.tags))
