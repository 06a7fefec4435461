"""ARCCache: evicts by recency or by frequency, whichever pays."""

from __future__ import annotations

import copy

from overdrive import ARCCache


def filled() -> ARCCache[str, int]:
    """Return a full cache of four items, of which "a" and "b" were used again."""
    cache: ARCCache[str, int] = ARCCache(4)
    cache.update(a=1, b=2, c=3, d=4)
    cache["a"], cache["b"]
    return cache


def test_a_scan_takes_the_place_of_what_was_used_once() -> None:
    cache = filled()
    for number in range(100):
        cache[f"scanned {number}"] = number
    assert list(cache)[:2] == ["a", "b"]
    assert len(cache) == 4


def test_what_comes_back_soon_after_it_left_is_kept() -> None:
    cache = filled()
    cache["e"] = 5  # c leaves
    cache["c"] = 3  # d leaves, and c counts as used again
    for number in range(100):
        cache[f"scanned {number}"] = number
    assert {"b", "c"} < set(cache)  # one place is for newcomers now


def test_membership_is_no_use() -> None:
    cache: ARCCache[str, int] = ARCCache(2)
    cache.update(a=1, b=2)
    assert "a" in cache
    assert cache.popitem() == ("a", 1)


def test_a_copy_keeps_what_was_used_again() -> None:
    again = copy.copy(filled())
    assert [again.popitem()[0] for _ in range(4)] == ["c", "d", "a", "b"]
