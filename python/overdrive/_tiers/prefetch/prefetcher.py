"""Predictions about keys, and what is made of them.

The lock guards the tables, and is never held while a function of the caller's runs: `is_cached`, `is_candidate`,
`can_prefetch` and `submit` may use the cache, and so come back here. It is reentrant for keys whose `__eq__` does.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

from overdrive._core import Predictor
from overdrive._tiers.prefetch.contexts import current_context
from overdrive._tiers.prefetch.hashes import hash_of
from overdrive._tiers.prefetch.patterns import AccessPatterns
from overdrive._tiers.prefetch.statistics import PrefetchStats
from overdrive._tiers.prefetch.strides import Strides, may_count
from overdrive._tiers.prefetch.under_way import Origin, UnderWay

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

__all__ = ("Prefetcher",)

# Keys that are handed over at most because of one request.
MOST_AT_ONCE = 16
# Fetches whose outcome is awaited.
MOST_UNDER_WAY = 4096

_living: weakref.WeakSet[Prefetcher] = weakref.WeakSet()


class Prefetcher:
    """Learns from requests, and hands over keys that will be asked for. Thread-safe; for sync and async callers.

    What the cache tells: `observed` at each request, `come` or `failed` when a fetch is over, `left` when a key leaves
    memory. All else follows: what was used, wasted or late, and whether it is worth going on.

    Args:
        submit: called with a list of keys to fetch. It must not block: it starts the fetches, behind all else that
            waits, and reports each by `come` or `failed`.
        is_cached: whether a key is in memory already.
        is_candidate: whether a key can be fetched: it has a loader, or is known to be in a tier below.
        can_prefetch: whether fetching is all right now; false while a breaker is open or loads take long.
        enabled: whether to predict; without it only hints are acted on.
        keys: about how many keys to keep the names and successors of, at least 1.
        lookahead: how many requests ahead at most, from 1 to 16.
        budget: loads that may be wasted, per request, from 0 to 1.
        seed: what is left to chance depends on it.

    Raises:
        ValueError: if `keys` or `budget` is out of range.
    """

    __slots__ = (
        "__weakref__",
        "_can_prefetch",
        "_failed",
        "_hinted",
        "_is_cached",
        "_is_candidate",
        "_issued",
        "_late",
        "_limit",
        "_lock",
        "_names",
        "_predictor",
        "_strides",
        "_submit",
        "_suppressed",
        "_under_way",
        "_used",
        "_wasted",
        "enabled",
    )

    def __init__(
        self,
        submit: Callable[[list[Hashable]], object],
        *,
        is_cached: Callable[[Hashable], bool],
        is_candidate: Callable[[Hashable], bool],
        can_prefetch: Callable[[], bool] = lambda: True,
        enabled: bool = False,
        keys: int = 65_536,
        lookahead: int = 16,
        budget: float = 0.1,
        seed: int = 0,
    ) -> None:
        self._submit = submit
        self._is_cached = is_cached
        self._is_candidate = is_candidate
        self._can_prefetch = can_prefetch
        self.enabled = enabled
        self._predictor = Predictor(rows=keys, budget=budget, depth=lookahead, seed=seed)
        self._limit = keys
        self._lock = threading.RLock()
        self._names: dict[int, Hashable] = {}
        self._strides = Strides()
        self._under_way = UnderWay(MOST_UNDER_WAY)
        self._count_from_zero()
        _living.add(self)

    @property
    def predictor(self) -> Predictor:
        """The model behind the predictions."""
        return self._predictor

    @property
    def access_patterns(self) -> AccessPatterns:
        """What follows what; read-only."""
        return AccessPatterns(self._predictor, self._names.__getitem__, self._known)

    def observed(self, key: Hashable, hit: bool, *, context: int | None = None) -> None:
        """Note a request, learn from it, and hand over what is likely to be asked for next.

        Args:
            key: what was asked for.
            hit: whether it was in memory.
            context: who asked, from 0 to 2**64 - 1; by default the `prefetch_context`, or the task or thread.
        """
        if not self.enabled and not self._under_way:
            return
        number = hash_of(key)
        self._settle(key, number, hit=hit)
        if not self.enabled:
            return
        if context is None:
            context = current_context()
        if number not in self._names and self._is_candidate(key):
            self._name(number, key)
        proposed = self._predictor.observe(context, number, hit)
        if not proposed and not may_count(key):
            return
        with self._lock:
            ahead = self._strides.observe(context, key, self._predictor.depth)
            named = [self._names[proposal] for proposal in proposed if proposal in self._names]
            counted = [other for other in ahead if other not in self._under_way]
        if named or counted:
            self._issue(named, counted)

    def hint(self, keys: Iterable[Hashable]) -> int:
        """Hand over keys that are known to be needed soon; return how many there were to fetch.

        Hints are not predictions: neither the budget nor the guard holds them back, and how they turn out is counted
        but not learned from. They are dropped while `can_prefetch` is false.
        """
        wanted = [key for key in dict.fromkeys(keys) if self._is_candidate(key) and not self._is_cached(key)]
        if wanted and not self._can_prefetch():
            self._suppress(len(wanted))
            return 0
        with self._lock:
            wanted = [key for key in wanted if key not in self._under_way]
            for key in wanted:
                self._under_way.begin(key, Origin.HINT)
            self._hinted += len(wanted)
        if wanted:
            self._hand_over(wanted)
        return len(wanted)

    def come(self, key: Hashable) -> None:
        """Note that a key that was handed over is in memory now."""
        with self._lock:
            self._under_way.come(key)

    def failed(self, key: Hashable) -> None:
        """Note that a key that was handed over could not be fetched, or was not there."""
        with self._lock:
            fetch = self._under_way.end(key)
            self._failed += fetch is not None
        if fetch is not None and fetch.origin is not Origin.HINT:
            self._predictor.failed(hash_of(key))

    def left(self, key: Hashable) -> None:
        """Note that a key left memory: was evicted, expired, replaced or removed."""
        if key not in self._under_way:
            return
        with self._lock:
            # What is still on its way cannot leave: that was another value, which came and went meanwhile.
            fetch = self._under_way.end_if_come(key)
            if fetch is None:
                return
            self._wasted += 1
            if fetch.origin is Origin.STRIDE:
                self._strides.wasted(key)
        if fetch.origin is not Origin.HINT:
            self._predictor.wasted(hash_of(key))

    def stats(self) -> PrefetchStats:
        """What was done, and how it turned out."""
        counts = self._predictor.stats()
        with self._lock:
            return PrefetchStats(
                observed=counts["observed"],
                issued=self._issued,
                hinted=self._hinted,
                used=self._used,
                wasted=self._wasted,
                late=self._late,
                failed=self._failed,
                suppressed=self._suppressed + counts["guarded"] + counts["over_budget"],
                precision=self._predictor.precision,
                is_open=self._predictor.is_open,
                depth=self._predictor.depth,
                memory=self._predictor.memory,
            )

    def reset(self) -> None:
        """Forget everything that was learned and counted. Fetches that are under way go on, and count for nothing."""
        with self._lock:
            self._predictor.reset()
            self._names.clear()
            self._strides.clear()
            self._under_way.clear()
            self._count_from_zero()

    def __repr__(self) -> str:
        state = ("closed", "open")[self._predictor.is_open] if self.enabled else "off"
        return f"<Prefetcher, {state}: {self._issued} issued, {self._used} used, {self._wasted} wasted>"

    def _count_from_zero(self) -> None:
        self._issued = self._hinted = self._used = self._wasted = self._late = self._failed = self._suppressed = 0

    def _settle(self, key: Hashable, number: int, *, hit: bool) -> None:
        """Whether a request is the outcome of a fetch."""
        if key not in self._under_way:
            return
        with self._lock:
            fetch = self._under_way.end(key)
            if fetch is None:
                return
            in_time = fetch.has_come and hit
            late = not fetch.has_come
            self._used += in_time
            self._late += late
            # It came, and was gone before anybody told that it left.
            self._wasted += not in_time and not late
            if fetch.origin is Origin.STRIDE:
                (self._strides.used if in_time or late else self._strides.wasted)(key)
        if fetch.origin is Origin.HINT:
            return
        if late:
            self._predictor.late(number)
        elif in_time:
            self._predictor.used(number)
        else:
            self._predictor.wasted(number)

    def _name(self, number: int, key: Hashable) -> None:
        with self._lock:
            self._names[number] = key
            if len(self._names) > self._limit:
                # The one named first: if it is still asked for, it will be named again.
                del self._names[next(iter(self._names))]

    def _issue(self, named: list[Hashable], counted: list[Hashable]) -> None:
        """Hand over what was predicted, if it can be fetched and has to be."""
        named = [key for key in named if not self._is_cached(key) and self._is_candidate(key)]
        counted = [key for key in counted if not self._is_cached(key) and self._is_candidate(key)]
        wanted = dict.fromkeys(named, Origin.SUCCESSOR) | dict.fromkeys(counted, Origin.STRIDE)
        if not wanted:
            return
        if not self._can_prefetch():
            self._suppress(len(wanted))
            return
        issued: list[Hashable] = []
        with self._lock:
            for key, origin in wanted.items():
                number = hash_of(key)
                if key in self._under_way or len(issued) == MOST_AT_ONCE:
                    continue
                if origin is Origin.STRIDE and not self._predictor.admits(number):
                    continue
                self._under_way.begin(key, origin)
                self._predictor.issued(number)
                issued.append(key)
            self._issued += len(issued)
        if issued:
            self._hand_over(issued)

    def _hand_over(self, keys: list[Hashable]) -> None:
        try:
            self._submit(keys)
        except BaseException:
            for key in keys:
                self.failed(key)
            raise

    def _suppress(self, count: int) -> None:
        with self._lock:
            self._suppressed += count

    def _known(self) -> list[Hashable]:
        with self._lock:
            return list(self._names.values())

    def _after_fork_in_child(self) -> None:
        """Go on without the threads of the parent: one of them may hold the lock, and the fetches are theirs."""
        self._lock = threading.RLock()
        self._under_way.clear()


def _after_fork_in_child() -> None:
    for prefetcher in list(_living):
        prefetcher._after_fork_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
