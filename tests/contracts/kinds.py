"""The cache classes, and what a test needs to know to build one of each."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import overdrive


class Clock:
    """Time that only moves when told to; picklable with its current time."""

    def __init__(self, now: Any = 0) -> None:
        self.now = now

    def __call__(self) -> Any:
        return self.now

    def tick(self, step: Any = 1) -> None:
        self.now = self.now + step


def never(key: object, value: object, now: object) -> float:
    """A `ttu` under which nothing expires."""
    return math.inf


def size_is_value(value: Any) -> Any:
    """A `getsizeof` for caches whose values are their own sizes."""
    return value


@dataclass(frozen=True)
class Kind:
    """One cache class."""

    name: str
    #: Constructor arguments without which the class cannot be built.
    required: Mapping[str, Any] = field(default_factory=dict)
    timed: bool = False

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return kind_named, (self.name,)

    @property
    def cls(self) -> Any:
        """The class itself; `Any`, since the tests also do what the type checker forbids."""
        return getattr(overdrive, self.name)

    def make(self, maxsize: Any = 8, *, cls: Any = None, **arguments: Any) -> Any:
        """Build a cache of this class, or of `cls` with the constructor arguments of this class."""
        return (cls or self.cls)(maxsize=maxsize, **{**self.required, **arguments})

    def make_short_lived(self, maxsize: Any = 8, *, cls: Any = None, life: Any = 10, **arguments: Any) -> Any:
        """Build a timed cache on a fake clock, whose items live for `life` ticks."""
        lifetime = {"ttl": life} if self.name == "TTLCache" else {"ttu": Lifetime(life)}
        return self.make(maxsize, cls=cls, **{"timer": Clock(), **lifetime, **arguments})


@dataclass(frozen=True)
class Lifetime:
    """A picklable `ttu` that lets every item live equally long."""

    life: Any

    def __call__(self, key: object, value: object, now: Any) -> Any:
        return now + self.life


KINDS = (
    Kind("Cache"),
    Kind("FIFOCache"),
    Kind("LRUCache"),
    Kind("LFUCache"),
    Kind("RRCache"),
    Kind("ARCCache"),
    Kind("TwoQCache"),
    Kind("S3FIFOCache"),
    Kind("SieveCache"),
    Kind("LIRSCache"),
    Kind("WTinyLFUCache"),
    Kind("AdaptiveCache"),
    Kind("TTLCache", MappingProxyType({"ttl": 3600}), timed=True),
    Kind("TLRUCache", MappingProxyType({"ttu": never}), timed=True),
)
TIMED_KINDS = tuple(kind for kind in KINDS if kind.timed)
UNTIMED_KINDS = tuple(kind for kind in KINDS if not kind.timed)

#: A start for fake clocks that tell calendar time.
EPOCH = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def kind_named(name: str) -> Kind:
    """Return the kind of that class name."""
    return next(kind for kind in KINDS if kind.name == name)
