"""What a node knows about the invalidations of tags, so that a read need not ask for them."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ("TagEpochs", "Verdict")


class Verdict(NamedTuple):
    """Whether a value is still good as far as its tags are concerned.

    Attributes:
        dead: one of the tags was invalidated after the load of the value began.
        unknown: the hashes of the tags that have to be looked up to know.
    """

    dead: bool
    unknown: tuple[int, ...] = ()


class TagEpochs:
    """The clocks of the last invalidations of tags, as far as the stream has told them; thread-safe.

    Invariant: every invalidation whose clock is above `floor` is in the table. It holds from `reset` on, whose clock
    is read after the position from which the stream is followed, and when the table is full: what is dropped is what
    has the lowest clock, and the floor rises to it.

    Args:
        capacity: how many tags are remembered, > 0.
    """

    __slots__ = ("_capacity", "_clocks", "_floor", "_generation", "_known", "_lock")

    def __init__(self, capacity: int = 65_536) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity!r}")
        self._capacity = capacity
        self._clocks: dict[int, int] = {}
        self._floor: int | None = None
        self._generation = 0
        self._known = 0
        self._lock = Lock()

    @property
    def known_clock(self) -> int:
        """The highest clock that was heard of."""
        return self._known

    @property
    def floor(self) -> int | None:
        """The clock above which every invalidation is known; None before the first `reset` and after a `forget`."""
        return self._floor

    @property
    def generation(self) -> int:
        """A number that changes when everything is dropped; `learn_looked_up` takes the one from before the look-up."""
        return self._generation

    def __len__(self) -> int:
        return len(self._clocks)

    def forget(self) -> None:
        """Know nothing: every value has to be looked up, until the next `reset`."""
        with self._lock:
            self._drop(None, 0)

    def after_fork(self) -> None:
        """Know nothing, in a child process: a thread that is not here may have been changing the table."""
        self._lock = Lock()
        self.forget()

    def reset(self, clock: int) -> None:
        """Begin anew with the clock of the server, read after the position from which the stream is followed."""
        with self._lock:
            self._drop(clock, clock)

    def learn(self, tag_hash: int, clock: int) -> None:
        """Take in that the stream told of an invalidation."""
        with self._lock:
            self._learn(tag_hash, clock)

    def learn_looked_up(self, clocks: Mapping[int, int], generation: int) -> None:
        """Take in what the server answered about tags; dropped if everything was forgotten since the question."""
        with self._lock:
            if generation == self._generation:
                for tag_hash, clock in clocks.items():
                    self._learn(tag_hash, clock)

    def judge(self, epoch: int, tag_hashes: Iterable[int]) -> Verdict:
        """Judge a value by its tags, as of the last poll of the stream: look them up while memory is not trusted.

        Args:
            epoch: the clock when the load of the value began.
            tag_hashes: of its tags, and of the tag of everything.
        """
        hashes = tuple(tag_hashes)
        with self._lock:
            if any(self._clocks.get(tag_hash, 0) > epoch for tag_hash in hashes):
                return Verdict(dead=True)
            if self._floor is not None and self._floor <= epoch:
                return Verdict(dead=False)
            return Verdict(dead=False, unknown=hashes)

    def _learn(self, tag_hash: int, clock: int) -> None:
        self._known = max(self._known, clock)
        self._clocks[tag_hash] = max(clock, self._clocks.pop(tag_hash, 0))
        if len(self._clocks) > self._capacity:
            self._shrink()

    def _shrink(self) -> None:
        # An eighth at once, so that the search is paid for by many calls.
        by_clock = sorted(self._clocks.items(), key=lambda item: item[1])
        dropped = by_clock[: max(1, self._capacity // 8)]
        self._clocks = dict(by_clock[len(dropped) :])
        if self._floor is not None:
            self._floor = max(self._floor, dropped[-1][1])

    def _drop(self, floor: int | None, known: int) -> None:
        self._clocks = {}
        self._floor = floor
        self._known = known
        self._generation += 1
