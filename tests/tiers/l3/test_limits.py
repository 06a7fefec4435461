"""Entries go when there are too many, the expired and the unread ones first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from overdrive._tiers.l3.tier import DiskTier
from overdrive.testing import FakeClock

from .conftest import START


def test_cleanup_keeps_max_entries(open_tier: Callable[..., DiskTier]) -> None:
    tier = open_tier(max_entries=1000)
    for number in range(940):
        tier.put(b"%d" % number, b"v")
    assert tier.cleanup() == 0
    for number in range(940, 1200):
        tier.put(b"%d" % number, b"v")
    tier.cleanup()
    assert 800 <= tier.stats().entries <= 950
    assert tier.stats().events["evicted_least_recent"] >= 250


def test_cleanup_keeps_max_bytes(open_tier: Callable[..., DiskTier]) -> None:
    tier = open_tier(max_bytes=1_000_000)
    for number in range(1200):
        tier.put(b"%d" % number, b"v" * 1000)
    tier.put(b"large", b"x" * 70_000)
    tier.cleanup()
    assert 700_000 <= tier.stats().bytes <= 950_000


def test_expired_entries_go_before_others(open_tier: Callable[..., DiskTier], clock: FakeClock) -> None:
    tier = open_tier(max_entries=320)  # so that housekeeping has nothing to do before they expire
    for number in range(150):
        tier.put(b"live:%d" % number, b"v", expires=START + 1000)
    for number in range(150):
        tier.put(b"dead:%d" % number, b"v", expires=START + 10)
    clock.advance(20)
    tier.cleanup()
    assert len(tier.keys(b"live:")) == 150
    assert tier.stats().entries == 150
    assert tier.stats().events == {"evicted_expired": 150}


def test_expired_entries_of_a_large_shard_are_found(open_tier: Callable[..., DiskTier], clock: FakeClock) -> None:
    tier = open_tier(shards=1)
    for number in range(1500):
        tier.put_later(b"%d" % number, b"v", expires=START + 10)
    assert tier.flush()
    clock.advance(20)
    removed = sum(tier.cleanup() for _ in range(3))
    assert removed >= 1000


def test_what_was_read_stays(open_tier: Callable[..., DiskTier], clock: FakeClock) -> None:
    tier = open_tier(max_entries=400, shards=4)
    for number in range(370):
        tier.put(b"%03d" % number, b"v")
    clock.advance(601)
    read = [b"%03d" % number for number in range(0, 370, 4)]
    tier.get_many(read)
    for number in range(370, 400):
        tier.put(b"%03d" % number, b"v")
    tier.cleanup()
    assert tier.stats().entries <= 380
    assert set(read) <= set(tier.keys())


def test_large_shards_lose_mostly_unread_entries(open_tier: Callable[..., DiskTier], clock: FakeClock) -> None:
    tier = open_tier(max_entries=4000, shards=1, queue_entries=10_000)
    for number in range(3700):
        tier.put_later(b"%04d" % number, b"v")
    assert tier.flush()
    clock.advance(601)
    read = {b"%04d" % number for number in range(0, 3700, 2)}
    tier.get_many(sorted(read))
    for number in range(3700, 4000):
        tier.put_later(b"%04d" % number, b"v")
    assert tier.flush()
    tier.cleanup()
    left = set(tier.keys())
    assert len(left) <= 3800
    assert len(read & left) >= 0.99 * len(read)


def test_the_limits_are_kept_without_being_asked(open_tier: Callable[..., DiskTier]) -> None:
    tier = open_tier(max_entries=500, queue_entries=10_000)
    for number in range(3000):
        tier.put_later(b"%d" % number, b"v")
    assert tier.flush()
    tier._writer.close()
    assert tier.stats().entries <= 500 + 256


def test_files_that_no_row_names_are_removed_once_they_are_old(tier: DiskTier, tmp_path: Path) -> None:
    tier.put(b"k", b"x" * 70_000)
    kept = next(path for path in (tmp_path / "cache/v1/blob").rglob("*") if path.is_file())
    old = time.time() - 7200
    os.utime(kept, (old, old))
    for name, age in (("00000000" + "0" * 24 + ".1.abcd", old), ("00000001" + "0" * 24 + ".1.abcd.tmp", old)):
        path = kept.parent / name
        path.write_bytes(b"x")
        os.utime(path, (age, age))
    young = kept.parent / ("00000002" + "0" * 24 + ".1.abcd.tmp")
    young.write_bytes(b"x")
    foreign = kept.parent / "README"
    foreign.write_bytes(b"x")
    os.utime(foreign, (old, old))
    tier.cleanup()
    assert set(kept.parent.iterdir()) == {kept, young, foreign}
    assert tier.stats().events["orphans_removed"] == 2
    assert tier.get(b"k") is not None


def test_a_missing_file_is_a_miss_and_its_row_goes(tier: DiskTier, tmp_path: Path) -> None:
    tier.put(b"k", b"x" * 70_000)
    next(path for path in (tmp_path / "cache/v1/blob").rglob("*") if path.is_file()).unlink()
    assert tier.get(b"k") is None
    assert tier.stats().entries == 0
    assert tier.stats().events["blobs_missing"] == 1


def test_a_short_file_is_a_miss(tier: DiskTier, tmp_path: Path) -> None:
    tier.put(b"k", b"x" * 70_000)
    path = next(path for path in (tmp_path / "cache/v1/blob").rglob("*") if path.is_file())
    os.truncate(path, 69_999)
    assert tier.get(b"k") is None
    assert tier.header(b"k") is None
