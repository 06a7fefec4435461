"""L1 of a tiered cache: a `MemoryCache` of entries, that hands on what it evicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overdrive._core import Entry
from overdrive._memory import MemoryCache

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any

__all__ = ("SharedMemory",)


class SharedMemory:
    """The memory of all keys that are asked for by name.

    Attributes:
        cache: what holds the entries.
        left: called with each key that leaves, if that is wanted from the beginning.
    """

    __slots__ = ("_evicted", "cache", "left")

    def __init__(
        self,
        maxsize: float | None,
        max_bytes: int | None,
        policy: str,
        evicted: Callable[[Entry], object] | None,
        clock: Callable[[], float] | None,
        *,
        tells_who_left: bool = False,
    ) -> None:
        self._evicted = evicted
        self.left: Callable[[Hashable], object] | None = None
        # An entry knows its times itself; here it has only to leave when it is of no use any more.
        self.cache: MemoryCache[Any, Any] = MemoryCache(
            maxsize,
            policy=policy,
            weigher=None,
            max_bytes=max_bytes,
            on_evict=None if evicted is None and not tells_who_left else self._left,
            clock=clock,
        )

    def _left(self, key: Hashable, entry: object, cause: str) -> None:
        if cause == "size" and isinstance(entry, Entry) and self._evicted is not None:
            self._evicted(entry)
        if self.left is not None and cause != "replaced":
            self.left(key)

    def entry(self, key: Hashable) -> Entry | None:
        """Return what is kept for a key, whatever its state; does not count as a use."""
        entry = self.cache.peek(key)
        return entry if isinstance(entry, Entry) else None

    def keep(self, key: Hashable, entry: Entry, seconds: float) -> None:
        """Keep an entry for so long; one that is too large is not kept."""
        try:
            # One that lives for very long knows itself when it is over.
            self.cache.set(key, entry, ttl=seconds if seconds < _LONGEST else None)
        except ValueError:
            self.cache.delete(key)

    def drop(self, key: Hashable) -> None:
        """Forget a key."""
        self.cache.delete(key)


# What a wheel of timers takes; an entry that lives longer knows it itself.
_LONGEST = 1e8
