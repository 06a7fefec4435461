"""SieveCache: a hand evicts the first item not used since it came by."""

from __future__ import annotations

import copy

from overdrive import SieveCache


def filled() -> SieveCache[str, int]:
    """Return a full cache of three items, none used since."""
    cache: SieveCache[str, int] = SieveCache(3)
    cache.update(a=1, b=2, c=3)
    return cache


def test_a_use_saves_an_item_once() -> None:
    cache = filled()
    cache["a"]
    cache["d"] = 4  # the hand passes by a and takes b
    assert list(cache) == ["a", "c", "d"]
    cache["e"] = 5
    assert list(cache) == ["a", "d", "e"]


def test_the_hand_goes_on_where_it_was() -> None:
    cache = filled()
    cache["a"]
    cache["d"] = 4
    assert [cache.popitem()[0] for _ in range(3)] == ["c", "d", "a"]


def test_a_copy_keeps_marks_and_hand() -> None:
    cache = filled()
    cache["a"]
    cache["d"] = 4
    cache["c"]
    again = copy.copy(cache)
    assert [again.popitem()[0] for _ in range(3)] == ["d", "a", "c"]
