"""A disk that is full, read-only, broken or gone: nothing raises, nothing deleted comes back, and it heals."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Self

import apsw
import pytest

from overdrive._tiers.l3.apsw_engine import ApswEngine
from overdrive._tiers.l3.engine import Fault, fault_of_code
from overdrive._tiers.l3.schema import Sql
from overdrive._tiers.l3.tier import DiskTier
from overdrive.testing import FakeClock

from .layer import NAME, Layer

LARGE = b"x" * 70_000


@pytest.fixture
def layer() -> Iterator[Layer]:
    layer = Layer()
    yield layer
    layer.on_write = layer.on_read = layer.on_open = 0
    layer.unregister()


@pytest.fixture
def tier(layer: Layer, tmp_path: Path, clock: FakeClock) -> Iterator[DiskTier]:
    # The smallest cache: reads go to the file.
    with DiskTier(tmp_path / "cache", engine=ApswEngine(NAME), clock=clock, cache_kib=64) as tier:
        yield tier


def heal(tier: DiskTier) -> None:
    tier._condition.probe_now()


def test_a_directory_that_was_made_again_in_part_is_made_again(
    open_tier: Callable[..., DiskTier], clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier = open_tier()
    shutil.rmtree(tmp_path / "cache")
    clock.advance(0.3)
    assert tier.get(b"k") is None

    def fail() -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(tier._directory, "_read_layout", fail)
    tier._condition.probe_now()
    assert not tier.put(b"k", b"v")
    assert (tmp_path / "cache/v1").exists()
    monkeypatch.undo()
    tier._condition.probe_now()
    assert tier.put(b"k", b"v")
    assert (tmp_path / "cache/v1/layout").exists()
    assert tier._directory._users >= 0


def test_a_directory_that_is_removed_is_made_again(
    open_tier: Callable[..., DiskTier], clock: FakeClock, tmp_path: Path
) -> None:
    tier = open_tier()
    for number in range(20):
        assert tier.put(b"k%d" % number, b"v")
        assert tier.get(b"k%d" % number) is not None
    shutil.rmtree(tmp_path / "cache")
    clock.advance(0.3)
    assert tier.get(b"k1") is None
    assert tier.health().state == "off"
    tier._condition.probe_now()
    assert tier.put(b"k1", b"new")
    assert tier.health().state == "ok"
    row = open_tier().get(b"k1")
    assert row is not None
    assert row.blob == b"new"
    assert tier.get(b"k2") is None


def test_a_full_disk_sheds_writes_and_goes_on_reading(tier: DiskTier, layer: Layer, tmp_path: Path) -> None:
    tier.put(b"k", b"v")
    layer.on_write = apsw.SQLITE_FULL
    assert not tier.put(b"new", b"v")
    assert tier.health().state == "full"
    assert not (tmp_path / "cache/v1/ballast").exists()
    assert not tier.put(b"new", b"v")
    assert not tier.put_later(b"new", b"v")
    assert tier.get(b"k") is not None
    assert tier.stats().events["writes_shed"] == 2
    layer.on_write = 0
    heal(tier)
    assert tier.put(b"new", b"v")
    assert tier.health().state == "ok"
    assert (tmp_path / "cache/v1/ballast").stat().st_size == 3 << 20


def test_the_ballast_lets_a_delete_through(tier: DiskTier, layer: Layer, tmp_path: Path) -> None:
    tier.put(b"k", b"v")
    ballast = tmp_path / "cache/v1/ballast"
    layer.on_write = FullWhile(ballast)
    assert tier.delete(b"k")
    assert not ballast.exists()
    assert tier.stats().pending_deletes == 0


class FullWhile(int):
    """A code that is in effect while a file is there: freeing it makes room."""

    def __new__(cls, path: Path) -> Self:
        code = super().__new__(cls, apsw.SQLITE_FULL)
        code.path = path
        return code

    path: Path

    def __bool__(self) -> bool:
        return self.path.exists()


def test_a_delete_on_a_disk_without_any_room_costs_the_shard(tier: DiskTier, layer: Layer) -> None:
    tier.put(b"k", b"v")
    layer.on_write = apsw.SQLITE_FULL
    tier.delete(b"k")
    assert tier.get(b"k") is None
    layer.on_write = 0
    heal(tier)
    assert tier.put(b"other", b"v")
    assert tier.get(b"k") is None
    assert tier.stats().events["shards_dropped"] == 1


@pytest.mark.parametrize("code", [apsw.SQLITE_IOERR, apsw.SQLITE_READONLY, apsw.SQLITE_PERM])
def test_a_disk_that_fails_switches_the_tier_off_until_it_works(
    tier: DiskTier, layer: Layer, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    tier.put(b"k", b"v")
    tier.put(b"gone", b"v")
    with caplog.at_level(logging.INFO, "overdrive.disk"):
        layer.on_write = code
        assert not tier.put(b"new", b"v")
        for _ in range(20):
            assert tier.get(b"k") is None
            assert not tier.put(b"new", b"v")
        assert not tier.delete(b"gone")
        assert tier.health().state == "off"
        assert tier.health().reason
        assert len(caplog.records) == 1
        heal(tier)
        assert tier.get(b"k") is None
        assert len(caplog.records) == 1
        layer.on_write = 0
        heal(tier)
        assert tier.get(b"k") is not None
        assert tier.get(b"gone") is None
        assert len(caplog.records) == 2
    assert tier.health().state == "ok"
    assert tier.stats().pending_deletes == 0


def test_the_wait_between_probes_grows(tier: DiskTier, layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("overdrive._tiers.l3.condition.time.monotonic", lambda: now[0])
    layer.on_write = apsw.SQLITE_IOERR
    tier.put(b"k", b"v")
    probes = []
    for _ in range(400):
        now[0] += 0.5
        before = tier.stats().events if tier.health().state == "ok" else dict(tier._events)
        tier.get(b"k")
        if tier._events["fault_io"] != before["fault_io"]:
            probes.append(now[0] - 1000)
    waits = [later - earlier for earlier, later in pairwise(probes)]
    assert waits == sorted(waits)
    assert len(probes) < 12
    assert max(waits) <= 60
    monkeypatch.undo()


def test_a_read_that_fails_is_a_miss(tier: DiskTier, layer: Layer) -> None:
    for number in range(2000):
        tier.put_later(b"%d" % number, b"v" * 1000)
    assert tier.flush()
    layer.on_read = apsw.SQLITE_IOERR_READ
    assert any(tier.get(b"%d" % number) is None for number in range(2000))
    assert tier.header(b"1") is None
    assert tier.keys() == []
    assert list(tier.iterate()) == []
    assert tier.health().state == "off"
    layer.on_read = 0
    heal(tier)
    assert all(tier.get(b"%d" % number) is not None for number in range(2000))


def test_pending_deletes_of_tags_and_of_everything_are_kept(tier: DiskTier, layer: Layer) -> None:
    tier.put(b"a", b"v", tags=(1,))
    tier.put(b"b", b"v", tags=(2,))
    layer.on_write = apsw.SQLITE_IOERR
    tier.delete_tags((1, 2**64 - 1))
    assert tier.stats().pending_deletes > 0
    assert tier.cleanup() == 0
    layer.on_write = 0
    heal(tier)
    assert tier.keys() == [b"b"]
    layer.on_write = apsw.SQLITE_IOERR
    tier.clear()
    layer.on_write = 0
    heal(tier)
    assert tier.keys() == []
    assert tier.stats().pending_deletes == 0


def test_a_busy_delete_hides_the_entry_at_once(tier: DiskTier, layer: Layer) -> None:
    tier.put(b"k", b"v", tags=(5,))
    tier.put(b"other", b"v", tags=(6,))
    layer.on_write = apsw.SQLITE_BUSY
    tier.delete_tags((5,))
    assert tier.get(b"k") is None
    assert tier.get(b"other") is not None
    assert tier.keys(b"o") == [b"other"]
    tier.delete(b"other")
    assert tier.get(b"other") is None
    assert dict(tier.iterate()) == {}
    layer.on_write = 0
    assert tier.put(b"new", b"v")
    assert tier.keys() == [b"new"]


def test_a_damaged_shard_is_set_aside_and_made_anew(tier: DiskTier, layer: Layer, tmp_path: Path) -> None:
    for number in range(100):
        tier.put(b"%d" % number, b"v")
    tier._sessions.close()
    layer.on_read = FailOnce(apsw.SQLITE_CORRUPT)
    found = [tier.get(b"%d" % number) is not None for number in range(100)]
    assert 0 < sum(found) < 100
    assert tier.stats().events["shards_set_aside"] == 1
    assert len(list((tmp_path / "cache/v1").glob("shard-*.corrupt-*"))) >= 1
    assert all(tier.put(b"%d" % number, b"v") for number in range(100))
    assert tier.stats().entries == 100
    assert tier.health().state == "ok"


class FailOnce(int):
    """A code that is in effect once."""

    left = 1

    def __bool__(self) -> bool:
        self.left -= 1
        return self.left >= 0


def test_few_damaged_shards_are_kept(tier: DiskTier, tmp_path: Path) -> None:
    for _ in range(5):
        for index in range(3):
            assert tier._set_aside(index, tier._shards[index].generation)
            tier._attempt(index, lambda handle: handle.run(Sql.READ, (b"k",)))
    names = {
        path.name.partition("-wal")[0].partition("-shm")[0] for path in (tmp_path / "cache/v1").glob("*.corrupt-*")
    }
    assert len(names) <= 3


def test_a_file_that_cannot_be_written_sheds_the_value(
    tier: DiskTier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    assert not tier.put(b"large", LARGE)
    assert tier.health().state == "full"
    monkeypatch.undo()
    heal(tier)
    assert tier.put(b"large", LARGE)
    assert tier.get(b"large") is not None


def test_a_file_that_cannot_be_read_is_a_miss(tier: DiskTier, monkeypatch: pytest.MonkeyPatch) -> None:
    tier.put(b"large", LARGE)

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "open", broken)
    assert tier.get(b"large") is None
    assert tier.health().state == "off"
    assert "Input/output error" in tier.health().reason
    monkeypatch.undo()
    heal(tier)
    assert tier.get(b"large") is not None


@pytest.mark.parametrize("number", [13, 30, 28, 5])
def test_a_directory_that_cannot_be_made_is_tried_again(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "refused")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", refuse)
        tier = DiskTier(tmp_path / "cache", engine=engine)
        assert tier.health().state in ("off", "full")
        assert not tier.put(b"k", b"v")
        assert tier.get(b"k") is None
        assert tier.header(b"k") is None
        assert not tier.delete(b"k")
        assert tier.delete_tags((1,)) == 0
        assert tier.keys() == []
        tier.clear()
        assert tier.cleanup() == 0
        assert tier.stats().entries == 0
    heal(tier)
    assert tier.put(b"k", b"v")
    assert tier.get(b"k") is not None
    assert tier.health().state == "ok"
    tier.close()


def test_a_row_with_impossible_columns_is_a_miss_and_goes(tier: DiskTier) -> None:
    columns = (
        "expires = 'x'",
        "version = 'x'",
        "attach = NULL",
        "tags = 'abc'",
        "size = 99",
        "touched = 'x'",
        "blob = 1",
    )
    for column in columns:
        tier.put(b"k", b"v")
        for index in range(8):
            tier._attempt(index, lambda handle, column=column: handle.run(f"UPDATE entry SET {column}"))  # type: ignore[misc]
        assert list(tier.iterate()) == []
        assert tier.header(b"k") is None
        assert tier.get_many((b"k",)) == {}
        assert tier.get(b"k") is None
        assert tier.keys() == []
    assert tier.stats().events["rows_damaged"] >= len(columns)


def test_the_engines_agree_on_what_errors_mean() -> None:
    assert fault_of_code(apsw.SQLITE_IOERR_SHORT_READ) is Fault.CORRUPT
    assert fault_of_code(apsw.SQLITE_IOERR_WRITE) is Fault.IO
    assert fault_of_code(apsw.SQLITE_BUSY_SNAPSHOT) is Fault.BUSY
    assert fault_of_code(apsw.SQLITE_MISUSE) is None


def test_a_mistake_of_the_program_is_raised(tier: DiskTier, open_tier: Callable[..., DiskTier]) -> None:
    for each in (tier, open_tier()):
        with pytest.raises(Exception, match=r"(?i)bind"):
            each._attempt(0, lambda handle: handle.run(Sql.READ, ()))
