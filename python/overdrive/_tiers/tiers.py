"""What a tiered cache is made of, and how values come in and out of each part."""

from __future__ import annotations

from math import inf, isinf
from typing import TYPE_CHECKING

from overdrive._core import Entry
from overdrive._memoize.lifetimes import LONGEST, error_entry
from overdrive._tiers.found import Found
from overdrive._tiers.l2.scripts import Fill
from overdrive._tiers.log import logger
from overdrive._tiers.names import hash_of_text, key_name, tag_name
from overdrive._tiers.overdue import Overdue
from overdrive._tiers.promoting import SeenOnce
from overdrive._tiers.stats import L1_SET
from overdrive._tiers.values.codec import Refusal
from overdrive.exceptions import SerializationError, TierUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal

    from overdrive._core import Coherence
    from overdrive._tiers.ahead import Ahead
    from overdrive._tiers.ask import Ask
    from overdrive._tiers.driving import IO
    from overdrive._tiers.l2.backplane import Backplane
    from overdrive._tiers.l3.tier import DiskTier
    from overdrive._tiers.stats import StatsTally
    from overdrive._tiers.values.codec import Codec

__all__ = ("Tiers",)

# A value that will be gone so soon is not worth a place on the disk.
_WORTH_DISK_SECONDS = 30.0
# How entries stand when something may have changed since they were read or loaded.
_OUTDATED = frozenset({"invalid", "suspect"})
# Kinds of values that cannot be written, of which the log is told.
_MOST_TOLD = 100


