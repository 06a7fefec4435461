"""Setting and removing values: the methods of a tiered cache, and their twins for tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overdrive._tiers import writing
from overdrive._tiers.driving import BLOCKING, LOOPING, run
from overdrive._tiers.many import write_many
from overdrive._tiers.questions import Questions
from overdrive._tiers.terms import names_of_tags

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping
    from datetime import timedelta
    from typing import TypeAlias, TypeVar, Unpack

    from overdrive._tiers.driving import IO
    from overdrive._tiers.terms import TermOptions

    Seconds: TypeAlias = float | timedelta | str
    T = TypeVar("T")

__all__ = ("Changes",)


class Changes(Questions):
    """The methods that change what is cached, for all instances."""

    def set(
        self,
        key: Hashable,
        value: object,
        **terms: Unpack[TermOptions],
    ) -> None:
        """Set the value of a key in all tiers, and have all other instances forget theirs.

        When it returns, this instance never returns an older value; if Redis does not answer, other instances learn
        of it when it does.

        Raises:
            SerializationError: the value cannot be written outside of memory. Nothing has changed then.
        """
        run(self._set(BLOCKING, key, value, terms))

    async def aset(
        self,
        key: Hashable,
        value: object,
        **terms: Unpack[TermOptions],
    ) -> None:
        """As `set`."""
        await self._set(LOOPING, key, value, terms)

    async def _set(self, io: IO, key: Hashable, value: object, terms: TermOptions) -> None:
        ask, found = self._described(key, value, self._terms.changed(**terms))
        await writing.write(self._tiers, io, ask, found)

    def set_many(self, items: Mapping[Any, Any] | Iterable[tuple[Any, Any]], **terms: Unpack[TermOptions]) -> None:
        """Set the values of several keys, each as `set` does."""
        run(self._set_many(BLOCKING, items, terms))

    async def aset_many(
        self, items: Mapping[Any, Any] | Iterable[tuple[Any, Any]], **terms: Unpack[TermOptions]
    ) -> None:
        """As `set_many`."""
        await self._set_many(LOOPING, items, terms)

    async def _set_many(self, io: IO, items: Mapping[Any, Any] | Iterable[tuple[Any, Any]], terms: TermOptions) -> None:
        own = self._terms.changed(**terms)
        await write_many(self._tiers, io, [self._described(key, value, own) for key, value in dict(items).items()])

    def delete(self, key: Hashable) -> None:
        """Remove a key from all tiers of all instances; the same as `invalidate`, for one key."""
        run(writing.invalidate(self._tiers, BLOCKING, (self._encode(key),)))

    async def adelete(self, key: Hashable) -> None:
        """As `delete`."""
        await writing.invalidate(self._tiers, LOOPING, (self._encode(key),))

    def invalidate(self, *keys: Hashable) -> None:
        """Remove keys from all tiers of all instances.

        When it returns, this instance never returns an older value, and what is being loaded for these keys anywhere
        is returned to those who asked before, but not kept. If Redis does not answer, other instances learn of it
        when it does.
        """
        run(writing.invalidate(self._tiers, BLOCKING, [self._encode(key) for key in keys]))

    async def ainvalidate(self, *keys: Hashable) -> None:
        """As `invalidate`."""
        await writing.invalidate(self._tiers, LOOPING, [self._encode(key) for key in keys])

    def invalidate_tags(self, *tags: str) -> None:
        """Remove everything that has one of these tags, as `invalidate` does. O(1) in Redis and in memory."""
        run(writing.invalidate_tags(self._tiers, BLOCKING, names_of_tags(tags)))

    async def ainvalidate_tags(self, *tags: str) -> None:
        """As `invalidate_tags`."""
        await writing.invalidate_tags(self._tiers, LOOPING, names_of_tags(tags))

    def clear(self) -> None:
        """Remove everything in this namespace, as `invalidate` does. O(1) in Redis, where it is freed as it expires."""
        run(writing.clear(self._tiers, BLOCKING))
        self._memory.cache.clear()

    async def aclear(self) -> None:
        """As `clear`."""
        await writing.clear(self._tiers, LOOPING)
        self._memory.cache.clear()
