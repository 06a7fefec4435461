"""Moving what is asked for again from the disk back into Redis.

A value that Redis has lost, and the disk has not, is written back when it is found there for the second time within a
while: once is no sign that others want it. It keeps what is left of its lifetime.

An invalidation may be on its way meanwhile. So the value goes the way of a loaded one, under a lease, and only after
everything has been heard that was invalidated before the lease was granted; if the value is believed then, it was
not among that, and what comes later takes the lease away.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from overdrive._tiers.driving import log_failure
from overdrive._tiers.names import tag_name
from overdrive.exceptions import TierUnavailable

if TYPE_CHECKING:
    from overdrive._tiers.ask import Ask
    from overdrive._tiers.driving import IO
    from overdrive._tiers.found import Found
    from overdrive._tiers.tiers import Tiers

__all__ = ("SeenOnce", "promote")

# How many keys are remembered that were found on the disk, and for how long what was invalidated is waited for.
_REMEMBERED = 4096
_WAIT_SECONDS = 1.0


class SeenOnce:
    """The keys that were asked for lately; the oldest are forgotten when there are too many."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[bytes, None] = {}

    def again(self, key: bytes) -> bool:
        """Note a key; return whether it was noted before, and forget it then."""
        keys = self._keys
        if keys.pop(key, self) is None:
            return True
        keys[key] = None
        if len(keys) > _REMEMBERED:
            try:
                keys.pop(next(iter(keys)), None)
            except (StopIteration, RuntimeError):  # another thread has changed it just now
                return False
        return False


def promote(tiers: Tiers, io: IO, ask: Ask, found: Found) -> None:
    """Have a value from the disk written to Redis in the background, if this is the second time that it is found."""
    if tiers.backplane is None or ask.terms.local or not tiers.seen_on_disk.again(ask.key):
        return
    try:
        io.start(_promote(tiers, io, ask, found)).add_done_callback(log_failure)
    except RuntimeError:  # no more threads: it will be promoted another time
        return


async def _promote(tiers: Tiers, io: IO, ask: Ask, found: Found) -> None:
    backplane = tiers.backplane
    if backplane is None:
        return
    stamp = ask.stamp
    token = secrets.token_bytes(16)
    try:
        lease_ms = max(1, round(tiers.lease_seconds * 1000))
        reply = await io.redis(backplane.redis, backplane.steps.lease(ask.key, token, lease_ms, b""))
        if not reply.granted:
            return
        is_over = False
        try:
            has_heard = await backplane.barrier(io, _WAIT_SECONDS)
            names = (*ask.names, *map(tag_name, found.hashes))
            if has_heard and tiers.coherence.is_current(stamp, names) and not await tiers.is_tagged_dead(io, found):
                blob = tiers.encode(ask.key, found, ask.codec)
                backplane.writing(ask.key, found.version)
                step = backplane.steps.fill(ask.key, token, blob, found.milliseconds_left(tiers.wall()))
                is_over = await io.redis(backplane.redis, step)
                if is_over:
                    tiers.tally.count("promotions")
        finally:
            if not is_over:
                await io.redis(backplane.redis, backplane.steps.release(ask.key, token))
    except TierUnavailable as error:
        tiers.note_unavailable(error)
