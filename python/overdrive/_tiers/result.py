"""`Result`: a value, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    _Source: TypeAlias = Literal["l1", "l2", "l3", "loader"]

__all__ = ("Result",)

V = TypeVar("V", covariant=True)


@dataclass(frozen=True, slots=True)
class Result(Generic[V]):
    """A value from a tiered cache, and what is known of it.

    Attributes:
        value: the value.
        tier: which answered: "l1" for memory, "l2" for Redis, "l3" for the disk, or "loader", which may have run for
            another caller.
        age: seconds since the value was set or loaded, by the clock of the machine that did it; at least 0.
        stale: whether its ttl is over: it is returned because loading it anew takes too long, or fails.
        version: orders the values of a key by when they were written; 0 if it is not known.
        tags: those that the value was stored with, as far as this process knows them.

    Example:
        >>> Result("Ada", tier="l2", age=1.5)
        Result(value='Ada', tier='l2', age=1.5, stale=False, version=0, tags=frozenset())
    """

    value: V
    tier: _Source
    age: float = 0.0
    stale: bool = False
    version: int = 0
    tags: frozenset[str] = frozenset()


Result.__module__ = "overdrive"
