"""Setting and invalidating: in memory, in Redis with a notice to all instances, and on the disk.

Memory is invalidated before and after the lower tiers are told: before, so that this instance does not return the old
value while they work; after, because what was read there meanwhile may be the old one still. A value that is set is
kept in memory only if nobody else has written or invalidated the key since: who came last is known to Redis alone.

A task that is cancelled while it waits for Redis cannot know whether that was told: then it is told once more.

If Redis does not answer, the invalidation is queued and sent when it does. Until then this instance believes its own
new value for H at most.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, TypeVar

from overdrive._tiers.names import key_name, tag_hash, tag_name, tag_text
from overdrive._tiers.reading import load
from overdrive.exceptions import TierUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from overdrive._tiers.ask import Ask
    from overdrive._tiers.driving import IO
    from overdrive._tiers.found import Found
    from overdrive._tiers.l2.step import Step
    from overdrive._tiers.tiers import Tiers

__all__ = ("clear", "invalidate", "invalidate_tags", "renew", "write")

T = TypeVar("T")

# For how long what others have invalidated is waited for.
_WAIT_SECONDS = 1.0


async def write(tiers: Tiers, io: IO, ask: Ask, found: Found) -> None:
    """Set the value of a key in all tiers.

    Raises:
        SerializationError: it cannot be written outside of memory. Nothing has changed then.
    """
    backplane, coherence = tiers.backplane, tiers.coherence
    outside = (backplane is not None or tiers.disk is not None) and not ask.terms.local
    if backplane is not None and not found.epoch:
        found.epoch = await backplane.epoch(io, found.hashes)
    blob = tiers.encode(ask.key, found, ask.codec) if outside else None
    if found.hard <= 0:
        await invalidate(tiers, io, (ask.key,))
        ask.memory.drop(ask.l1_key)
        return
    before = coherence.bump(*ask.names)
    began = tiers.now()
    until = inf
    is_in_order = on_disk = False
    try:
        if backplane is not None:
            step: Step[bytes]
            if blob is None:  # the older value must not be found there, which this one is not written to
                step = backplane.steps.invalidate((ask.key,))
            else:
                step = backplane.steps.write(ask.key, blob, found.milliseconds_left(tiers.wall()))
                backplane.writing(ask.key, found.version)
            if await _tell(tiers, io, step, partial(backplane.queue_keys, (ask.key,))) is None:
                until = began + tiers.horizon
            else:
                backplane.recovery.discard_keys((ask.key,))
                tiers.tally.count_tier("l2", "deletes" if blob is None else "sets")
        if tiers.disk is not None:
            # Without Redis the disk is where the value is safe, so it is there when this returns.
            is_safe = backplane is None and blob is not None and tiers.wants_disk(ask, found)
            if is_safe and blob is not None:
                on_disk = await io.disk(tiers.set_on_disk, ask.key, found, blob, before)
            else:
                await io.disk(tiers.disk.delete, ask.key)
        # Without Redis who comes last is who invalidates last.
        is_in_order = backplane is None or coherence.is_current(before, ask.names)
    finally:
        stamp = coherence.bump(*ask.names)
    if backplane is not None and blob is not None and until == inf and is_in_order and tiers.wants_disk(ask, found):
        on_disk = tiers.to_disk(ask.key, found, blob, stamp)
    if is_in_order:
        tiers.keep(ask, found, stamp, until=until, on_disk=on_disk)
    else:
        ask.memory.drop(ask.l1_key)


async def renew(tiers: Tiers, io: IO, ask: Ask) -> Found:
    """Load a key, whatever the tiers have, and set what comes of it, unless it was invalidated meanwhile.

    What another instance invalidates between the end of the load and the end of this call may be missed for a key,
    and is not for tags.
    """
    backplane, coherence = tiers.backplane, tiers.coherence
    epoch = 0 if backplane is None else await backplane.epoch(io, ())
    found = await load(tiers, io, ask, epoch=epoch)
    if backplane is not None:
        await backplane.barrier(io, _WAIT_SECONDS)
    if coherence.is_current(ask.stamp, (*ask.names, *map(tag_name, found.hashes))):
        await write(tiers, io, ask, found)
    return found


async def invalidate(tiers: Tiers, io: IO, keys: Iterable[bytes]) -> None:
    """Remove keys from all tiers of all instances."""
    keys = tuple(keys)
    if not keys:
        return
    names = tuple(map(key_name, keys))
    coherence, backplane = tiers.coherence, tiers.backplane
    coherence.bump(*names)
    try:
        if backplane is not None:
            step = backplane.steps.invalidate(keys)
            if await _tell(tiers, io, step, partial(backplane.queue_keys, keys)) is not None:
                tiers.tally.count_tier("l2", "deletes", amount=len(keys))
        tiers.tally.count("invalidations", len(keys))
        tiers.tally.count_tier("l1", "deletes", amount=len(keys))
        if tiers.disk is not None:
            tiers.tally.count_tier("l3", "deletes", amount=await io.disk(tiers.disk.delete_many, keys))
    finally:
        coherence.bump(*names)


async def invalidate_tags(tiers: Tiers, io: IO, tags: tuple[str, ...]) -> None:
    """Remove everything that has one of these tags from all tiers of all instances."""
    if not tags:
        return
    hashes = tuple(map(tag_hash, tags))
    names = tuple(map(tag_name, hashes))
    coherence, backplane = tiers.coherence, tiers.backplane
    coherence.bump(*names)
    try:
        if backplane is not None:
            step = backplane.steps.invalidate_tags(list(map(tag_text, hashes)))
            change = await _tell(tiers, io, step, partial(backplane.queue_tags, hashes))
            if change is not None:
                backplane.note_tags(hashes, change.clock)
        tiers.tally.count("invalidations", len(tags))
        if tiers.disk is not None:
            tiers.tally.count_tier("l3", "deletes", amount=await io.disk(tiers.disk.delete_tags, hashes))
    finally:
        coherence.bump(*names)


async def clear(tiers: Tiers, io: IO) -> None:
    """Remove everything from all tiers of all instances."""
    coherence, backplane = tiers.coherence, tiers.backplane
    coherence.bump_all()
    try:
        if backplane is not None:
            change = await _tell(tiers, io, backplane.steps.clear(), backplane.queue_clear)
            if change is not None:
                backplane.note_clear(change.clock)
        if tiers.disk is not None:
            await io.disk(tiers.disk.clear)
    finally:
        coherence.bump_all()


async def _tell(tiers: Tiers, io: IO, step: Step[T], queue: Callable[[], object]) -> T | None:
    """Have Redis do a step that invalidates something; queue that and return `None`, if it is not known to be done."""
    backplane = tiers.backplane
    if backplane is None:
        return None
    try:
        return await io.redis(backplane.redis, step)
    except TierUnavailable as error:
        tiers.note_unavailable(error)
        queue()
        return None
    except BaseException:  # the caller was interrupted: perhaps it was done
        queue()
        raise
