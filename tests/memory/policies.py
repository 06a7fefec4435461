"""The policies by name, and caches of each."""

from __future__ import annotations

from typing import Any

import pytest

from overdrive import MemoryCache

POLICIES = ("fifo", "rr", "lru", "lfu", "sieve", "2q", "s3fifo", "arc", "lirs", "wtinylfu", "adaptive")

on_every_policy = pytest.mark.parametrize("policy", POLICIES)


def make(policy: str = "lru", maxsize: float | None = 8, **options: Any) -> MemoryCache[Any, Any]:
    """Return a cache of that policy."""
    return MemoryCache(maxsize, policy=policy, **options)


def filled(policy: str = "lru", count: int = 8, **options: Any) -> MemoryCache[Any, Any]:
    """Return a cache with the items 0 to count - 1, each its own value."""
    cache = make(policy, **{"maxsize": count, **options})
    for key in range(count):
        cache[key] = key
    return cache


class Telling:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, Any, str]] = []

    def __call__(self, key: Any, value: Any, cause: str) -> None:
        self.told.append((key, value, cause))

    def take(self) -> list[tuple[Any, Any, str]]:
        """Return what was told since the last call."""
        told, self.told = self.told, []
        return told
