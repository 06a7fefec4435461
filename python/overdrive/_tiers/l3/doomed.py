"""What was deleted while the disk did not take the delete: it must not come back before the disk has."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("Doomed",)

Item = TypeVar("Item")


class Doomed:
    """Keys, tags and shards whose removal is still to be done. Thread-safe.

    It lives in memory: a process that ends while its disk is down leaves the entries behind. `limit` bounds the keys;
    beyond it the whole shard is doomed.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._lock = threading.RLock()
        self.keys: dict[int, set[bytes]] = {}
        self.tags: dict[int, set[int]] = {}
        self.shards: set[int] = set()

    def __len__(self) -> int:
        return sum(map(len, self.keys.values())) + sum(map(len, self.tags.values())) + len(self.shards)

    def add_keys(self, shard: int, keys: Iterable[bytes]) -> None:
        """Note keys of a shard."""
        with self._lock:
            doomed = self.keys.setdefault(shard, set())
            doomed.update(keys)
            if len(doomed) > self._limit:
                self._add_shard(shard)

    def add_tags(self, shard: int, hashes: Iterable[int]) -> None:
        """Note tags, whose entries in a shard are to go."""
        with self._lock:
            doomed = self.tags.setdefault(shard, set())
            doomed.update(hashes)
            if len(doomed) > self._limit:
                self._add_shard(shard)

    def add_shard(self, shard: int) -> None:
        """Note that everything in a shard is to go."""
        with self._lock:
            self._add_shard(shard)

    def covers(self, shard: int, key: bytes, tags: Iterable[int] = ()) -> bool:
        """Whether an entry is as good as deleted."""
        if shard in self.shards or key in self.keys.get(shard, ()):
            return True
        doomed = self.tags.get(shard)
        return doomed is not None and not doomed.isdisjoint(tags)

    def of_shard(self, shard: int) -> tuple[set[bytes], set[int], bool]:
        """Return copies of the keys and the tags that are to go, and whether everything is."""
        with self._lock:
            return set(self.keys.get(shard, ())), set(self.tags.get(shard, ())), shard in self.shards

    def done(self, shard: int, keys: set[bytes], tags: set[int], everything: bool) -> None:
        """Note that what `of_shard` returned has gone."""
        with self._lock:
            if everything:
                self.shards.discard(shard)
            _subtract(self.keys, shard, keys)
            _subtract(self.tags, shard, tags)

    def after_fork(self) -> None:
        """Start over with a lock that no thread of the parent holds."""
        self._lock = threading.RLock()

    def _add_shard(self, shard: int) -> None:
        self.shards.add(shard)
        self.keys.pop(shard, None)
        self.tags.pop(shard, None)


def _subtract(doomed: dict[int, set[Item]], shard: int, gone: set[Item]) -> None:
    left = doomed.get(shard, set()) - gone
    if left:
        doomed[shard] = left
    else:
        doomed.pop(shard, None)
