"""Fetching ahead: a prefetcher with the tiers of a cache behind it."""

from __future__ import annotations

from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from overdrive._tiers.driving import LOOPING, pool, running_loop
from overdrive._tiers.log import logger
from overdrive._tiers.prefetch import Prefetcher

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any

    from overdrive._tiers.cache import TieredCache

__all__ = ("Ahead",)

# Keys whose loaders are remembered.
_MOST_LOADERS = 65_536
# Loaders that are this many times slower than they use to be, and take so long in seconds, are left alone.
_SLOWER, _SLOW_SECONDS = 3.0, 0.010


class Ahead:
    """Predicts what will be asked for, and fetches it: from the tiers below, or with the loader it last had.

    Args:
        cache: the cache.
        lookahead: how many requests ahead at most, from 1 to 16.
        budget: loads that may be wasted, per request, from 0 to 1.

    Attributes:
        prefetcher: what predicts.
    """

    def __init__(self, cache: TieredCache, lookahead: int, budget: float) -> None:
        self._cache = cache
        self._loaders: dict[Hashable, Callable[..., Any]] = {}
        self._usual_seconds = self._recent_seconds = 0.0
        self.prefetcher = Prefetcher(
            self._submit,
            is_cached=self._is_cached,
            is_candidate=self._is_candidate,
            can_prefetch=self._can_prefetch,
            enabled=True,
            lookahead=lookahead,
            budget=budget,
        )

    def observed(self, key: Hashable, loader: Callable[..., Any] | None, *, hit: bool) -> None:
        """Note a request, and have fetched what is likely to follow."""
        if loader is not None and self._loaders.get(key) is not loader:
            self._loaders[key] = loader
            if len(self._loaders) > _MOST_LOADERS:
                self._loaders.pop(next(iter(list(self._loaders))), None)
        self.prefetcher.observed(key, hit)

    def loaded(self, seconds: float) -> None:
        """Note how long a loader took."""
        self._usual_seconds += (seconds - self._usual_seconds) * (0.01 if self._usual_seconds else 1.0)
        self._recent_seconds += (seconds - self._recent_seconds) * (0.2 if self._recent_seconds else 1.0)

    def left(self, key: Hashable) -> None:
        """Note that a key left memory."""
        self.prefetcher.left(key)

    def hint(self, keys: list[Hashable], loader: Callable[..., Any] | None) -> int:
        """Have keys fetched that are known to be needed; return how many there were to fetch."""
        if loader is not None:
            self._loaders.update(dict.fromkeys(keys, loader))
        return self.prefetcher.hint(keys)

    def _is_cached(self, key: Hashable) -> bool:
        return self._cache.is_remembered(key)

    def _is_candidate(self, key: Hashable) -> bool:
        return key in self._loaders or self._cache.has_lower_tiers

    def _can_prefetch(self) -> bool:
        backplane = self._cache._tiers.backplane
        if backplane is not None and backplane.redis.breaker.state != "closed":
            return False
        return self._recent_seconds < max(_SLOW_SECONDS, _SLOWER * self._usual_seconds)

    def _submit(self, keys: list[Hashable]) -> None:
        in_loop = running_loop() is not None
        for key in keys:
            loader = self._loaders.get(key)
            if in_loop:
                LOOPING.start(self._afetch(key, loader)).add_done_callback(partial(self._ended, key))
            elif loader is not None and iscoroutinefunction(loader):
                self.prefetcher.failed(key)  # which takes an event loop
            else:
                pool().submit(self._fetch, key, loader).add_done_callback(partial(self._ended, key))

    # By other ways than requests go: what is fetched ahead is nothing to learn from.

    def _fetch(self, key: Hashable, loader: Callable[..., Any] | None) -> object:
        cache = self._cache
        return cache._find(key) if loader is None else cache._load(key, loader, {})

    async def _afetch(self, key: Hashable, loader: Callable[..., Any] | None) -> object:
        cache = self._cache
        return await (cache._afind(key) if loader is None else cache._aload(key, loader, {}))

    def _ended(self, key: Hashable, work: Any) -> None:
        error = None if work.cancelled() else work.exception()
        if error is not None:
            logger().debug("a key could not be fetched ahead: %r", error)
        if error is None and not work.cancelled() and self._is_cached(key):
            self.prefetcher.come(key)
        else:
            self.prefetcher.failed(key)
