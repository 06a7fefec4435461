"""Finding a value: in memory as it was left, in Redis, on the disk, or else by loading it.

This is where the protocol is. What is read or loaded goes into memory under a *stamp* that was taken before: if it
was invalidated since, it is there as good as not at all. And what is loaded goes into Redis by a compare-and-fill on
the *lease* under which it was loaded, which every invalidation takes away. So a value that was read or computed
before an invalidation is stored nowhere after it.

Source of leases: Nishtala et al., "Scaling Memcache at Facebook", NSDI '13.
"""

from __future__ import annotations

import secrets
from copy import copy
from math import inf
from random import random, uniform
from typing import TYPE_CHECKING, NamedTuple

from overdrive._core import WithTTL
from overdrive._memoize.options import seconds
from overdrive._tiers.context import NOT_MODIFIED, LoadContext
from overdrive._tiers.driving import log_failure
from overdrive._tiers.found import Found
from overdrive._tiers.names import PRIVATE, tag_hash, tag_name
from overdrive._tiers.own_loads import OwnLoad, is_own_load
from overdrive._tiers.promoting import promote
from overdrive._tiers.stats import L2_HIT
from overdrive._tiers.terms import names_of_tags
from overdrive.exceptions import LoadTimeout, TierUnavailable

if TYPE_CHECKING:
    from typing import Any, Final

    from overdrive._tiers.ask import Ask
    from overdrive._tiers.driving import IO, Background
    from overdrive._tiers.tiers import Tiers

__all__ = ("RedisAnswer", "described", "judge_blob", "load", "read")

# How long those who wait for another instance's load sleep between two looks, in seconds.
_SHORTEST_LOOK, _LONGEST_LOOK = 0.005, 0.020
# For how many lifetimes of a lease they wait, as one is extended while its load goes on.
_LEASES_WAITED_FOR = 6.0
# How often a value that is found in Redis but is of no use is looked at again before it is loaded without a lease.
_MOST_REPLIES = 8
# From this size on it pays to ask Redis for the head of a value first that the disk may have, too.
_LARGE_BYTES = 64 * 1024
#: Where the version is in an envelope.
VERSION: Final = slice(16, 24)


class _Lease(NamedTuple):
    """The right to fill a key, and the clock of tags when it was granted."""

    token: bytes
    epoch: int


class RedisAnswer(NamedTuple):
    """What Redis said of a key.

    Attributes:
        answers: whether it said anything.
        found: a value to return.
        old: a value that is out of date, but may be better than none.
        replaces: the version of the value that is there, as bytes, which a lease is to replace.
    """

    answers: bool
    found: Found | None = None
    old: Found | None = None
    replaces: bytes = b""


_SILENT = RedisAnswer(answers=False)
_NOTHING = RedisAnswer(answers=True)


