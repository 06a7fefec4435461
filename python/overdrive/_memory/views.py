"""Views of the keys, values and items of a `MemoryCache`.

Iterating goes over the items that were live when it began, in the order in which they were first set; it counts
nothing as a use, and the cache may change meanwhile.
"""

from __future__ import annotations

import collections.abc
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overdrive._core import _MemoryCache

__all__ = ("ItemsView", "ValuesView")

K = TypeVar("K")
V = TypeVar("V")

_ABSENT: Any = object()


class ValuesView(collections.abc.ValuesView[V]):
    """The values of a cache."""

    __slots__ = ()
    _mapping: _MemoryCache[Any, V]

    def __iter__(self) -> Iterator[V]:
        return iter([value for _, value in self._mapping._pairs()])

    def __contains__(self, value: object) -> bool:
        return any(own is value or own == value for own in self)


class ItemsView(collections.abc.ItemsView[K, V]):
    """The `(key, value)` pairs of a cache."""

    __slots__ = ()
    _mapping: _MemoryCache[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return iter(self._mapping._pairs())

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        key, value = item
        own = self._mapping.peek(key, _ABSENT)
        return own is value or (own is not _ABSENT and bool(own == value))
