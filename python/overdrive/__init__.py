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
    Cache,
    Entry,
    FIFOCache,
    LFUCache,
    LRUCache,
    RRCache,
    TLRUCache,
    TTLCache,
    WithTTL,
    __version__,
    sizeof,
)
from overdrive._info import CacheInfo, MemoInfo
from overdrive._lru_cache import cache, lru_cache
from overdrive._memoize import memoize
from overdrive._snapshots import SnapshotReport
from overdrive.exceptions import (
    DamagedSnapshotError,
    NotASnapshotError,
    OverdriveError,
    SnapshotError,
    SnapshotVersionError,
    WaitTimeout,
)

__all__ = (
    "Cache",
    "CacheInfo",
    "DamagedSnapshotError",
    "Entry",
    "FIFOCache",
    "LFUCache",
    "LRUCache",
    "MemoInfo",
    "NotASnapshotError",
    "OverdriveError",
    "RRCache",
    "SnapshotError",
    "SnapshotReport",
    "SnapshotVersionError",
    "TLRUCache",
    "TTLCache",
    "WaitTimeout",
    "WithTTL",
    "__version__",
    "cache",
    "cached",
    "cachedmethod",
    "keys",
    "lru_cache",
    "memoize",
    "sizeof",
)
