"""TwoQCache: keeps what comes back after it has left."""

from __future__ import annotations

import copy

from overdrive import TwoQCache


def filled() -> TwoQCache[str, int]:
    """Return a full cache of four items, all newcomers."""
    cache: TwoQCache[str, int] = TwoQCache(4)
    cache.update(a=1, b=2, c=3, d=4)
    return cache


def test_reading_does_not_save_a_newcomer() -> None:
    cache = filled()
    cache["a"], cache["a"]
    assert cache.popitem() == ("a", 1)


def test_what_comes_back_is_kept() -> None:
    cache = filled()
    cache["e"] = 5  # a leaves
    cache["a"] = 1
    for number in range(100):
        cache[f"scanned {number}"] = number
    assert "a" in cache
    assert len(cache) == 4


def test_what_was_deleted_is_not_remembered() -> None:
    cache = filled()
    del cache["a"]
    cache["a"] = 1
    for number in range(4):
        cache[f"scanned {number}"] = number
    assert "a" not in cache


def test_a_copy_keeps_what_is_kept() -> None:
    cache = filled()
    cache["e"] = 5
    cache["a"] = 1
    again = copy.copy(cache)
    again.update(f=6, g=7, h=8)
    assert "a" in again
    assert "e" not in again
