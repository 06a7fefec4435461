"""Keys that were fetched and not asked for yet."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ("Fetch", "Origin", "UnderWay")


class Origin(Enum):
    """Why a key is fetched."""

    SUCCESSOR = "successor"
    STRIDE = "stride"
    HINT = "hint"


@dataclass(slots=True)
class Fetch:
    """A key that is being fetched, or has come."""

    origin: Origin
    has_come: bool = False


class UnderWay:
    """Fetches of a fixed number; the oldest are forgotten, and then have no outcome. Not thread-safe."""

    __slots__ = ("_fetches", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._fetches: OrderedDict[Hashable, Fetch] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._fetches

    def __len__(self) -> int:
        return len(self._fetches)

    def begin(self, key: Hashable, origin: Origin) -> None:
        """Note that a key is being fetched."""
        self._fetches[key] = Fetch(origin)
        if len(self._fetches) > self._size:
            self._fetches.popitem(last=False)

    def come(self, key: Hashable) -> None:
        """Note that a key is in memory now."""
        fetch = self._fetches.get(key)
        if fetch is not None:
            fetch.has_come = True

    def end(self, key: Hashable) -> Fetch | None:
        """Forget a key, whose fetch has an outcome now, and return what was known of it."""
        return self._fetches.pop(key, None)

    def end_if_come(self, key: Hashable) -> Fetch | None:
        """Forget a key that has come, and return what was known of it."""
        fetch = self._fetches.get(key)
        return self.end(key) if fetch is not None and fetch.has_come else None

    def clear(self) -> None:
        """Forget all."""
        self._fetches.clear()
