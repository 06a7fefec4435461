"""`IntelligentCache`: a tiered cache by its configuration."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from overdrive._tiers.cache import TieredCache
from overdrive._tiers.config import PerformanceConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from overdrive._core import Predictor
    from overdrive._memory import MemoryCache
    from overdrive._tiers.l2.tier import RedisTier
    from overdrive._tiers.l3.tier import DiskTier
    from overdrive._tiers.prefetch.patterns import Successor

__all__ = ("IntelligentCache",)

_NOTHING: Final[Mapping[Any, tuple[Successor, ...]]] = MappingProxyType({})


class IntelligentCache(TieredCache):
    """A `TieredCache` that is made from a `PerformanceConfig`: memory, disk and, if a URL is configured, Redis.

    Without arguments it needs no server: values are kept in memory and, in a private folder of the current user, on
    disk, so that they are there again after a restart. Everything can be set by variables of the environment as well;
    see `PerformanceConfig`. All methods are those of `TieredCache`.

    Args:
        config: what it is configured with; the defaults and the environment, if it is `None`.
        clock: gives the time in seconds, for tests: `overdrive.testing.FakeClock`.
        **changes: fields of the config to be set otherwise.

    Attributes:
        config: what it is configured with.

    Raises:
        ConfigError: a field, or a combination, cannot work.
        TypeError: a field is of the wrong type, or there is none of this name.
        MissingExtraError: a package is missing that a field needs.

    Example:
        >>> cache = IntelligentCache(PerformanceConfig("basic", l1_cache_size=10_000), cache_ttl="5m")
        >>> cache.set("user:1", "Ada")
        >>> cache.get("user:1")
        'Ada'
        >>> cache.config.cache_ttl, cache.l2_cache, cache.l3_cache
        (300, None, None)
        >>> cache.close()
    """

    def __init__(
        self,
        config: PerformanceConfig | None = None,
        *,
        clock: Callable[[], float] | None = None,
        **changes: Any,
    ) -> None:
        if config is None:
            config = PerformanceConfig(**changes)
        elif not isinstance(config, PerformanceConfig):
            raise TypeError(f"config must be a PerformanceConfig, got {config!r}")
        elif changes:
            config = config.replace(**changes)
        self.config = config
        super().__init__(
            config.l1_cache_size,
            l1_max_bytes=config.l1_max_bytes,
            l2=config.l2_url,
            l3=config.l3_directory,
            namespace=config.namespace,
            ttl=config.cache_ttl,
            stale=config.stale,
            stale_if_error=config.stale_if_error,
            early=config.early,
            jitter=config.jitter,
            negative_ttl=config.negative_ttl,
            soft_timeout=config.soft_timeout,
            hard_timeout=config.hard_timeout,
            wait_timeout=config.wait_timeout,
            policy=config.cache_strategy.value,
            secret=config.secrets or None,
            version=config.schema,
            serializer=config.serializer,
            compression=config.compression,
            encrypt=config.encrypt,
            allow_unsigned_pickle=config.allow_unsigned_pickle,
            max_key_bytes=config.max_key_bytes,
            max_value_bytes=config.max_value_bytes,
            max_staleness=config.max_staleness,
            on_disconnect=config.on_disconnect,
            budget=config.redis_timeout,
            lease=config.lease,
            tracking=config.tracking,
            l2_max_entries=config.l2_cache_size,
            l3_max_entries=config.l3_cache_size,
            l3_max_bytes=config.l3_max_bytes,
            hash_keys=config.hash_keys,
            prefetch=config.prefetch,
            prefetch_lookahead=config.prefetch_lookahead,
            prefetch_budget=config.prefetch_budget,
            clock=clock,
        )

    @property
    def l1_cache(self) -> MemoryCache[Any, Any]:
        """Memory: keys, and entries that know how far they may be believed."""
        return self.l1

    @property
    def l2_cache(self) -> RedisTier | None:
        """Redis; `None` if none is configured. Its `health()` and `stats()` are for looking at."""
        backplane = self._tiers.backplane
        return None if backplane is None else backplane.redis

    @property
    def l3_cache(self) -> DiskTier | None:
        """The disk; `None` if there is none. Its `health()` and `stats()` are for looking at."""
        return self._tiers.disk

    @property
    def access_patterns(self) -> Mapping[Any, tuple[Successor, ...]]:
        """What was asked for after what: for a key those that follow it, the likeliest first. Read-only.

        Empty unless `prefetch` is on: to note each request would cost more than to answer it.
        """
        prefetcher = self.prefetcher
        return _NOTHING if prefetcher is None else prefetcher.access_patterns

    @property
    def prediction_model(self) -> Predictor | None:
        """What predicts the next keys; `None` unless `prefetch` is on."""
        prefetcher = self.prefetcher
        return None if prefetcher is None else prefetcher.predictor

    def __repr__(self) -> str:
        return super().__repr__().replace("<TieredCache", "<IntelligentCache", 1)


IntelligentCache.__module__ = "overdrive"
