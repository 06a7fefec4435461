"""`CacheStrategy`."""

from __future__ import annotations

from enum import StrEnum

__all__ = ("CacheStrategy",)


class CacheStrategy(StrEnum):
    """What a cache evicts; also its name as a `policy`.

    Attributes:
        LRU: what was not used for longest.
        LFU: what was used least while it was cached.
        ARC: between the two, as the recent past says.
        ADAPTIVE: what the policy evicts that would have done best lately, among several.
    """

    LRU = "lru"
    LFU = "lfu"
    ARC = "arc"
    ADAPTIVE = "adaptive"


CacheStrategy.__module__ = "overdrive"
