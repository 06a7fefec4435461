"""Random operations against a dict, with time that passes, restarts and two tiers on one directory."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from overdrive._tiers.l3.tier import DiskTier
from overdrive.testing import FakeClock

from .conftest import START

KEYS = st.sampled_from([b"a", b"b", b"ab", b"\x00", b"\xff", b"user:1", b"user:2", b"k" * 300])
BLOBS = st.one_of(st.binary(max_size=40), st.sampled_from([b"L" * 65_536, b"L" * 65_537, b"M" * 90_000]))
TAGS = st.frozensets(st.sampled_from([0, 1, 2, 2**63, 2**64 - 1]), max_size=3)
LIFETIMES = st.one_of(st.just(float("inf")), st.integers(1, 50).map(float))
SIDES = st.integers(0, 1)

Entry = tuple[bytes, float, int, frozenset[int]]


class Machine(RuleBasedStateMachine):
    engine = ""

    @initialize(shards=st.sampled_from([1, 3, 8]))
    def start(self, shards: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock(START)
        self.shards = shards
        self.tiers = [self.open(), self.open()]
        self.model: dict[bytes, Entry] = {}

    def open(self) -> DiskTier:
        return DiskTier(self.folder / "cache", engine=self.engine, clock=self.clock, shards=self.shards)

    def teardown(self) -> None:
        for tier in self.tiers:
            tier.close()
        shutil.rmtree(self.folder)

    @rule(
        side=SIDES,
        key=KEYS,
        blob=BLOBS,
        lifetime=LIFETIMES,
        version=st.integers(0, 2**64 - 1),
        tags=TAGS,
        later=st.booleans(),
    )
    def put(
        self, side: int, key: bytes, blob: bytes, lifetime: float, version: int, tags: frozenset[int], later: bool
    ) -> None:
        expires = self.clock() + lifetime
        tier = self.tiers[side]
        if later:
            assert tier.put_later(key, blob, expires=expires, version=version, tags=tags)
            assert tier.flush(20)
        else:
            assert tier.put(key, blob, expires=expires, version=version, tags=tags)
        self.model[key] = blob, expires, version, tags

    @rule(side=SIDES, key=KEYS, blob=BLOBS)
    def queue_and_delete(self, side: int, key: bytes, blob: bytes) -> None:
        tier = self.tiers[side]
        tier.put_later(key, blob)
        tier.delete(key)
        assert tier.flush(20)
        self.model.pop(key, None)

    @rule(side=SIDES, keys=st.lists(KEYS, max_size=4))
    def delete(self, side: int, keys: list[bytes]) -> None:
        removed = self.tiers[side].delete_many(keys)
        live = {key for key in keys if key in self.live()}
        for key in keys:
            self.model.pop(key, None)
        assert removed >= len(live)

    @rule(side=SIDES, tags=TAGS)
    def delete_tags(self, side: int, tags: frozenset[int]) -> None:
        self.tiers[side].delete_tags(tags)
        self.model = {key: entry for key, entry in self.model.items() if not entry[3] & tags}

    @rule(side=SIDES)
    def clear(self, side: int) -> None:
        self.tiers[side].clear()
        self.model.clear()

    @rule(side=SIDES)
    def clean_up(self, side: int) -> None:
        self.tiers[side].cleanup()
        assert self.tiers[side].stats().entries == len(self.live())

    @rule(seconds=st.integers(0, 60))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(side=SIDES)
    def reopen(self, side: int) -> None:
        self.tiers[side].close()
        self.tiers[side] = self.open()

    def live(self) -> dict[bytes, Entry]:
        return {key: entry for key, entry in self.model.items() if entry[1] > self.clock()}

    @invariant()
    def both_agree_with_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        live = self.live()
        for tier in self.tiers:
            assert tier.keys() == sorted(live)
            for key in self.model:
                row = tier.get(key)
                found = None if row is None else (row.blob, row.expires, row.version, frozenset(row.tags))
                assert found == live.get(key)
        assert tier.stats().events.keys() <= {"evicted_expired"}


class ApswMachine(Machine):
    engine = "apsw"


class Sqlite3Machine(Machine):
    engine = "sqlite3"


BRIEF = settings(settings.default, max_examples=12, stateful_step_count=25)
ApswMachine.TestCase.settings = BRIEF
Sqlite3Machine.TestCase.settings = BRIEF
TestApsw = pytest.mark.timeout(120)(ApswMachine.TestCase)
TestSqlite3 = pytest.mark.timeout(120)(Sqlite3Machine.TestCase)
