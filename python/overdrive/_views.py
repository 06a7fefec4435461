"""Views of a cache's keys, values and items that iterate natively.

They are `collections.abc` views with everything that those can do; only the iteration, which there
is a Python generator that looks up each key, is the cache's own. A cache whose class overrides
reading gets the plain `collections.abc` views instead.
"""

from __future__ import annotations

import collections.abc
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overdrive._core import Cache

__all__ = ("ItemsView", "KeysView", "ValuesView")

K = TypeVar("K")
V = TypeVar("V")


class KeysView(collections.abc.KeysView[K]):
    """The keys of a cache. Iterating them does not count as using the items."""

    __slots__ = ()
    _mapping: Cache[K, Any]

    def __iter__(self) -> Iterator[K]:
        return iter(self._mapping)


class ValuesView(collections.abc.ValuesView[V]):
    """The values of a cache. Iterating them counts as using each item."""

    __slots__ = ()
    _mapping: Cache[Any, V]

    def __iter__(self) -> Iterator[V]:
        return self._mapping._iter_values()


class ItemsView(collections.abc.ItemsView[K, V]):
    """The `(key, value)` pairs of a cache. Iterating them counts as using each item."""

    __slots__ = ()
    _mapping: Cache[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._iter_items()