async def read(tiers: Tiers, io: IO, ask: Ask, redis: RedisAnswer | None = None) -> Found | None:
    """Return the value of a key that memory alone cannot answer for; `None` if there is none and no loader.

    `redis` is what Redis has said, if it was asked already, after `ask.stamp` was taken.

    Raises:
        LoadTimeout: the loader takes too long.
        Exception: whatever the loader raises.
    """
    if redis is None:
        ask.stamp = tiers.coherence.stamp()
    stamp = ask.stamp
    remembered, standing = tiers.remembered(ask)
    current = remembered if standing == "current" else None
    if remembered is not None:
        if current is None:
            tiers.tally.count("suspects")
        elif ask.loader is None and tiers.may_be_returned(ask, current):
            return as_remembered(current)
    if redis is None:
        backplane = tiers.backplane
        if backplane is None or ask.terms.local or not backplane.answers_for(ask.key):
            redis = _SILENT
        else:
            try:
                if remembered is not None and current is None and await _is_confirmed(tiers, io, ask, remembered):
                    redis = RedisAnswer(answers=True, found=as_remembered(remembered))
                elif tiers.disk and (body := await _body_on_disk(tiers, io, ask, current)) is not None:
                    redis = RedisAnswer(answers=True, found=body)
                else:
                    blob = await io.redis(backplane.redis, backplane.steps.get(ask.key))
                    judged = judge_at_once(tiers, ask, blob, current)
                    if isinstance(judged, Found):
                        tiers.keep(ask, judged, stamp)
                        return judged
                    redis = judged or await judge_blob(tiers, io, ask, blob, current)
            except TierUnavailable as error:
                tiers.note_unavailable(error)
                redis = _SILENT
    if redis.found is not None:
        tiers.keep(ask, redis.found, stamp)
        return redis.found
    is_vouched_for = current is not None and tiers.now() < current.until
    if remembered is not None and not is_vouched_for:
        remembered = remembered.as_doubted()
    old = _newer(redis.old, remembered)
    from_disk, is_believed = await tiers.from_disk(io, ask)
    wall = tiers.wall()
    if from_disk is not None:
        is_new = current is None or from_disk.created > current.created
        if is_believed and is_new and from_disk.is_fresh(wall):
            tiers.tally.count_tier("l3", "hits")
            tiers.keep(ask, from_disk, stamp, on_disk=True)
            if redis.answers:
                promote(tiers, io, ask, from_disk)
            return from_disk
        if not is_believed:
            tiers.tally.count("suspects")
        tiers.tally.count_tier("l3", "misses", "stale" if is_believed else "suspect")
        old = _newer(old, from_disk if is_believed else from_disk.as_doubted())
    is_cut_off = tiers.backplane is not None and not redis.answers and not ask.terms.local
    if is_cut_off and tiers.on_disconnect == "stale" and old is not None and old.is_fresh(wall):
        # Nobody can say what was invalidated meanwhile: what there is, is returned, and said to be stale.
        tiers.tally.count("stale_served")
        stale = old.as_stale()
        tiers.keep(ask, stale, stamp, until=tiers.now() + tiers.horizon)
        return stale
    if ask.loader is None:
        return None
    if old is not None and not old.is_usable(wall, ask.terms.kept_after_ttl):
        old = None
    if current is not None and current.is_fresh(wall):
        tiers.tally.count("early_refreshes")
    is_known = old is not None and (old is redis.old or (old is from_disk and is_believed))
    if current is None and old is not None and is_known and old.is_usable(wall, ask.terms.options.stale):
        tiers.keep(ask, old, stamp)
        if _start_load(tiers, io, ask, old, redis):
            tiers.tally.count("stale_served")
            return old.as_stale()
    return await _load(tiers, io, ask, old, redis)


def _start_load(tiers: Tiers, io: IO, ask: Ask, old: Found, redis: RedisAnswer) -> bool:
    """Load a key in the background; return whether that was begun."""
    try:
        io.start(_load(tiers, io, ask, old, redis)).add_done_callback(log_failure)
    except RuntimeError:  # no more threads
        return False
    return True


def as_remembered(found: Found) -> Found:
    """Return what memory has, as found there."""
    remembered = copy(found)
    remembered.tier = "l1"
    return remembered


async def load(tiers: Tiers, io: IO, ask: Ask, *, epoch: int) -> Found:
    """Run the loader of a key, whatever the tiers have, and store nothing; `epoch` is the clock of tags now."""
    ask.stamp = tiers.coherence.stamp()
    return await _call_loader(tiers, io, ask, None, epoch=epoch)


def _newer(one: Found | None, other: Found | None) -> Found | None:
    if one is None or (other is not None and other.created > one.created):
        return other
    return one


# --- Redis ----------------------------------------------------------------------------------------------


async def _is_confirmed(tiers: Tiers, io: IO, ask: Ask, remembered: Found) -> bool:
    """Return whether Redis has the value that memory has: the head of its envelope says that."""
    backplane = tiers.backplane
    if backplane is None or not remembered.version or remembered.stale or not remembered.is_fresh(tiers.wall()):
        return False
    head = await io.redis(backplane.redis, backplane.steps.header(ask.key))
    header = tiers.codec.header(head) if head else None
    if header is None or header.version != remembered.version:
        return False
    if await tiers.is_tagged_dead(io, remembered):
        return False
    tiers.tally.count("revalidations")
    return True


async def _body_on_disk(tiers: Tiers, io: IO, ask: Ask, refreshed: Found | None) -> Found | None:
    """Return a large value from the disk, if it is the one that Redis has: then only its head has to travel."""
    backplane, disk = tiers.backplane, tiers.disk
    if backplane is None or disk is None or refreshed is not None or not tiers.wants_disk(ask):
        return None
    row = disk.header(ask.key)
    if row is None or row.size < _LARGE_BYTES:
        return None
    head = await io.redis(backplane.redis, backplane.steps.header(ask.key))
    header = tiers.codec.header(head) if head else None
    if header is None or header.version != row.version:
        return None
    whole = disk.get(ask.key)
    found = None if whole is None else tiers.decode(ask, whole.blob, "l3")
    if found is None or found.version != header.version or not found.is_fresh(tiers.wall()):
        return None
    if await tiers.is_tagged_dead(io, found):
        return None
    tiers.tally.count_tier("l3", "hits")
    return found


