"""Rust-cored caches and decorators for Python services.

`memoize` decorates functions, coroutine functions and methods. `lru_cache` and `cache` stand in for those of
`functools`. And `import overdrive as cachetools` is a faster drop-in: every class has the constructor, the
behaviour and the errors of cachetools 8, is safe to share between threads, and cannot be frozen by a key's
`__eq__`, a value's `__del__` or a garbage collection that uses the cache.
"""

from overdrive import keys
from overdrive._cached import cached
from overdrive._cachedmethod import cachedmethod
from overdrive._core import (
    AdaptiveCache,
    ARCCache,
    Cache,
    Entry,
    FIFOCache,
    LFUCache,
    LIRSCache,
    LRUCache,
    RRCache,
    S3FIFOCache,
    SieveCache,
    TLRUCache,
    TTLCache,
    TwoQCache,
    WithTTL,
    WTinyLFUCache,
    __version__,
    sizeof,
)
from overdrive._info import CacheInfo, MemoInfo
from overdrive._lru_cache import cache, lru_cache
from overdrive._memoize import memoize
from overdrive._memory import AgeHistogram, CacheStats, MemoryCache, Recording
from overdrive._policy_report import PolicyReport, PolicySwitch
from overdrive._snapshots import SnapshotReport
from overdrive._strategy import CacheStrategy
from overdrive.exceptions import (
    CacheFullError,
    ConfigError,
    DamagedSnapshotError,
    LoadTimeout,
    MissingExtraError,
    NotASnapshotError,
    OverdriveError,
    SerializationError,
    SnapshotError,
    SnapshotVersionError,
    TierUnavailable,
    TraceError,
    WaitTimeout,
)

TYPE_CHECKING = False  # what type checkers take for true; `typing` would make the import slower
if TYPE_CHECKING:
    from overdrive._simulate.advice import Recommendation
    from overdrive._simulate.results import Simulation
    from overdrive._simulate.run import simulate
    from overdrive._tiers.cache import TieredCache
    from overdrive._tiers.config import PerformanceConfig
    from overdrive._tiers.context import LoadContext
    from overdrive._tiers.functions import TieredCoroutineFunction, TieredFunction
    from overdrive._tiers.health import Health, TierHealth
    from overdrive._tiers.intelligent import IntelligentCache
    from overdrive._tiers.level import OptimizationLevel
    from overdrive._tiers.prefetch import prefetch_context
    from overdrive._tiers.prefetch.statistics import PrefetchStats
    from overdrive._tiers.result import Result
    from overdrive._tiers.stats import TieredStats, TierStats
    from overdrive._tiers.values.serializers import Serializer
    from overdrive._what_if import WhatIf, WhatIfRow

__all__ = (
    "ARCCache",
    "AdaptiveCache",
    "AgeHistogram",
    "Cache",
    "CacheFullError",
    "CacheInfo",
    "CacheStats",
    "CacheStrategy",
    "ConfigError",
    "DamagedSnapshotError",
    "Entry",
    "FIFOCache",
    "Health",
    "IntelligentCache",
    "LFUCache",
    "LIRSCache",
    "LRUCache",
    "LoadContext",
    "LoadTimeout",
    "MemoInfo",
    "MemoryCache",
    "MissingExtraError",
    "NotASnapshotError",
    "OptimizationLevel",
    "OverdriveError",
    "PerformanceConfig",
    "PolicyReport",
    "PolicySwitch",
    "PrefetchStats",
    "RRCache",
    "Recommendation",
    "Recording",
    "Result",
    "S3FIFOCache",
    "SerializationError",
    "Serializer",
    "SieveCache",
    "Simulation",
    "SnapshotError",
    "SnapshotReport",
    "SnapshotVersionError",
    "TLRUCache",
    "TTLCache",
    "TierHealth",
    "TierStats",
    "TierUnavailable",
    "TieredCache",
    "TieredCoroutineFunction",
    "TieredFunction",
    "TieredStats",
    "TraceError",
    "TwoQCache",
    "WTinyLFUCache",
    "WaitTimeout",
    "WhatIf",
    "WhatIfRow",
    "WithTTL",
    "__version__",
    "cache",
    "cached",
    "cachedmethod",
    "keys",
    "lru_cache",
    "memoize",
    "prefetch_context",
    "simulate",
    "sizeof",
)


def __getattr__(name: str) -> object:
    """Load what services do not need, when it is asked for."""
    where = {
        "Health": "_tiers.health",
        "IntelligentCache": "_tiers.intelligent",
        "LoadContext": "_tiers.context",
        "OptimizationLevel": "_tiers.level",
        "PerformanceConfig": "_tiers.config",
        "PrefetchStats": "_tiers.prefetch.statistics",
        "Recommendation": "_simulate.advice",
        "Result": "_tiers.result",
        "Serializer": "_tiers.values.serializers",
        "Simulation": "_simulate.results",
        "TierHealth": "_tiers.health",
        "TierStats": "_tiers.stats",
        "TieredCache": "_tiers.cache",
        "TieredCoroutineFunction": "_tiers.functions",
        "TieredFunction": "_tiers.functions",
        "TieredStats": "_tiers.stats",
        "WhatIf": "_what_if",
        "WhatIfRow": "_what_if",
        "prefetch_context": "_tiers.prefetch",
        "simulate": "_simulate.run",
    }.get(name)
    if where is None:
        raise AttributeError(f"module 'overdrive' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"overdrive.{where}"), name)
    return value
