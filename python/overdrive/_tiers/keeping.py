"""Bringing memory up to date and into shape: the methods of a tiered cache, and their twins for tasks."""

from __future__ import annotations

from functools import partial
from math import inf
from os import PathLike
from typing import TYPE_CHECKING, Any

from overdrive._tiers.changes import Changes
from overdrive._tiers.driving import BLOCKING, LOOPING, pool, run
from overdrive._tiers.log import logger
from overdrive._tiers.lookups import Lookups
from overdrive._tiers.reading import read
from overdrive._tiers.results import remembered_result
from overdrive._tiers.warming import load_snapshot, save_snapshot, warm

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable
    from datetime import timedelta
    from typing import TypeAlias, TypeVar

    from overdrive._tiers.driving import IO

    Seconds: TypeAlias = float | timedelta | str
    T = TypeVar("T")

__all__ = ("Keeping",)


class Keeping(Lookups, Changes):
    """The methods that catch up with others, fetch ahead and warm up."""

    def barrier(self, timeout: float = 1.0) -> bool:
        """Wait until this instance knows everything that others had invalidated when this was called.

        Returns: whether it does; false if that took longer than `timeout` seconds, or Redis does not answer.
        """
        backplane = self._tiers.backplane
        return backplane is None or run(backplane.barrier(BLOCKING, timeout))

    async def abarrier(self, timeout: float = 1.0) -> bool:
        """As `barrier`."""
        backplane = self._tiers.backplane
        return backplane is None or await backplane.barrier(LOOPING, timeout)

    def prefetch(self, keys: Iterable[Hashable], loader: Callable[[Any], Any] | None = None) -> int:
        """Have keys brought into memory in the background, from lower tiers or with `loader(key)`.

        Returns: how many are not in memory already. What fails is logged.
        """
        if self._tiers.ahead is not None:
            return self._tiers.ahead.hint(list(dict.fromkeys(keys)), loader)
        asks = [ask for ask in self._asks(keys, loader) if remembered_result(self._tiers, ask) is None]
        for ask in asks:
            find = partial(self._find, ask.l1_key) if loader is None else partial(self.get_or_load, ask.l1_key, loader)
            pool().submit(_logged, find)
        return len(asks)

    async def aprefetch(self, keys: Iterable[Hashable], loader: Callable[[Any], Awaitable[Any]] | None = None) -> int:
        """As `prefetch`, with tasks."""
        if self._tiers.ahead is not None:
            return self._tiers.ahead.hint(list(dict.fromkeys(keys)), loader)
        asks = [ask for ask in self._asks(keys, loader) if remembered_result(self._tiers, ask) is None]
        for ask in asks:
            found: Any = read(self._tiers, LOOPING, ask) if loader is None else self.aget_or_load(ask.l1_key, loader)
            LOOPING.start(found).add_done_callback(_note_failure)
        return len(asks)

    def warm(self, keys: Iterable[Hashable] | str | PathLike[str]) -> int:
        """Bring keys into memory from the lower tiers; return how many were there.

        Args:
            keys: the keys, or the path of a file that `snapshot` made.
        """
        return run(self._warm(BLOCKING, keys))

    async def awarm(self, keys: Iterable[Hashable] | str | PathLike[str]) -> int:
        """As `warm`."""
        return await self._warm(LOOPING, keys)

    async def _warm(self, io: IO, keys: Iterable[Hashable] | str | PathLike[str]) -> int:
        if not isinstance(keys, (str, PathLike)):
            return await warm(self._tiers, io, self._asks(keys))
        has_keys_alone, records = load_snapshot(keys)
        if has_keys_alone or self._tiers.backplane is not None:
            return await warm(self._tiers, io, self._asks(record[0] for record in records))
        for key, value, ttl, tags, *_ in records:
            await self._set(io, key, value, {"ttl": inf if ttl is None else ttl, "tags": tags or ()})
        return len(records)

    def snapshot(self, path: str | PathLike[str]) -> int:
        """Save which keys memory holds, from the coldest to the hottest, for `warm`; return how many.

        Without Redis and disk their values are saved, too; those that cannot be are left out. See
        `MemoryCache.save` for the file.
        """
        return save_snapshot(self._tiers, self._memory, path)


def _logged(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception:  # noqa: BLE001 - nobody waits for it
        logger().warning("a key could not be prefetched", exc_info=True)


def _note_failure(task: Any) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger().warning("a key could not be prefetched", exc_info=task.exception())
