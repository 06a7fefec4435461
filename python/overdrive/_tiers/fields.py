"""What each field of `PerformanceConfig` may be."""

from __future__ import annotations

from typing import Final

from overdrive._strategy import CacheStrategy
from overdrive._tiers.checks import (
    Check,
    choice,
    directory,
    flag,
    name,
    number,
    or_none,
    seconds,
    secret,
    secrets,
    size,
    text,
    whole,
)
from overdrive._tiers.level import OptimizationLevel

__all__ = ("FIELDS",)

_MAX_ENTRIES: Final = 2**32 - 65  # of a cache in memory, which numbers them with 32 bits

FIELDS: Final[dict[str, Check]] = {
    "optimization_level": choice(OptimizationLevel),
    "cache_strategy": choice(CacheStrategy),
    "l1_cache_size": whole(1, _MAX_ENTRIES),
    "l2_cache_size": whole(1),
    "l3_cache_size": whole(1),
    "cache_ttl": seconds(above=True),
    "max_threads": whole(1),
    "max_processes": whole(1),
    "max_async_tasks": whole(1),
    "memory_limit_gb": number(0, above=True),
    "gc_threshold": whole(0, 2**31 - 1),
    "enable_memory_optimization": flag,
    "enable_performance_monitoring": flag,
    "metrics_interval": seconds(0.1, 86_400),
    "alert_threshold": number(0, 1),
    "redis_url": or_none(text("a URL such as 'redis://localhost:6379/0'")),
    "redis_timeout": seconds(0.001, 60),
    "cache_dir": or_none(directory),
    "namespace": name,
    "schema": whole(0, 2**32 - 1),
    "secret": or_none(secret),
    "old_secrets": secrets,
    "encrypt": flag,
    "hash_keys": flag,
    "serializer": choice(("auto", "exact", "msgpack", "json", "pickle")),
    "allow_unsigned_pickle": flag,
    "max_key_bytes": size(32),
    "max_value_bytes": size(1024, 2**32 - 1),
    "l1_max_bytes": or_none(size(0)),
    "l3_max_bytes": size(2**20),
    "jitter": number(0, 1),
    "stale": seconds(),
    "stale_if_error": seconds(),
    "negative_ttl": or_none(seconds()),
    "soft_timeout": or_none(seconds(above=True)),
    "hard_timeout": or_none(seconds(above=True)),
    "wait_timeout": or_none(seconds(above=True)),
    "lease": seconds(0.1, 3600),
    "max_staleness": seconds(0.05, 60),
    "on_disconnect": choice(("l2", "stale")),
    "disk": flag,
    "redis": flag,
    "compression": or_none(choice(("zstd", "lz4"))),
    "early": number(0),
    "prefetch": flag,
    "prefetch_lookahead": whole(1, 16),
    "prefetch_budget": number(0, 1),
    "tracking": flag,
}
