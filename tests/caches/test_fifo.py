"""FIFOCache: evicts what was stored first."""

from __future__ import annotations

from overdrive import FIFOCache


def filled(maxsize: int = 3) -> FIFOCache[str, int]:
    """Return a full cache of a, b, c in this order."""
    cache: FIFOCache[str, int] = FIFOCache(maxsize)
    cache.update(a=1, b=2, c=3)
    return cache


def test_evicts_in_order_of_insertion() -> None:
    cache = filled()
    assert [cache.popitem()[0] for _ in range(3)] == ["a", "b", "c"]


def test_reading_does_not_save_an_item() -> None:
    cache = filled()
    cache["a"], cache.get("a"), cache.setdefault("a", 0)
    cache["d"] = 4
    assert "a" not in cache


def test_storing_again_counts_as_insertion() -> None:
    cache = filled()
    cache["a"] = 9
    assert [cache.popitem()[0] for _ in range(3)] == ["b", "c", "a"]


def test_evicts_several_for_one_large_value() -> None:
    cache: FIFOCache[str, int] = FIFOCache(6, getsizeof=int)
    cache.update(a=1, b=2, c=3)
    cache["d"] = 3
    assert list(cache) == ["c", "d"]


def test_growing_the_first_item_evicts_it_too() -> None:
    cache: FIFOCache[str, int] = FIFOCache(6, getsizeof=int)
    cache.update(a=1, b=2, c=3)
    cache["a"] = 2
    assert list(cache.items()) == [("c", 3), ("a", 2)]
