"""Keeping the tier within its limits: which entries go, and the space that is kept for deleting on a full disk.

Expired entries go first, then those not read for longest, both found by sampling, as Redis does: rows are drawn at
random, and while many of them are expired only those are removed. A shard of up to 512 entries is looked at whole.
"""

from __future__ import annotations

import os
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from .schema import OVERHEAD, Sql

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from .shard import Handle

__all__ = ("HIGH_WATER", "LOW_WATER", "Ballast", "Removed", "counters", "remove_expired", "shrink")

HIGH_WATER, LOW_WATER = 0.95, 0.90
_WHOLE = 512
_DRAWS, _RUN = 8, 8
_BALLAST = 3 << 20


class Removed(NamedTuple):
    """How many entries were removed, by reason."""

    expired: int = 0
    least_recent: int = 0


class _Candidate(NamedTuple):
    id: int
    expires: float
    touched: int
    size: int


def counters(handle: Handle) -> tuple[int, int]:
    """Return how many entries a shard has, and how many bytes they take, about."""
    entries, size = handle.run(Sql.COUNTERS)[0]
    return _whole(entries), _whole(size)


def remove_expired(handle: Handle, now: float, random: random.Random, rounds: int = 16) -> Removed:
    """Remove expired entries, for as long as many of those drawn are."""
    removed = 0
    for _ in range(rounds):
        drawn = _draw(handle, random)
        expired = [candidate for candidate in drawn if candidate.expires <= now]
        _delete(handle, expired)
        removed += len(expired)
        if len(expired) * 4 < len(drawn) or len(expired) == len(drawn) < _DRAWS:
            break
    return Removed(expired=removed)


def shrink(handle: Handle, now: float, keep_entries: float, keep_bytes: float, random: random.Random) -> Removed:
    """Remove entries until so many, and so many bytes, are left at most.

    What is left is looked up again after each step: others may be removing from the same shard.
    """
    expired_count = least_recent = 0
    while True:
        entries, size = counters(handle)
        if entries <= keep_entries and size <= keep_bytes:
            break
        drawn = _draw(handle, random)
        if not drawn:
            break
        victims = [candidate for candidate in drawn if candidate.expires <= now]
        expired_count += len(victims)
        if len(victims) * 4 < len(drawn):
            live = _least_recent(drawn, now, entries - keep_entries, size - keep_bytes, victims)
            least_recent += len(live)
            victims += live
        _delete(handle, victims)
    return Removed(expired_count, least_recent)


def _least_recent(
    drawn: list[_Candidate], now: float, entries: float, size: float, expired: list[_Candidate]
) -> list[_Candidate]:
    """Choose the oldest of a sample, as many as have to go besides those that are `expired`."""
    entries -= len(expired)
    size -= sum(each.size + OVERHEAD for each in expired)
    live = sorted((each for each in drawn if each.expires > now), key=itemgetter(2, 0))
    # A quarter of a sample: hardly worse than its oldest one, at a fraction of the draws.
    most = len(live) if len(drawn) > _DRAWS * _RUN else max(1, len(live) // 4)
    chosen: list[_Candidate] = []
    for candidate in live[:most]:
        if entries <= 0 and size <= 0:
            break
        chosen.append(candidate)
        entries -= 1
        size -= candidate.size + OVERHEAD
    return chosen


def _draw(handle: Handle, random: random.Random) -> list[_Candidate]:
    count, _ = counters(handle)
    if count <= _WHOLE:
        return [_candidate(row) for row in handle.run(Sql.SAMPLE, (-(2**63), _WHOLE))]
    low, high = handle.run(Sql.BOUNDS)[0]
    drawn = {}
    for _ in range(_DRAWS):
        for row in handle.run(Sql.SAMPLE, (random.randint(_whole(low), _whole(high)), _RUN)):
            candidate = _candidate(row)
            drawn[candidate.id] = candidate
    return list(drawn.values())


def _candidate(row: tuple[object, ...]) -> _Candidate:
    # Anything but numbers comes from a damaged page: such a row is the first to go.
    identity, expires, touched, size = row
    return _Candidate(
        _whole(identity), expires if isinstance(expires, float) else -1.0, _whole(touched), max(_whole(size), 0)
    )


def _whole(number: object) -> int:
    return number if isinstance(number, int) else 0


def _delete(handle: Handle, victims: list[_Candidate]) -> None:
    if victims:
        handle.run(Sql.BEGIN)
        for victim in victims:
            handle.run(Sql.DELETE_ID, (victim.id,))
        handle.run(Sql.COMMIT)


class Ballast:
    """A file of 3 MiB that is removed when the disk is full: a delete needs space in the WAL first."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ensure(self) -> None:
        """Make it if it is not there.

        Raises:
            OSError: above all if the disk is full.
        """
        try:
            if self._path.lstat().st_size == _BALLAST:
                return
        except FileNotFoundError:
            pass
        draft = self._path.with_name(f"ballast.{os.getpid()}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        try:
            noise = os.urandom(1 << 16)  # a file system may store zeros in no space at all
            with os.fdopen(os.open(draft, flags, 0o600), "wb", buffering=0) as file:
                left = _BALLAST
                while left:
                    left -= file.write(noise[:left])
            draft.rename(self._path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def release(self) -> bool:
        """Give the space back; whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
