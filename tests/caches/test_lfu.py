"""LFUCache: evicts what was used least often."""

from __future__ import annotations

from overdrive import LFUCache


def filled() -> LFUCache[str, int]:
    """Return a full cache of three items, each used once."""
    cache: LFUCache[str, int] = LFUCache(3)
    cache.update(a=1, b=2, c=3)
    return cache


def evictions(cache: LFUCache[str, int]) -> list[str]:
    """Empty the cache; return the keys in the order in which they left."""
    return [cache.popitem()[0] for _ in range(len(cache))]


def test_evicts_the_least_often_used() -> None:
    cache = filled()
    cache["a"], cache["a"], cache["b"]
    assert evictions(cache) == ["c", "b", "a"]


def test_among_equals_the_least_recently_used_goes() -> None:
    cache = filled()
    cache["b"], cache["a"], cache["c"]
    assert evictions(cache) == ["b", "a", "c"]


def test_storing_again_is_a_use() -> None:
    cache = filled()
    cache["a"] = 9
    assert evictions(cache) == ["b", "c", "a"]


def test_a_new_item_starts_with_one_use() -> None:
    cache = filled()
    cache["a"], cache["b"], cache["c"]
    cache["d"] = 4
    cache["e"] = 5
    assert "d" not in cache
    assert len(cache) == 3


def test_deleted_item_forgets_its_uses() -> None:
    cache = filled()
    cache["a"], cache["a"], cache["b"], cache["c"]
    del cache["a"]
    cache["a"] = 1
    assert cache.popitem() == ("a", 1)


def test_clear_forgets_uses() -> None:
    cache = filled()
    cache["a"]
    cache.clear()
    cache.update(b=2, a=1)
    assert evictions(cache) == ["b", "a"]


def test_membership_is_no_use() -> None:
    cache = filled()
    assert "a" in cache
    list(cache)
    assert cache.popitem() == ("a", 1)


def test_many_uses() -> None:
    cache = filled()
    for _ in range(100_000):
        cache["a"]
    for _ in range(99_999):
        cache["b"]
    assert evictions(cache) == ["c", "b", "a"]
