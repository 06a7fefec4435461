"""A cache of two tiers that is too simple to be wrong, for the prefetcher to work for."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Any

from overdrive._tiers.prefetch import Prefetcher


class SmallCache:
    """LRU in memory; everything can be loaded. A fetch takes `delay` requests, 0: it is there at once."""

    def __init__(self, size: int, *, delay: int = 0, **options: Any) -> None:
        self.size = size
        self.delay = delay
        self.memory: OrderedDict[Hashable, None] = OrderedDict()
        self.arriving: deque[tuple[int, Hashable]] = deque()
        self.submitted: list[Hashable] = []
        self.requests = self.hits = 0
        self.healthy = True
        self.unloadable: set[Hashable] = set()
        options = {"enabled": True, **options}
        self.prefetcher = Prefetcher(
            self.submit,
            is_cached=self.memory.__contains__,
            is_candidate=lambda key: key not in self.unloadable,
            can_prefetch=lambda: self.healthy,
            **options,
        )

    def get(self, key: Hashable, *, context: int | None = None) -> bool:
        self.requests += 1
        self.arrive()
        hit = key in self.memory
        self.hits += hit
        if hit:
            self.memory.move_to_end(key)
        else:
            self.store(key)
        self.prefetcher.observed(key, hit, context=context)
        return hit

    def submit(self, keys: list[Hashable]) -> None:
        self.submitted += keys
        self.arriving.extend((self.requests + self.delay, key) for key in keys)
        if not self.delay:
            self.arrive()

    def arrive(self) -> None:
        while self.arriving and self.arriving[0][0] <= self.requests:
            _, key = self.arriving.popleft()
            self.store(key)
            self.prefetcher.come(key)

    def store(self, key: Hashable) -> None:
        self.memory[key] = None
        self.memory.move_to_end(key)
        if len(self.memory) > self.size:
            old, _ = self.memory.popitem(last=False)
            self.prefetcher.left(old)
