"""What every disk tier does, on each engine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from overdrive import ConfigError
from overdrive._tiers.l3.row import Row
from overdrive._tiers.l3.tier import DiskTier
from overdrive.testing import FakeClock

from .conftest import START

LARGE = 65_537
MOST = 2**64 - 1


def test_what_was_put_is_returned_whole(tier: DiskTier) -> None:
    assert tier.put(b"k", b"blob", expires=START + 5, version=MOST, attach=b"s1", tags=(0, 7, MOST))
    assert tier.get(b"k") == Row(b"blob", START + 5, MOST, b"s1", (0, 7, MOST), 4, False)


@pytest.mark.parametrize("size", [0, 1, 1000, LARGE - 1, LARGE, 1 << 20])
def test_blobs_of_every_size_come_back(tier: DiskTier, size: int) -> None:
    blob = os.urandom(size)
    assert tier.put(b"k", blob)
    row = tier.get(b"k")
    assert row is not None
    assert row.blob == blob
    assert row.size == size


def test_absent_keys_are_misses(tier: DiskTier) -> None:
    assert tier.get(b"k") is None
    assert tier.header(b"k") is None
    assert tier.stats().misses == 1


def test_an_entry_ends_at_its_expiry(tier: DiskTier, clock: FakeClock) -> None:
    tier.put(b"k", b"v", expires=START + 10)
    clock.advance(9.999)
    assert tier.get(b"k") is not None
    clock.advance(0.001)
    assert tier.get(b"k") is None
    assert tier.header(b"k") is None
    assert tier.keys() == []
    assert list(tier.iterate()) == []
    assert (tier.stats().hits, tier.stats().misses, tier.stats().expired) == (1, 1, 1)


@pytest.mark.parametrize("first", [b"small", b"L" * LARGE])
@pytest.mark.parametrize("second", [b"other", b"l" * LARGE])
def test_a_second_put_replaces_everything(tier: DiskTier, first: bytes, second: bytes) -> None:
    tier.put(b"k", first, version=1, tags=(1,))
    tier.put(b"k", second, version=2, attach=b"a", tags=(2,))
    row = tier.get(b"k")
    assert row == Row(second, inf, 2, b"a", (2,), len(second), False)
    assert tier.delete_tags((1,)) == 0
    assert tier.stats().entries == 1
    assert tier.stats().bytes == len(second) + 1 + 64


@pytest.mark.parametrize("size", [500, LARGE])
def test_a_header_has_the_beginning_alone(tier: DiskTier, size: int) -> None:
    blob = os.urandom(size)
    tier.put(b"k", blob, version=9, tags=(3,))
    row = tier.header(b"k", 56)
    assert row is not None
    assert row.blob == blob[:56]
    assert (row.size, row.version, row.tags) == (size, 9, (3,))


def test_get_many_returns_those_that_are_there(tier: DiskTier) -> None:
    tier.put(b"a", b"1")
    tier.put(b"c", b"3")
    tier.put(b"large", b"x" * LARGE)
    tier.put(b"over", b"v", expires=START - 1)
    found = tier.get_many((b"a", b"b", b"c", b"c", b"large", b"over"))
    assert {key: row.blob[:1] for key, row in found.items()} == {b"a": b"1", b"c": b"3", b"large": b"x"}
    assert (tier.stats().hits, tier.stats().misses) == (3, 2)


def test_delete_says_whether_there_was_one(tier: DiskTier) -> None:
    tier.put(b"k", b"v")
    assert tier.delete(b"k")
    assert not tier.delete(b"k")
    assert tier.get(b"k") is None


def test_delete_many_counts(tier: DiskTier) -> None:
    for number in range(100):
        tier.put(b"%d" % number, b"v")
    assert tier.delete_many(b"%d" % number for number in range(50, 150)) == 50
    assert tier.stats().entries == 50


def test_tags_find_their_entries(tier: DiskTier) -> None:
    for number in range(60):
        tier.put(b"%d" % number, b"v", tags=(number % 3, 100))
    assert tier.delete_tags((1,)) == 20
    assert tier.delete_tags((1,)) == 0
    left = tier.keys()
    assert sorted(int(key) % 3 for key in left) == [0] * 20 + [2] * 20
    assert tier.delete_tags((0, 2, 100)) == 40


def test_files_go_with_their_entries(tier: DiskTier, tmp_path: Path) -> None:
    for key in (b"a", b"b", b"c", b"d"):
        tier.put(key, b"x" * LARGE, tags=(1,) if key == b"a" else ())
    tier.put(b"b", b"small")
    tier.delete(b"c")
    tier.delete_tags((1,))
    tier.put(b"d", b"y" * LARGE)
    tier.cleanup()
    assert len([path for path in (tmp_path / "cache/v1/blob").rglob("*") if path.is_file()]) == 1
    tier.clear()
    assert [path for path in (tmp_path / "cache/v1/blob").rglob("*") if path.is_file()] == []


def test_clear_leaves_nothing_and_goes_on(tier: DiskTier) -> None:
    for number in range(300):
        tier.put(b"%d" % number, b"v" * 100, tags=(number,))
    tier.put_later(b"queued", b"v")
    tier.clear()
    tier.flush()
    assert tier.keys() == []
    assert (tier.stats().entries, tier.stats().bytes) == (0, 0)
    assert tier.put(b"k", b"v")
    assert tier.stats().entries == 1


def test_keys_are_in_order_and_of_the_prefix(tier: DiskTier) -> None:
    names = [b"user:%04d" % number for number in range(400)]
    for name in (*names, b"user", b"usf", b"\xff\xff", b"\xff\xff\x01"):
        tier.put(name, b"v")
    assert tier.keys(b"user:") == names
    assert tier.keys(b"user:", 3) == names[:3]
    assert tier.keys(b"user:0399") == [b"user:0399"]
    assert tier.keys(b"\xff\xff") == [b"\xff\xff", b"\xff\xff\x01"]
    assert len(tier.keys()) == 404


def test_iterate_yields_each_entry_once(tier: DiskTier) -> None:
    expected = {b"%d" % number: b"v%d" % number for number in range(1500)} | {b"large": b"x" * LARGE}
    for key, blob in expected.items():
        tier.put(key, blob)
    pairs = [(key, row.blob) for key, row in tier.iterate()]
    assert len(pairs) == len(expected)
    assert dict(pairs) == expected


def test_entries_outlive_the_tier(open_tier: Callable[..., DiskTier]) -> None:
    first = open_tier()
    first.put(b"k", b"v", version=3)
    first.put(b"large", b"x" * LARGE)
    first.put_later(b"later", b"v")
    assert first.close()
    second = open_tier()
    assert second.get_many((b"k", b"large", b"later")).keys() == {b"k", b"large", b"later"}
    assert not second.get_many((b"k",))[b"k"].suspect


def test_counters_are_exact_over_a_restart(open_tier: Callable[..., DiskTier]) -> None:
    first = open_tier()
    for number in range(200):
        first.put(b"%03d" % number, b"x" * number)
    expected = first.stats()
    first.close()
    second = open_tier().stats()
    assert (second.entries, second.bytes) == (expected.entries, expected.bytes) == (200, sum(range(200)) + 200 * 67)


def test_threads_share_a_tier(tier: DiskTier) -> None:
    wrong: list[bytes] = []

    def work(name: int) -> None:
        for number in range(150):
            key = b"%d:%d" % (name, number)
            tier.put(key, key * 10)
            row = tier.get(key)
            if row is not None and row.blob != key * 10:
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    stats = tier.stats()
    assert stats.entries + stats.events.get("fault_busy", 0) == 600
    assert stats.hits + stats.misses == 600


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("k", b"v"), TypeError, "key must be bytes, got str"),
        ((b"k" * 65537, b"v"), ValueError, "key must have at most 65536 bytes, got 65537"),
        ((b"k", "v"), TypeError, "blob must be bytes, got str"),
    ],
)
def test_misuse_raises(tier: DiskTier, arguments: Any, error: type[Exception], message: str) -> None:
    for call in (tier.put, tier.put_later):
        with pytest.raises(error, match=message):
            call(*arguments)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"expires": nan}, ValueError),
        ({"expires": "soon"}, TypeError),
        ({"version": -1}, ValueError),
        ({"version": 2**64}, ValueError),
        ({"version": 1.5}, TypeError),
        ({"attach": "a"}, TypeError),
        ({"tags": ("a",)}, TypeError),
        ({"tags": (2**64,)}, ValueError),
    ],
)
def test_bad_metadata_raises(tier: DiskTier, options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        tier.put(b"k", b"v", **options)
    assert tier.get(b"k") is None


@pytest.mark.parametrize(
    "options",
    [
        {"max_entries": 0},
        {"max_bytes": -1},
        {"shards": 0},
        {"shards": 65},
        {"shards": True},
        {"busy_timeout": -1},
        {"engine": "lmdb"},
        {"queue_entries": 0},
        {"cache_kib": 1},
    ],
)
def test_bad_options_are_named(open_tier: Callable[..., DiskTier], options: Any) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        open_tier(**options)


def test_a_closed_tier_says_so(open_tier: Callable[..., DiskTier]) -> None:
    tier = open_tier()
    tier.close()
    for call in (
        lambda: tier.get(b"k"),
        lambda: tier.header(b"k"),
        lambda: tier.put(b"k", b"v"),
        lambda: tier.put_later(b"k", b"v"),
        lambda: tier.delete(b"k"),
        lambda: tier.delete_tags((1,)),
        tier.clear,
        tier.cleanup,
        tier.keys,
        tier.flush,
        tier.stats,
    ):
        with pytest.raises(ValueError, match="is closed"):
            call()
    assert not tier.close()


def test_bytes_like_blobs_are_stored(tier: DiskTier) -> None:
    tier.put(b"k", memoryview(b"abc"))  # type: ignore[arg-type]
    assert tier.get_many((b"k",))[b"k"].blob == b"abc"


def test_the_number_of_shards_is_that_of_the_directory(open_tier: Callable[..., DiskTier]) -> None:
    first = open_tier(shards=3)
    for number in range(50):
        first.put(b"%d" % number, b"v")
    first.close()
    second = open_tier(shards=8)
    assert len(second.keys()) == 50
    assert second.health().shards == 3


def test_hits_and_misses_are_those_of_get(tier: DiskTier) -> None:
    tier.put(b"k", b"v")
    tier.put(b"tagged", b"v", tags=(1,))
    for _ in range(3):
        tier.get(b"k")
        tier.get(b"tagged")
        tier.header(b"k")
        tier.get(b"absent")
    list(tier.iterate())
    assert (tier.stats().hits, tier.stats().misses) == (6, 3)


def test_closing_stops_the_threads_that_are_at_it(open_tier: Callable[..., DiskTier]) -> None:
    tier = open_tier()
    begun = threading.Barrier(4)
    ended: list[str] = []

    def work(name: int) -> None:
        begun.wait(20)
        try:
            for number in range(1_000_000):
                tier.put(b"%d:%d" % (name, number), b"v")
                tier.get(b"%d:%d" % (name, number))
        except ValueError as error:
            ended.append(str(error))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    begun.wait(20)
    assert tier.close()
    for thread in threads:
        thread.join(20)
    assert len(ended) == 3
    assert all("closed" in message for message in ended)
    second = open_tier()
    assert second.stats().entries == len(second.keys())
