"""Rust-cored, thread-safe caches: a faster drop-in for cachetools.

`import overdrive as cachetools` is all it takes. Every class has the constructor, the behaviour and
the errors of cachetools 8, is safe to share between threads, and cannot be frozen by a key's
`__eq__`, a value's `__del__` or a garbage collection that uses the cache.
"""

from overdrive import keys
from overdrive._cached import cached
from overdrive._cachedmethod import cachedmethod
from overdrive._core import (
    Cache,
    FIFOCache,
    LFUCache,
    LRUCache,
    RRCache,
    TLRUCache,
    TTLCache,
    __version__,
)
from overdrive._info import CacheInfo

__all__ = (
    "Cache",
    "CacheInfo",
    "FIFOCache",
    "LFUCache",
    "LRUCache",
    "RRCache",
    "TLRUCache",
    "TTLCache",
    "__version__",
    "cached",
    "cachedmethod",
    "keys",
)
