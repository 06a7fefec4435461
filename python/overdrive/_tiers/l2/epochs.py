"""What a node knows about the invalidations of tags, so that a read need not ask for them."""

from __future__ import annotations

from operator import itemgetter
from threading import RLock
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


class _State(NamedTuple):
    """What is known: the clocks of tags, and the range of epochs for which that is everything."""

    clocks: dict[int, int]
    floor: int | None
    known: int


_DEAD = Verdict(dead=True)
_ALIVE = Verdict(dead=False)


class TagEpochs:
    """The clocks of the last invalidations of tags, as far as the stream has told them; thread-safe.

    Invariant: every invalidation whose clock is above `floor` is in the table. It holds from `reset` on, whose clock
    is read after the position from which the stream is followed, and when the table is full: what is dropped is what
    has the lowest clock, and the floor rises to it.

    Args:
        capacity: how many tags are remembered, > 0.
    """

    __slots__ = ("_capacity", "_generation", "_lock", "_state")

    def __init__(self, capacity: int = 65_536) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity!r}")
        self._capacity = capacity
        # Read without the lock, hence replaced as one; clocks are added to the table before `known` says so.
        self._state = _State({}, None, 0)
        self._generation = 0
        self._lock = RLock()

    @property
    def known_clock(self) -> int:
        """The highest clock that was heard of."""
        return self._state.known

    @property
    def floor(self) -> int | None:
        """The clock above which every invalidation is known; None before the first `reset` and after a `forget`."""
        return self._state.floor

    @property
    def generation(self) -> int:
        """A number that changes when everything is dropped; `learn_looked_up` takes the one from before the look-up."""
        return self._generation

    def __len__(self) -> int:
        return len(self._state.clocks)

    def forget(self) -> None:
        """Know nothing: every value has to be looked up, until the next `reset`."""
        with self._lock:
            self._drop(None, 0)

    def after_fork(self) -> None:
        """Know nothing, in a child process: a thread that is not here may have been changing the table."""
        self._lock = RLock()
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
        clocks, floor, _ = self._state
        for tag_hash in hashes:
            if clocks.get(tag_hash, 0) > epoch:
                return _DEAD
        if floor is not None and floor <= epoch:
            return _ALIVE
        return Verdict(dead=False, unknown=hashes)

    def _learn(self, tag_hash: int, clock: int) -> None:
        state = self._state
        clocks, floor, known = state
        # Without a call, so that no finalizer or signal handler has a newer one learnt between the look and the store.
        if tag_hash not in clocks or clocks[tag_hash] < clock:
            clocks[tag_hash] = clock
        if len(clocks) > self._capacity:
            # An eighth at once, so that the search is paid for by many calls.
            by_clock = sorted(clocks.items(), key=itemgetter(1))
            dropped = by_clock[: max(1, self._capacity // 8)]
            clocks = dict(by_clock[len(dropped) :])
            if floor is not None:
                floor = max(floor, dropped[-1][1])
        learned = _State(clocks, floor, max(known, clock))
        if self._state is state:
            self._state = learned
        else:  # a finalizer had others learnt, or forgotten, in between
            self._learn(tag_hash, clock)

    def _drop(self, floor: int | None, known: int) -> None:
        self._state = _State({}, floor, known)
        self._generation += 1