class Tiers:
    """The parts of a cache: memory's coherence, the codec, Redis, the disk, and what is counted.

    Attributes:
        coherence: what in memory may still be believed.
        codec: values as bytes.
        backplane: Redis, with what keeps this instance up to date; `None` without Redis.
        disk: L3; `None` without one.
        tally: what is counted.
        horizon: H, the seconds after which memory is not believed unless Redis was heard of.
        on_disconnect: `"l2"`: what Redis cannot vouch for is not returned as fresh; `"stale"`: it is, and said so.
        lease_seconds: how long one instance may load a key before another one may.
        throttle_seconds: how long an old value is returned after its loader failed, before it is tried again.
        now: the monotonic clock, in seconds.
        wall: the time since 1970, in seconds.
        largest_on_disk: the largest value that L3 is given, in bytes as it is written.
        ahead: what fetches ahead, if anything does.
    """

    def __init__(
        self,
        *,
        coherence: Coherence,
        codec: Codec,
        backplane: Backplane | None,
        disk: DiskTier | None,
        tally: StatsTally,
        horizon: float,
        on_disconnect: Literal["l2", "stale"],
        lease_seconds: float,
        throttle_seconds: float,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.coherence = coherence
        self.codec = codec
        self.backplane = backplane
        self.disk = disk
        self.tally = tally
        self.horizon = horizon
        self.on_disconnect = on_disconnect
        self.lease_seconds = lease_seconds
        self.throttle_seconds = throttle_seconds
        self.now = now
        self.wall = wall
        self.seen_on_disk = SeenOnce()
        self.largest_on_disk = inf
        self.overdue = Overdue(self)
        self.ahead: Ahead | None = None
        self._told: set[str] = set()

    @property
    def has_lower(self) -> bool:
        """Whether there is Redis or a disk."""
        return self.backplane is not None or self.disk is not None

    # --- memory -------------------------------------------------------------------------------------

    def remembered(self, ask: Ask) -> tuple[Found | None, str]:
        """Return what memory has for a key, unless it was invalidated, and how far it may be believed.

        That is `"current"`, `"suspect"` after a gap in what was heard of other instances, or `"untrusted"` while
        nothing is heard of them.
        """
        entry = ask.entry()
        if entry is None or entry.error is not None:
            return None, "current"
        now = self.now()
        standing, found = entry._standing(now), entry.extra
        if standing == "invalid" or not isinstance(found, Found) or now >= entry.expires:
            return None, standing
        if standing == "suspect" and self._is_cleared(found):
            return None, standing
        return found, standing

    def may_be_returned(self, ask: Ask, found: Found) -> bool:
        """Return whether what memory has, and believes, is fresh, or is stale and may be returned as such."""
        return self.now() < found.until and found.is_usable(self.wall(), ask.terms.options.stale)

    def _is_cleared(self, found: Found) -> bool:
        """Return whether what is suspect is known to have been cleared; without Redis nothing else makes it so."""
        return self.backplane is None or self.backplane.judge(found.epoch, found.hashes) is True

    def keep(self, ask: Ask, found: Found, stamp: int, *, until: float = inf, on_disk: bool = False) -> None:
        """Keep a value in memory.

        Args:
            ask: for whom.
            found: the value; not to be changed afterwards.
            stamp: when reading or loading it began: it is not believed if it was invalidated since.
            until: the monotonic time until which it may be believed without being heard of; infinite if it is to be
                believed while the listener is attached.
            on_disk: whether L3 has it too.
        """
        options, now, age = ask.terms.options, self.now(), found.age(self.wall())
        kept = found.hard - age
        if kept <= 0:
            return
        self.tally.count_fast(L1_SET)
        found.key, found.until, found.on_disk, found.stamp = ask.key, until, on_disk, stamp
        fresh_until = now + found.soft - age
        quiet_until = min(fresh_until, until)
        if found.stale:
            # While it stands in for a value that cannot be had, it is returned without asking at once again.
            fresh_until = quiet_until = min(now + min(self.throttle_seconds, kept), until)
        elif options.early:
            quiet_until = min(quiet_until, fresh_until - LONGEST * found.cost * options.early)
        hashes = found.hashes
        entry = Entry(
            found.value,
            quiet_until=quiet_until,
            fresh_until=fresh_until,
            expires=now + kept,
            load_seconds=found.cost,
            idle=options.idle,
            now=now,
            coherence=self.coherence,
            stamp=stamp,
            names=(*ask.names, *map(tag_name, hashes)) if hashes else ask.names,
            needs_trust=until == inf and self.backplane is not None and not found.stale,
            extra=found,
        )
        if entry._standing(now) in _OUTDATED:
            # What was invalidated while it was loaded is not to take the place of what was stored since.
            there = ask.entry()
            if there is not None and there._standing(now) not in _OUTDATED:
                return
        ask.memory.keep(ask.l1_key, entry, kept)

    # --- values as bytes ----------------------------------------------------------------------------

    def decode(self, ask: Ask, blob: bytes | memoryview, tier: Literal["l2", "l3"]) -> Found | None:
        """Return the value in an envelope; count why there is none."""
        decoded = (ask.codec or self.codec).decode(ask.key, blob, int(self.wall() * 1000))
        if isinstance(decoded, Refusal):
            self.tally.count_tier(tier, "misses", decoded.reason)
            return None
        value, header = decoded
        return Found(
            value,
            tier,
            header.version,
            header.created_ms / 1000,
            header.soft,
            header.hard,
            header.cost,
            (),
            tuple(header.tags),
            header.epoch or 0,
        )

    async def is_tagged_dead(self, io: IO, found: Found) -> bool:
        """Return whether one of a value's tags, or the whole cache, was invalidated after its load began."""
        if self.backplane is None:
            return False  # the disk forgets what is invalidated at once
        return await self.backplane.is_dead(io, found.epoch, found.hashes)

    def encode(self, key: bytes, found: Found, codec: Codec | None = None) -> bytes:
        """Return the envelope of a value.

        Raises:
            SerializationError: the value cannot be written.
        """
        return (codec or self.codec).encode(
            key,
            found.value,
            now_ms=int(found.created * 1000),
            soft=found.soft,
            hard=found.hard,
            epoch=found.epoch,
            tags=found.hashes,
            cost=found.cost,
            version=found.version,
        )

    # --- the disk -----------------------------------------------------------------------------------

    async def from_disk(self, io: IO, ask: Ask) -> tuple[Found | None, bool]:
        """Return what L3 has for a key, and whether that may be believed."""
        disk = self.disk
        if disk is None or not self.wants_disk(ask):
            return None, False
        row = disk.get(ask.key)
        if row is None:
            self.tally.count_tier("l3", "misses")
            return None, False
        found = self.decode(ask, row.blob, "l3")
        if found is None:
            disk.delete(ask.key)  # of no use to anybody
            return None, False
        backplane = self.backplane
        if backplane is None:
            return found, not row.suspect
        try:
            if await self.is_tagged_dead(io, found):
                self.tally.count_tier("l3", "misses", "tag")
                return None, False
        except TierUnavailable:
            return found, False
        heard_all = not row.suspect and row.attach == backplane.attach_id and self.is_trusted()
        return found, heard_all

    def wants_disk(self, ask: Ask, found: Found | None = None) -> bool:
        """Return whether a key, and this value of it, may be on the disk."""
        terms = ask.terms
        return self.disk is not None and not (terms.private or terms.local or (found is not None and found.is_private))

    def to_disk(self, key: bytes, found: Found, blob: bytes, stamp: int) -> bool:
        """Have a value written to L3, if it is worth it; return whether it is going to be."""
        disk = self.disk
        if disk is None:
            return False
        wall = self.wall()
        left = found.hard - found.age(wall)
        if left < _WORTH_DISK_SECONDS or self._is_too_large_for_disk(blob):
            return False
        names = (key_name(key), *map(tag_name, found.hashes))
        coherence = self.coherence
        backplane = self.backplane
        queued: bool = disk.put_later(
            key,
            blob,
            expires=inf if isinf(left) else wall + left,
            version=found.version,
            attach=b"" if backplane is None else backplane.attach_id,
            tags=found.hashes,
            is_current=lambda: coherence.is_current(stamp, names),
        )
        if queued:
            self.tally.count_tier("l3", "sets")
        else:
            self.tally.count_tier("l3", "errors", "shed")
        return queued

    def set_on_disk(self, key: bytes, found: Found, blob: bytes, stamp: int) -> bool:
        """Write a value to L3 in place of what it has, unless its key was invalidated since `stamp`.

        Returns: whether it is there; if not, L3 has nothing for the key.
        """
        disk = self.disk
        if disk is None:
            return False
        if self._is_too_large_for_disk(blob):
            disk.delete(key)
            return False
        left, coherence, names = found.hard - found.age(self.wall()), self.coherence, (key_name(key),)
        is_there: bool = disk.put(
            key,
            blob,
            expires=inf if isinf(left) else self.wall() + left,
            version=found.version,
            tags=found.hashes,
            is_current=lambda: coherence.is_current(stamp, names),
        )
        if is_there:
            self.tally.count_tier("l3", "sets")
        else:
            disk.delete(key)
        return is_there

    def _is_too_large_for_disk(self, blob: bytes) -> bool:
        """Return, and count, whether a value would take so much of L3 that many others had to go for it."""
        if len(blob) <= self.largest_on_disk:
            return False
        self.tally.count_tier("l3", "errors", "too large")
        return True

    def demote(self, entry: Entry) -> None:
        """Write what memory had no room for any more to L3, if that does not have it and it may be believed."""
        found = entry.extra
        if not isinstance(found, Found) or found.on_disk or found.stale or found.is_private or found.until < inf:
            return
        if entry._standing(self.now()) != "current" or entry.error is not None:
            return
        try:
            blob = self.encode(found.key, found)
        except SerializationError as error:
            self.note_unserializable(error)
        else:
            if self.to_disk(found.key, found, blob, entry.stamp or 0):
                self.tally.count("demotions")

    def forget_tags(self, texts: tuple[bytes, ...]) -> None:
        """Remove from L3 what has one of these tags, by what they are called in Redis."""
        if self.disk is not None:
            self.disk.delete_tags(map(hash_of_text, texts))

    # --- storing what was loaded --------------------------------------------------------------------

    async def fill(
        self, io: IO, loaded: Sequence[tuple[Ask, Found]], stamp: int, token: bytes, began: float
    ) -> set[bytes]:
        """Store what was loaded under leases, unless it was invalidated meanwhile, with one request.

        `stamp` and `began` are from before it was loaded.

        Returns: the keys whose lease is over.
        """
        backplane = self.backplane
        fills: list[tuple[Ask, Found, Fill]] = []
        for ask, found in loaded:
            try:
                blob = self.encode(ask.key, found, ask.codec)
            except SerializationError as error:
                # It is of use to this instance, though to no other one.
                self.note_unserializable(error)
                self.keep(ask, found, stamp)
            else:
                fills.append((ask, found, Fill(ask.key, token, blob, found.milliseconds_left(self.wall()))))
        if backplane is None or not fills:
            return set()
        for ask, found, _ in fills:
            backplane.writing(ask.key, found.version)
        try:
            are_stored = await io.redis(backplane.redis, backplane.steps.fill_many([fill for _, _, fill in fills]))
        except TierUnavailable as error:
            self.note_unavailable(error)
            for ask, found, _ in fills:
                self.keep(ask, found, stamp, until=began + self.horizon)
            return {ask.key for ask, _, _ in fills}  # perhaps; if not, they expire
        for (ask, found, fill), is_stored in zip(fills, are_stored, strict=True):
            if is_stored:
                self.tally.count_tier("l2", "sets")
                on_disk = self.wants_disk(ask, found) and self.to_disk(ask.key, found, fill.envelope, stamp)
                self.keep(ask, found, stamp, on_disk=on_disk)
            else:
                self.tally.count("dropped_fills")
        return {ask.key for ask, _, _ in fills}

    def store_here(self, ask: Ask, found: Found, stamp: int) -> None:
        """Store what was loaded where there is no Redis."""
        on_disk = False
        if found.hard > 0 and self.wants_disk(ask, found):
            try:
                on_disk = self.to_disk(ask.key, found, self.encode(ask.key, found, ask.codec), stamp)
            except SerializationError as error:
                self.note_unserializable(error)
        self.keep(ask, found, stamp, on_disk=on_disk)

    def keep_error(self, ask: Ask, error: BaseException, load_seconds: float) -> None:
        """Keep an exception in memory, if it is one of those that are to be kept."""
        now = self.now()
        entry = error_entry(ask.terms.options, error, now, load_seconds)
        if entry is None or entry.error is None:
            return
        proven = Entry(
            None,
            error=entry.error,
            quiet_until=-inf,
            fresh_until=entry.fresh_until,
            expires=entry.expires,
            load_seconds=load_seconds,
            now=now,
            coherence=self.coherence,
            stamp=ask.stamp,
            names=ask.names,
            needs_trust=self.backplane is not None,
        )
        ask.memory.keep(ask.l1_key, proven, entry.expires - now)

    # --- what goes wrong ----------------------------------------------------------------------------

    def note_unavailable(self, error: TierUnavailable) -> None:
        """Count that Redis did not do what it was asked for."""
        self.tally.count_tier("l2", "errors", getattr(error, "reason", "unavailable"))

    def note_unserializable(self, error: SerializationError) -> None:
        """Count a value that cannot be written; say so the first time that it is of this kind."""
        self.tally.count_tier("l2" if self.backplane is not None else "l3", "errors", "unserializable")
        text = str(error)
        if text not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(text)
            logger().warning("a value is kept in memory alone: %s", text)

    # --- trust --------------------------------------------------------------------------------------

    def may_join(self, stamp: int, began: float, names: tuple[bytes, ...]) -> bool:
        """Return whether a search that began then may answer who asks now: it knows of all that was invalidated.

        Of what was invalidated longer than H ago, that is, where nothing is heard of others.
        """
        if not self.coherence.is_current(stamp, names):
            return False
        return self.is_trusted() or self.now() - began < self.horizon

    def is_trusted(self) -> bool:
        """Return whether everything that other instances invalidated is known here, as of H ago."""
        return self.coherence.trusted_until > self.now()
