"""What a tiered cache counts."""

from __future__ import annotations

import dataclasses
import doctest
import json
import math
import pickle
from typing import Any

import pytest

from overdrive import PrefetchStats, TieredStats, TierStats
from overdrive._tiers import stats as module
from overdrive._tiers.stats import StatsTally


def test_nothing_was_counted_at_first() -> None:
    assert StatsTally().stats() == TieredStats()


def test_every_event_is_a_field() -> None:
    tally = StatsTally()
    plain = [each.name for each in dataclasses.fields(TieredStats) if each.name not in ("l1", "l2", "l3", "prefetch")]
    for number, name in enumerate(plain, 1):
        tally.count(name, number)  # type: ignore[arg-type]
    counted = tally.stats()
    assert [getattr(counted, name) for name in plain] == list(range(1, len(plain) + 1))


@pytest.mark.parametrize("tier", ["l1", "l2", "l3"])
def test_tiers_are_counted_apart_and_by_reason(tier: Any) -> None:
    tally = StatsTally()
    tally.count_tier(tier, "hits")
    tally.count_tier(tier, "misses", amount=2)
    tally.count_tier(tier, "misses", "mac")
    tally.count_tier(tier, "misses", "checksum", 3)
    tally.count_tier(tier, "sets")
    tally.count_tier(tier, "deletes")
    tally.count_tier(tier, "errors", "timeout")
    tally.count_tier(tier, "errors", "open", 2)
    expected = TierStats(
        hits=1,
        misses=6,
        misses_by_reason={"checksum": 3, "mac": 1},
        sets=1,
        deletes=1,
        errors={"open": 2, "timeout": 1},
    )
    counted = {name: getattr(tally.stats(), name) for name in ("l1", "l2", "l3")}
    assert counted == dict.fromkeys(counted, TierStats()) | {tier: expected}


def test_what_memory_counts_natively_is_added() -> None:
    tally = StatsTally()
    tally.count_tier("l1", "misses", "suspect")
    memory = tally.stats(l1_hits=5, l1_misses=2).l1
    assert (memory.hits, memory.misses, memory.misses_by_reason) == (5, 3, {"suspect": 1})


def test_prefetching_is_counted() -> None:
    tally = StatsTally()
    counted = PrefetchStats(issued=3, used=2)
    assert tally.stats(prefetch=counted).prefetch is counted
    assert tally.stats().prefetch == PrefetchStats()


def test_a_reset_begins_at_zero() -> None:
    tally = StatsTally()
    tally.count("loads")
    tally.count_tier("l2", "hits")
    tally.reset()
    assert tally.stats() == TieredStats()


def test_ratios() -> None:
    assert TierStats(hits=3, misses=1).hit_ratio == 0.75
    assert math.isnan(TierStats().hit_ratio)


def test_stats_as_dictionaries_can_be_written_as_json() -> None:
    stats = TieredStats(l2=TierStats(hits=1, errors={"timeout": 1}), loads=2, prefetch=PrefetchStats(issued=1))
    shown = json.loads(json.dumps(stats.as_dict()))
    assert shown["l2"]["errors"] == {"timeout": 1}
    assert (shown["loads"], shown["prefetch"]["issued"]) == (2, 1)
    assert list(shown) == [each.name for each in dataclasses.fields(TieredStats)]
    assert stats.l2.as_dict() == shown["l2"]
    assert stats.prefetch.as_dict() == shown["prefetch"]


def test_dictionaries_are_copies() -> None:
    stats = TierStats(errors={"timeout": 1})
    stats.as_dict()["errors"]["timeout"] = 7
    assert stats.errors == {"timeout": 1}


def test_stats_are_immutable_and_pickled() -> None:
    stats = TieredStats(loads=1)
    with pytest.raises(AttributeError):
        stats.loads = 2  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(stats)) == stats


@pytest.mark.parametrize("documented", [TierStats, PrefetchStats, TieredStats])
def test_every_count_is_described(documented: Any) -> None:
    for each in dataclasses.fields(documented):
        assert f"{each.name}:" in documented.__doc__ or each.name in ("l1", "l2", "l3")


def test_examples_in_docstrings_hold() -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(TieredStats, module=False, globs=vars(module))
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
