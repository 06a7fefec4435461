"""`OptimizationLevel`: which of the tiers' features are on."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

__all__ = ("OptimizationLevel", "Setting")


class Setting(NamedTuple):
    """What a level sets a field of `PerformanceConfig` to.

    Attributes:
        value: what the field is, unless it is set otherwise.
        why: what it does, and what it costs.
    """

    value: Any
    why: str


class OptimizationLevel(StrEnum):
    """How much a cache does to be fast; also its name, as a `str`.

    A level is no more than the values of some fields of `PerformanceConfig`: `preset` shows them, and whatever is set
    by itself wins. A higher level does more work in order to wait less; whether that pays depends on the requests.

    Attributes:
        BASIC: memory only. Nothing is written, nothing is connected to.
        ADVANCED: memory, disk and, if there is a `redis_url`, Redis; what is written is compressed. The default.
        ULTRA: besides, results are loaded anew shortly before they expire, and what requests of the same kind asked
            for next is loaded ahead. That is more loads, for fewer callers that wait.
        EXTREME: looks ahead further, with more loads, and lets Redis report what other programs write.

    Example:
        >>> OptimizationLevel.ULTRA.preset["prefetch"].value
        True
    """

    BASIC = "basic"
    ADVANCED = "advanced"
    ULTRA = "ultra"
    EXTREME = "extreme"

    @property
    def preset(self) -> Mapping[str, Setting]:
        """The fields of `PerformanceConfig` that this level sets, to what, and why. Read-only."""
        return _PRESETS[self]


OptimizationLevel.__module__ = "overdrive"

_BASIC: Final = {
    "disk": Setting(False, "memory only: entries end with the process"),
    "redis": Setting(False, "memory only: no connection is made"),
    "compression": Setting(None, "values in memory are objects, and nothing is written"),
    "early": Setting(0.0, "entries are loaded when they have expired, not before"),
    "prefetch": Setting(False, "nothing is loaded that was not asked for"),
    "prefetch_lookahead": Setting(4, "as far ahead as loads take time, up to four requests"),
    "prefetch_budget": Setting(0.1, "at most one load ahead that nobody asks for per ten requests"),
    "tracking": Setting(False, "there is no Redis that could report anything"),
}
_ADVANCED: Final = _BASIC | {
    "disk": Setting(True, "entries outlive the process; costs disk space up to l3_max_bytes"),
    "redis": Setting(True, "instances share loads and invalidations; nothing is connected to without a redis_url"),
    "compression": Setting("zstd", "values from 1 KiB on take less room and time on the way, where it pays; costs CPU"),
    "tracking": Setting(False, "writes through overdrive are seen without it"),
}
_ULTRA: Final = _ADVANCED | {
    "early": Setting(1.0, "no caller waits for a hot key that expires (XFetch); costs a few loads more"),
    "prefetch": Setting(True, "what usually follows is loaded ahead; stops by itself where predictions fail"),
}
_EXTREME: Final = _ULTRA | {
    "prefetch_lookahead": Setting(16, "the same for slow loads; the guess is worse with every request further"),
    "prefetch_budget": Setting(0.25, "at most one that nobody asks for per four requests"),
    "tracking": Setting(True, "writes of other programs are seen, too (CLIENT TRACKING); costs Redis work per write"),
}
_PRESETS: Final = {
    OptimizationLevel.BASIC: MappingProxyType(_BASIC),
    OptimizationLevel.ADVANCED: MappingProxyType(_ADVANCED),
    OptimizationLevel.ULTRA: MappingProxyType(_ULTRA),
    OptimizationLevel.EXTREME: MappingProxyType(_EXTREME),
}