def judge_at_once(tiers: Tiers, ask: Ask, blob: bytes | None, refreshed: Found | None) -> Found | RedisAnswer | None:
    """Say what a value in Redis is good for, or return it if it is to be returned; `None` if its tags are unknown.

    `refreshed` is one that is to be computed anew, if that is it.
    """
    if blob is None:
        tiers.tally.count_tier("l2", "misses")
        return _NOTHING
    found = tiers.decode(ask, blob, "l2")
    if found is None:
        return RedisAnswer(answers=True, replaces=_version(blob))
    backplane = tiers.backplane
    is_dead = False if backplane is None else backplane.judge(found.epoch, found.hashes)
    if is_dead is None:
        return None
    if not is_dead and refreshed is None and found.is_fresh(tiers.wall()):
        tiers.tally.count_fast(L2_HIT)
        return found
    return _judged(tiers, blob, found, refreshed, is_dead=is_dead)


async def judge_blob(tiers: Tiers, io: IO, ask: Ask, blob: bytes | None, refreshed: Found | None) -> RedisAnswer:
    """Say the same, and ask for its tags.

    Raises:
        TierUnavailable: Redis does not answer.
    """
    if blob is None:
        tiers.tally.count_tier("l2", "misses")
        return RedisAnswer(answers=True)
    found = tiers.decode(ask, blob, "l2")
    if found is None:
        return RedisAnswer(answers=True, replaces=_version(blob))
    return _judged(tiers, blob, found, refreshed, is_dead=await tiers.is_tagged_dead(io, found))


def _judged(tiers: Tiers, blob: bytes, found: Found, refreshed: Found | None, *, is_dead: bool) -> RedisAnswer:
    if is_dead:
        tiers.tally.count_tier("l2", "misses", "tag")
        return RedisAnswer(answers=True, replaces=_version(blob))
    if found.is_fresh(tiers.wall()) and (refreshed is None or found.version != refreshed.version):
        tiers.tally.count_tier("l2", "hits")
        return RedisAnswer(answers=True, found=found)
    tiers.tally.count_tier("l2", "misses", "stale")
    return RedisAnswer(answers=True, old=found, replaces=_version(blob))


def _version(blob: bytes | memoryview) -> bytes:
    """Return what tells a value in Redis from others; of what is too short to be one of ours, what there is."""
    return bytes(blob[VERSION])


async def _take_lease(
    tiers: Tiers, io: IO, ask: Ask, old: Found | None, redis: RedisAnswer, *, may_wait: bool
) -> _Lease | Found | None:
    """Return the lease to load a key; or the value, which somebody else has loaded; or `None` to load without.

    `may_wait` says that it is not the caller itself, further out, who has the lease.

    Raises:
        TierUnavailable: Redis does not answer.
    """
    backplane = tiers.backplane
    if backplane is None:
        return None
    token = secrets.token_bytes(16)
    lease_ms = max(1, round(tiers.lease_seconds * 1000))
    deadline = tiers.now() + _longest_wait(tiers, ask)
    replaces, replies = redis.replaces, 0
    while True:
        stamp = tiers.coherence.stamp()
        try:
            reply = await io.redis(backplane.redis, backplane.steps.lease(ask.key, token, lease_ms, replaces))
        except TierUnavailable:
            raise
        except BaseException:  # the caller was interrupted, and may have been granted it
            _start_release(tiers, io, ask, _Lease(token, 0))
            raise
        if reply.granted:
            return _Lease(token, reply.clock)
        if reply.value is not None:
            judged = await judge_blob(tiers, io, ask, reply.value, None)
            if judged.found is not None:
                tiers.tally.count("lease_waits")
                tiers.keep(ask, judged.found, stamp)
                return judged.found
            replaces, replies = judged.replaces, replies + 1
            if replies > _MOST_REPLIES:
                return None
        elif old is not None and old.may_stand_in(tiers.wall(), ask.terms.options.stale):
            tiers.tally.count("stale_served")
            return old.as_stale()
        elif not may_wait or tiers.now() >= deadline:
            return None
        else:
            await io.sleep(uniform(_SHORTEST_LOOK, _LONGEST_LOOK))


