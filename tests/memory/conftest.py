"""Each policy in turn, and caches whose invariants are verified after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from overdrive import MemoryCache
from overdrive.testing import FakeClock

POLICIES = ("adaptive", "lru", "lfu", "arc", "s3fifo", "wtinylfu", "lirs", "sieve", "2q", "fifo", "rr")


class Told(list[tuple[Any, Any, str]]):
    """A listener that remembers what it was told."""

    def __call__(self, key: object, value: object, cause: str) -> None:
        self.append((key, value, cause))

    def take(self) -> list[tuple[Any, Any, str]]:
        """Return what was told since the last time."""
        told = list(self)
        self.clear()
        return told


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> str:
    """Each policy in turn."""
    return str(request.param)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def told() -> Told:
    """A listener."""
    return Told()


@pytest.fixture
def make(policy: str) -> Iterator[Callable[..., MemoryCache[Any, Any]]]:
    """Build caches of the policy under test."""
    caches: list[MemoryCache[Any, Any]] = []

    def build(maxsize: float | None = 8, **arguments: Any) -> MemoryCache[Any, Any]:
        cache: MemoryCache[Any, Any] = MemoryCache(maxsize, policy=policy, **arguments)
        caches.append(cache)
        return cache

    yield build
    for cache in caches:
        cache._check()
