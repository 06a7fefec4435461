"""Invalidations that did not reach Redis: kept, and delivered when it is back.

Delivering one twice is harmless, losing one is not: all that goes wrong here ends in more being invalidated.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from overdrive.exceptions import TierUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from overdrive._tiers.l2.breaker import Change
    from overdrive._tiers.l2.journal import Journal
    from overdrive._tiers.l2.scripts import Steps
    from overdrive._tiers.l2.step import Step
    from overdrive._tiers.l2.tier import RedisTier

    Kind: TypeAlias = Literal["k", "t", "c"]
    Item: TypeAlias = tuple[Kind, bytes]

__all__ = ("Recovery", "RecoveryStats")

logger: Final = logging.getLogger("overdrive")

AT_ONCE: Final = 500
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
EVERYTHING: Final[Item] = ("c", b"")


class RecoveryStats(NamedTuple):
    """What became of invalidations that failed.

    Attributes:
        pending: that wait now.
        queued: that were ever added.
        delivered: that reached Redis after all.
        collapsed: how often there were too many, and everything was invalidated instead.
    """

    pending: int
    queued: int
    delivered: int
    collapsed: int


class Recovery:
    """The queue of a tier; thread-safe.

    While something is pending a daemon thread tries to deliver it, oldest first: when the breaker closes, and else in
    growing pauses. An item that is added again while it waits moves to the end.

    Args:
        tier: what delivers.
        steps: of the namespace.
        limit: how many items may wait, >= 1. Beyond that they are replaced by one that invalidates everything.
        journal: where they are written down as well; what an earlier process left there is pending at once.
    """

    def __init__(self, tier: RedisTier, steps: Steps, *, limit: int = 10_000, journal: Journal | None = None) -> None:
        self._tier = tier
        self._steps = steps
        self._limit = limit
        self._journal = journal
        self._items: dict[Item, int] = {}  # to the number of when it was added
        self._added = self._delivered = self._collapsed = 0
        self._prepare()
        tier.breaker.subscribe(self._wake_up)
        tier.at_fork(self._prepare)
        if journal is not None:
            left = journal.adopt()
            if left:
                self._add(left)

    def _prepare(self) -> None:
        # Also in a forked process, whose copies of locks may be held for good and whose thread is not there.
        self._lock = threading.RLock()
        self._draining = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def pending(self) -> int:
        """How many invalidations wait."""
        return len(self._items)

    def add_keys(self, keys: Iterable[bytes]) -> None:
        """Have keys invalidated as soon as that is possible."""
        self._add([("k", key) for key in keys])

    def add_tags(self, tags: Iterable[bytes]) -> None:
        """Have tags invalidated as soon as that is possible."""
        self._add([("t", tag) for tag in tags])

    def add_clear(self) -> None:
        """Have everything invalidated as soon as that is possible."""
        self._add([EVERYTHING])

    def discard_keys(self, keys: Iterable[bytes]) -> None:
        """Drop what is pending for keys that were since written or invalidated successfully."""
        if not self._items:
            return
        with self._lock:
            for key in keys:
                self._items.pop(("k", key), None)
            self._settle()

    def covers_key(self, key: bytes) -> bool:
        """Return whether a key waits to be invalidated: what Redis has for it is out of date."""
        items = self._items
        return bool(items) and (("k", key) in items or EVERYTHING in items)

    def covers_tags(self, tags: Iterable[bytes]) -> bool:
        """Return whether one of some tags waits to be invalidated."""
        items = self._items
        return bool(items) and (EVERYTHING in items or any(("t", tag) in items for tag in tags))

    def drain(self) -> bool:
        """Try to deliver everything now, if no other thread does so.

        Returns:
            Whether nothing is pending any more.
        """
        if not self._draining.acquire(blocking=False):
            return False
        try:
            while batch := self._next():
                self._tier.call(self._step(batch))
                self._done(batch)
        except TierUnavailable:
            return False
        finally:
            self._draining.release()
        return True

    def retry(self) -> None:
        """Try to deliver what is pending now, as there are signs that the server is back."""
        self._tier.breaker.retry()
        self._wake.set()

    def stats(self) -> RecoveryStats:
        """Return what became of invalidations that failed."""
        with self._lock:
            return RecoveryStats(len(self._items), self._added, self._delivered, self._collapsed)

    def close(self) -> None:
        """Stop trying. What is pending stays in the journal, if there is one."""
        self._closed = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(2 * self._tier.budget)
        if self._journal is not None:
            self._journal.close()

    # --- the queue -------------------------------------------------------------------------------

    def _add(self, items: list[Item]) -> None:
        with self._lock:
            # What waits to invalidate everything covers whatever is older, and nothing that is newer.
            if EVERYTHING in items:
                items = [EVERYTHING]
                self._items.clear()
            for item in items:
                self._added += 1
                self._items.pop(item, None)
                self._items[item] = self._added
            if len(self._items) > self._limit:
                self._collapsed += 1
                self._items = {EVERYTHING: self._added}
                items = [EVERYTHING]
            if self._journal is not None:
                self._journal.append(items)
            self._start()

    def _next(self) -> dict[Item, int]:
        """Return the oldest items that are of one kind, and when they were added."""
        batch: dict[Item, int] = {}
        with self._lock:
            for item, number in list(self._items.items()):  # a finalizer may add to them
                if len(batch) == AT_ONCE or (batch and item[0] != next(iter(batch))[0]):
                    break
                batch[item] = number
        return batch

    def _done(self, batch: dict[Item, int]) -> None:
        with self._lock:
            self._delivered += len(batch)
            for item, number in batch.items():
                # Added again since: for another change, that came after what was delivered.
                if self._items.get(item) == number:
                    del self._items[item]
            self._settle()

    def _settle(self) -> None:
        if not self._items and self._journal is not None:
            self._journal.clear()

    def _step(self, batch: dict[Item, int]) -> Step[Any]:
        kind = next(iter(batch))[0]
        names = [name for _, name in batch]
        if kind == "k":
            return self._steps.invalidate(names)
        return self._steps.invalidate_tags(names) if kind == "t" else self._steps.clear()

    # --- the thread ------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="overdrive-recovery", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        began = time.monotonic()
        while not self._closed:
            if self.drain():
                with self._lock:
                    if self._items:
                        continue
                    self._thread = None
                logger.debug("redis tier: delivered what was pending after %.1f s", time.monotonic() - began)
                return
            self._wake.wait(pause)
            self._wake.clear()
            pause = min(2 * pause, LONGEST_PAUSE)

    def _wake_up(self, change: Change) -> None:
        if change.new == "closed":
            self._wake.set()