def _longest_wait(tiers: Tiers, ask: Ask) -> float:
    terms = ask.terms
    limits = (terms.hard_timeout, terms.options.wait_timeout, _LEASES_WAITED_FOR * tiers.lease_seconds)
    return min(limit for limit in limits if limit is not None)


# --- loading --------------------------------------------------------------------------------------------


async def _load(tiers: Tiers, io: IO, ask: Ask, old: Found | None, redis: RedisAnswer) -> Found:
    """Load a key, unless another instance does, and store what comes of it; or fall back on an old value."""
    may_wait = not is_own_load(tiers, ask.key)
    if tiers.backplane is None:
        return await _load_as_one(tiers, io, ask, old, redis, may_wait=may_wait)
    with OwnLoad(tiers, (ask,)):
        return await _load_as_one(tiers, io, ask, old, redis, may_wait=may_wait)


async def _load_as_one(
    tiers: Tiers, io: IO, ask: Ask, old: Found | None, redis: RedisAnswer, *, may_wait: bool
) -> Found:
    lease: _Lease | None = None
    running = tiers.overdue.find(ask, io) if may_wait else None
    if redis.answers and running is None:
        try:
            taken = await _take_lease(tiers, io, ask, old, redis, may_wait=may_wait)
        except TierUnavailable as error:
            tiers.note_unavailable(error)
            redis = _SILENT
        else:
            if isinstance(taken, Found):
                return taken
            lease = taken
    try:
        if running is not None:
            return await _in_time(tiers, io, ask, old, running)
        work = _load_and_store(tiers, io, ask, old, lease, is_alone=not redis.answers)
        if ask.terms.hard_timeout is None and (old is None or ask.terms.soft_timeout is None):
            return await work
        return await _in_time(tiers, io, ask, old, io.start(work))
    except Exception:
        saved = old is not None and old.may_stand_in(tiers.wall(), ask.terms.options.stale_if_error)
        if old is None or not saved or not _is_untouched(tiers, ask, old):
            raise
        tiers.tally.count("stale_served")
        stale = old.as_stale()
        tiers.keep(ask, stale, ask.stamp)
        return stale


async def _in_time(tiers: Tiers, io: IO, ask: Ask, old: Found | None, background: Background) -> Found:
    """Wait for a load for as long as the terms allow. It goes on all the same, and stores what comes of it."""
    soft, hard, began = ask.terms.soft_timeout, ask.terms.hard_timeout, tiers.now()
    first = soft if old is not None and soft is not None else hard
    is_done = False
    try:
        is_done = await io.wait(background, first)
        if not is_done and first is not hard:
            if old is not None and _is_untouched(tiers, ask, old):
                tiers.tally.count("stale_served")
                return old.as_stale()
            is_done = await io.wait(background, None if hard is None or soft is None else hard - soft)
    finally:
        if not is_done and tiers.overdue.add(ask, io, background, began):
            background.add_done_callback(log_failure)
    if is_done:
        found: Found = background.result()
        return found
    tiers.tally.count("timeouts")
    raise LoadTimeout(f"a load takes longer than hard_timeout, {hard:g} s; what comes of it will be kept")


def _is_untouched(tiers: Tiers, ask: Ask, old: Found) -> bool:
    """Return whether an old value was not invalidated since the search began."""
    return tiers.coherence.is_current(ask.stamp, (*ask.names, *map(tag_name, old.hashes)))


async def _load_and_store(
    tiers: Tiers, io: IO, ask: Ask, old: Found | None, lease: _Lease | None, *, is_alone: bool
) -> Found:
    """Run the loader, and store its value in all tiers.

    `is_alone` says that Redis does not answer. With neither that nor a lease nothing is stored: another instance has
    been loading the key for too long, and nobody would say here that it was invalidated.
    """
    backplane = tiers.backplane
    stamp, began = tiers.coherence.stamp(), tiers.now()
    if lease is None or backplane is None:
        found = await _call_loader(tiers, io, ask, old, epoch=0)
        if backplane is None or ask.terms.local:
            tiers.store_here(ask, found, stamp)
        elif is_alone:
            tiers.keep(ask, found, stamp, until=began + tiers.horizon)
        return found
    backplane.leases.hold(lease.token, ask.key)
    is_over = False
    try:
        found = await _call_loader(tiers, io, ask, old, epoch=lease.epoch)
        if found.hard > 0:
            is_over = bool(await tiers.fill(io, [(ask, found)], stamp, lease.token, began))
        return found
    except GeneratorExit:  # its loop is gone: nothing can be waited for
        is_over = True
        raise
    finally:
        backplane.leases.drop(lease.token, ask.key)
        if not is_over:
            await _release(tiers, io, ask, lease)


