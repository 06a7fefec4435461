"""Several keys at once: looked up, leased and filled with one request of each kind, however many they are."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from overdrive._memoize.lifetimes import Verdict
from overdrive._tiers import writing
from overdrive._tiers.loading import verdict_of
from overdrive._tiers.own_loads import OwnLoad
from overdrive._tiers.reading import RedisAnswer, described, judge_blob, read
from overdrive.exceptions import TierUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from typing import Any

    from overdrive._tiers.ask import Ask
    from overdrive._tiers.driving import IO
    from overdrive._tiers.found import Found
    from overdrive._tiers.tiers import Tiers

__all__ = ("load_many", "read_many", "write_many")


async def read_many(tiers: Tiers, io: IO, asks: Sequence[Ask]) -> dict[Hashable, Any]:
    """Return the values of those keys that some tier has."""
    values, missing = _from_memory(tiers, asks)
    answers = await _ask_redis(tiers, io, missing)
    for ask, answer in zip(missing, answers, strict=True):
        found = await read(tiers, io, ask, answer)
        if found is not None:
            values[ask.l1_key] = found.value
    return _in_order(asks, values)


async def load_many(
    tiers: Tiers, io: IO, asks: Sequence[Ask], loader: Callable[[list[Any]], Any]
) -> dict[Hashable, Any]:
    """Return the values of keys; those that no tier has are loaded together, once among all instances."""
    values, missing = _from_memory(tiers, asks)
    answers = await _ask_redis(tiers, io, missing)
    absent: list[Ask] = []
    replaces: list[bytes] = []
    for ask, answer in zip(missing, answers, strict=True):
        found = await read(tiers, io, ask, answer)
        if found is None:
            absent.append(ask)
            replaces.append(answer.replaces)
        else:
            values[ask.l1_key] = found.value
    if absent:
        is_alone = tiers.backplane is None or not all(answer.answers for answer in answers)
        values |= await _load_absent(tiers, io, absent, replaces, loader, is_alone=is_alone)
    return _in_order(asks, values)


async def write_many(tiers: Tiers, io: IO, pairs: Sequence[tuple[Ask, Found]]) -> None:
    """Set the values of several keys, one after the other.

    Raises:
        SerializationError: one of them cannot be written outside of memory. None is set then.
    """
    if tiers.backplane is not None or tiers.disk is not None:
        for ask, found in pairs:
            if not ask.terms.local:
                tiers.encode(ask.key, found, ask.codec)
    for ask, found in pairs:
        await writing.write(tiers, io, ask, found)


def _from_memory(tiers: Tiers, asks: Sequence[Ask]) -> tuple[dict[Hashable, Any], list[Ask]]:
    values: dict[Hashable, Any] = {}
    missing: list[Ask] = []
    for ask in asks:
        entry = ask.entry()
        if entry is None or entry.error is not None or verdict_of(tiers, ask, entry) is Verdict.GONE:
            tiers.tally.count_tier("l1", "misses")
            ask.stamp = tiers.coherence.stamp()
            missing.append(ask)
        else:
            tiers.tally.count_tier("l1", "hits")
            values[ask.l1_key] = entry.value
    return values, missing


def _in_order(asks: Sequence[Ask], values: dict[Hashable, Any]) -> dict[Hashable, Any]:
    return {ask.l1_key: values[ask.l1_key] for ask in asks if ask.l1_key in values}


async def _ask_redis(tiers: Tiers, io: IO, asks: Sequence[Ask]) -> list[RedisAnswer]:
    backplane = tiers.backplane
    silent = RedisAnswer(answers=False)
    if backplane is None or not asks or asks[0].terms.local:
        return [silent] * len(asks)
    try:
        blobs = await io.redis(backplane.redis, backplane.steps.get_many([ask.key for ask in asks]))
        return [
            await judge_blob(tiers, io, ask, blob, None) if backplane.answers_for(ask.key) else silent
            for ask, blob in zip(asks, blobs, strict=True)
        ]
    except TierUnavailable as error:
        tiers.note_unavailable(error)
        return [silent] * len(asks)


async def _load_absent(
    tiers: Tiers,
    io: IO,
    asks: list[Ask],
    replaces: list[bytes],
    loader: Callable[[list[Any]], Any],
    *,
    is_alone: bool,
) -> dict[Hashable, Any]:
    backplane = tiers.backplane
    token = secrets.token_bytes(16)
    granted, others, epoch = asks, [], 0
    is_leased = False
    if backplane is not None and not is_alone:
        lease_ms = max(1, round(tiers.lease_seconds * 1000))
        try:
            replies = await io.redis(
                backplane.redis, backplane.steps.lease_many([ask.key for ask in asks], token, lease_ms, replaces)
            )
        except TierUnavailable as error:
            tiers.note_unavailable(error)
            is_alone = True
        else:
            is_leased = True
            granted = [ask for ask, reply in zip(asks, replies, strict=True) if reply.granted]
            others = [ask for ask, reply in zip(asks, replies, strict=True) if not reply.granted]
            epoch = max((reply.clock for reply in replies), default=0)
    values: dict[Hashable, Any] = {}
    if granted:
        with OwnLoad(tiers, granted):
            values = await _load(tiers, io, granted, loader, token if is_leased else None, epoch, is_alone=is_alone)
    for ask in others:  # another instance loads them, or has just done so
        ask.loader = _one_of(loader, io)
        try:
            found = await read(tiers, io, ask)
        except KeyError as absent:
            if absent.args != (ask.l1_key,):
                raise
            continue
        if found is not None:
            values[ask.l1_key] = found.value
    return values


async def _load(
    tiers: Tiers,
    io: IO,
    asks: list[Ask],
    loader: Callable[[list[Any]], Any],
    token: bytes | None,
    epoch: int,
    *,
    is_alone: bool,
) -> dict[Hashable, Any]:
    backplane = tiers.backplane
    stamp, began = tiers.coherence.stamp(), tiers.now()
    unfilled = {ask.key for ask in asks}
    leases = None if token is None or backplane is None else backplane.leases
    if leases is not None and token is not None:
        for key in unfilled:
            leases.hold(token, key)
    try:
        loaded: Mapping[Any, Any] = await io.call(loader, [ask.l1_key for ask in asks])
        cost = max(0.0, tiers.now() - began)
        tiers.tally.count("loads")
        tiers.tally.count("load_seconds", cost)
        values: dict[Hashable, Any] = {}
        fills: list[tuple[Ask, Found]] = []
        for ask in asks:
            if ask.l1_key not in loaded:
                continue
            found = described(tiers, ask, loaded[ask.l1_key], cost=cost / len(asks), epoch=epoch)
            values[ask.l1_key] = found.value
            if token is not None and backplane is not None and not ask.terms.local:
                if found.hard > 0:
                    fills.append((ask, found))
            elif backplane is None or ask.terms.local:
                tiers.store_here(ask, found, stamp)
            elif is_alone:
                tiers.keep(ask, found, stamp, until=began + tiers.horizon)
        if fills and token is not None:
            unfilled -= await tiers.fill(io, fills, stamp, token, began)
        return values
    except BaseException:
        tiers.tally.count("load_errors")
        tiers.tally.count("load_seconds", tiers.now() - began)
        raise
    finally:
        if token is not None and backplane is not None:
            for ask in asks:
                backplane.leases.drop(token, ask.key)
            for key in unfilled:
                try:
                    await io.redis(backplane.redis, backplane.steps.release(key, token))
                except TierUnavailable as error:  # they expire
                    tiers.note_unavailable(error)
                    break


def _one_of(loader: Callable[[list[Any]], Any], io: IO) -> Callable[[Any], Any]:
    """Return a loader of one key by means of one of many; it raises `KeyError(key)` if there is no value."""
    if io.is_blocking:
        return lambda key: loader([key])[key]

    async def load(key: Hashable) -> object:
        return (await io.call(loader, [key]))[key]

    return load
