"""The modern cache: the policy is an argument, and items may have lifetimes, weights, bytes, tags and pins.

- `cache`: the class.
- `loading`: computing what is absent, once for all who ask.
- `listeners`: telling who wants to know what left.
- `recording`: which keys it is asked for, in a file.
- `statistics`: what is counted.
- `views`: keys, values and items.
"""

from overdrive._memory.cache import MemoryCache
from overdrive._memory.recording import Recording
from overdrive._memory.statistics import AgeHistogram, CacheStats

__all__ = ("AgeHistogram", "CacheStats", "MemoryCache", "Recording")