async def _release(tiers: Tiers, io: IO, ask: Ask, lease: _Lease) -> None:
    backplane = tiers.backplane
    if backplane is None:
        return
    try:
        await io.redis(backplane.redis, backplane.steps.release(ask.key, lease.token))
    except TierUnavailable as error:  # it expires
        tiers.note_unavailable(error)


def _start_release(tiers: Tiers, io: IO, ask: Ask, lease: _Lease) -> None:
    work = _release(tiers, io, ask, lease)
    try:
        io.start(work).add_done_callback(log_failure)
    except RuntimeError:  # no more threads, or no loop any more: it expires
        work.close()


async def _call_loader(tiers: Tiers, io: IO, ask: Ask, old: Found | None, *, epoch: int) -> Found:
    """Run the loader, and return what it says; what is not to be kept lives for no time."""
    loader = ask.loader
    if loader is None:
        raise TypeError("there is no loader")
    context: LoadContext[Any] | None = None
    kwargs = ask.kwargs
    if ask.context_name is not None:
        context = LoadContext(ask.l1_key, private=ask.terms.private)
        if old is not None:
            context.stale, context.stale_version = old.value, old.version
        kwargs = {**kwargs, ask.context_name: context}
    start = tiers.now()
    try:
        with OwnLoad(tiers, (ask,)):  # also where it goes on for longer than its caller waits
            value = await io.call(loader, *ask.args, **kwargs)
    except BaseException:
        tiers.tally.count("load_errors")
        tiers.tally.count("load_seconds", tiers.now() - start)
        raise
    cost = max(0.0, tiers.now() - start)
    tiers.tally.count("loads")
    tiers.tally.count("load_seconds", cost)
    if tiers.ahead is not None:
        tiers.ahead.loaded(cost)
    return described(tiers, ask, value, context=context, old=old, cost=cost, epoch=epoch)


def described(
    tiers: Tiers,
    ask: Ask,
    value: Any,
    *,
    context: LoadContext[Any] | None = None,
    old: Found | None = None,
    cost: float = 0.0,
    epoch: int = 0,
) -> Found:
    """Return a value with the times and tags that its terms, its loader and itself give it."""
    terms = ask.terms
    ttl = terms.options.ttl
    if type(value) is WithTTL:
        value, ttl = value.value, seconds("the ttl of a WithTTL", value.ttl)
    if value is NOT_MODIFIED:
        if old is None:
            raise ValueError("the loader returned ctx.not_modified(), but there is no old value: see ctx.has_stale")
        value = old.value
        tiers.tally.count("not_modified")
    if callable(ttl):
        lives = ttl(value)
        ttl = inf if lives is None else seconds("what ttl() returns", lives)
    tags = names_of_tags(terms.tags(*ask.args, **ask.kwargs)) if callable(terms.tags) else terms.tags
    is_private = terms.private or terms.local
    if context is not None:
        ttl = ttl if context.ttl is None else context.ttl
        tags = tuple(dict.fromkeys((*tags, *context.tags)))
        is_private = is_private or context.private
        if not context.is_stored:
            ttl = 0.0
    if value is None:
        ttl = 0.0 if terms.negative_ttl is None else min(ttl, terms.negative_ttl)
    if terms.options.jitter:
        ttl *= 1.0 - terms.options.jitter * random()
    return Found(
        value,
        "loader",
        version=tiers.codec.new_version(int(tiers.wall() * 1000)),
        created=tiers.wall(),
        soft=ttl,
        hard=ttl + terms.kept_after_ttl if ttl > 0 else 0.0,
        cost=cost,
        tags=tags,
        hashes=(*map(tag_hash, tags), PRIVATE) if is_private else tuple(map(tag_hash, tags)),
        epoch=epoch,
    )
