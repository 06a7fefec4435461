"""Redis as a tiered cache uses it: the requests, and what keeps this instance up to date with the others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from overdrive._tiers.l2.positions import StreamId
from overdrive._tiers.names import EVERYTHING, tag_text
from overdrive.exceptions import TierUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from overdrive._core import Coherence
    from overdrive._tiers.driving import IO
    from overdrive._tiers.l2.canary import Canary
    from overdrive._tiers.l2.epochs import TagEpochs
    from overdrive._tiers.l2.leases import Leases
    from overdrive._tiers.l2.listener import Listener
    from overdrive._tiers.l2.recovery import Recovery
    from overdrive._tiers.l2.scripts import Steps
    from overdrive._tiers.l2.tier import RedisTier
    from overdrive._tiers.l2.tracking import Tracking

__all__ = ("Backplane", "new_origin")

_EVERYTHING = (EVERYTHING,)


def new_origin() -> bytes:
    """Return what tells the notices of this process from others."""
    return os.urandom(8).hex().encode()


class Backplane:
    """Redis, the listener, and what waits to be sent.

    Attributes:
        redis: does steps.
        steps: makes them.
        listener: applies what others invalidate.
        leases: what is being loaded here.
        recovery: invalidations that Redis has not taken yet.
        canary: probes whether invalidations arrive.
    """

    def __init__(
        self,
        *,
        redis: RedisTier,
        steps: Steps,
        listener: Listener,
        epochs: TagEpochs,
        leases: Leases,
        recovery: Recovery,
        canary: Canary,
        coherence: Coherence,
        now: Callable[[], float],
        tracking: Tracking | None,
    ) -> None:
        self.redis = redis
        self.steps = steps
        self.listener = listener
        self.leases = leases
        self.recovery = recovery
        self.canary = canary
        self._epochs = epochs
        self._tracking = tracking
        self._coherence = coherence
        self._now = now
        redis.at_fork(self._begin_process)

    @property
    def attach_id(self) -> bytes:
        """Names the listening without a gap that goes on."""
        return self.listener.attach_id

    @property
    def clock(self) -> int:
        """The clock of tags, as far as this instance knows: what is set now has no older epoch than this."""
        return self._epochs.known_clock

    def start(self) -> None:
        """Listen, if this process does not yet, as after a fork; costs next to nothing if it does."""
        if not self.listener.is_started:
            self.listener.start()
            self.canary.start()

    def writing(self, key: bytes, version: int) -> None:
        """Expect that Redis reports that this instance has written a key."""
        if self._tracking is not None:
            self._tracking.writing(key, version)

    def judge(self, epoch: int, hashes: tuple[int, ...]) -> bool | None:
        """Return whether one of a value's tags, or everything, was invalidated after its load began at `epoch`.

        `None`: that is not known here.
        """
        if self.recovery.pending and self.recovery.covers_tags(map(tag_text, hashes)):
            return True
        verdict = self._epochs.judge(epoch, (EVERYTHING, *hashes) if hashes else _EVERYTHING)
        if verdict.dead:
            return True
        # What is known of tags is as old as what was heard of other instances.
        return None if verdict.unknown or self._coherence.trusted_until < self._now() else False

    async def is_dead(self, io: IO, epoch: int, hashes: tuple[int, ...]) -> bool:
        """Return the same, and ask Redis for what is not known.

        Raises:
            TierUnavailable: it does not answer.
        """
        known = self.judge(epoch, hashes)
        if known is not None:
            return known
        generation = self._epochs.generation
        clocks = await io.redis(self.redis, self.steps.tag_epochs([tag_text(value) for value in hashes]))
        self._epochs.learn_looked_up(dict(zip((EVERYTHING, *hashes), clocks, strict=True)), generation)
        return max(clocks) > epoch

    async def epoch(self, io: IO, hashes: tuple[int, ...]) -> int:
        """Return the epoch of what is set now: no older than what is known to be invalidated; 0 if nothing is known.

        Until the listener has attached, what is known is asked for.
        """
        if self._epochs.floor is not None:
            return self._epochs.known_clock
        try:
            clocks = await io.redis(self.redis, self.steps.tag_epochs([tag_text(value) for value in hashes]))
            return max(clocks)
        except TierUnavailable:
            return 0

    async def barrier(self, io: IO, timeout: float) -> bool:
        """Wait until what was invalidated before this call is applied here; return whether it is."""
        try:
            position = await io.redis(self.redis, self.steps.position())
        except TierUnavailable:
            return False
        if io.is_blocking:
            return self.listener.wait_applied(StreamId.parse(position), timeout)
        return await self.listener.wait_applied_async(StreamId.parse(position), timeout)

    # --- what is known at once ----------------------------------------------------------------------

    def note_tags(self, hashes: Iterable[int], clock: int) -> None:
        """Know of tags that this instance has invalidated, before the listener hears of it."""
        for value in hashes:
            self._epochs.learn(value, clock)

    def note_clear(self, clock: int) -> None:
        """Know of a clear likewise."""
        self._epochs.learn(EVERYTHING, clock)

    def answers_for(self, key: bytes) -> bool:
        """Return whether what Redis has for a key counts: not while it waits to be invalidated.

        Makes sure that this process listens, as whatever is asked for is going to be kept.
        """
        if not self.listener.is_started:
            self.start()
        return not self.recovery.pending or not self.recovery.covers_key(key)

    # --- what has to wait ---------------------------------------------------------------------------

    def queue_keys(self, keys: Iterable[bytes]) -> None:
        """Invalidate keys when Redis answers again."""
        self.recovery.add_keys(keys)

    def queue_tags(self, hashes: Iterable[int]) -> None:
        """Invalidate tags then."""
        self.recovery.add_tags(map(tag_text, hashes))

    def queue_clear(self) -> None:
        """Clear everything then."""
        self.recovery.add_clear()

    # --- ending -------------------------------------------------------------------------------------

    def _begin_process(self) -> None:
        """Be told of by others in a child process, too: its parent does not listen to what it says itself."""
        self.steps.origin = self.listener.origin = new_origin()

    def close(self) -> None:
        """End the threads and the connections of blocking code."""
        self.canary.close()
        self.listener.close()
        self.leases.close()
        self.recovery.close()
        self.redis.close()

    async def aclose(self) -> None:
        """Do that, and end the connections of this event loop."""
        import asyncio

        await asyncio.get_running_loop().run_in_executor(None, self.close)
        await self.redis.aclose()
