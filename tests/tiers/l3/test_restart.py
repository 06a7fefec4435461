"""What is believed after a restart: everything after a clean close, with suspicion after a reboot without one."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from overdrive import ConfigError
from overdrive._tiers.l3 import directory
from overdrive._tiers.l3.schema import Sql
from overdrive._tiers.l3.shard import Handle
from overdrive._tiers.l3.tier import DiskTier

from . import child
from .conftest import START


def reboot(monkeypatch: pytest.MonkeyPatch, name: str = "another") -> None:
    monkeypatch.setattr(directory, "boot_id", lambda: name)


def suspect(tier: DiskTier, key: bytes = b"k") -> bool:
    return tier.get_many((key,))[key].suspect


def test_a_crash_alone_makes_nothing_suspect(open_tier: Callable[..., DiskTier], tmp_path: Path, engine: str) -> None:
    child.run("leave_without_closing", tmp_path / "cache", engine)
    assert not suspect(open_tier())


def test_a_reboot_after_a_crash_makes_what_was_written_suspect(
    open_tier: Callable[..., DiskTier], tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    child.run("leave_without_closing", tmp_path / "cache", engine)
    reboot(monkeypatch)
    tier = open_tier()
    assert suspect(tier)
    assert suspect(tier, b"large")
    header = tier.header(b"k")
    assert header is not None
    assert header.suspect
    tier.put(b"k", b"new")
    assert not suspect(tier)
    tier.close()
    assert suspect(open_tier(), b"large")


def test_a_reboot_after_a_clean_close_makes_nothing_suspect(
    open_tier: Callable[..., DiskTier], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_tier()
    first.put(b"k", b"v")
    assert first.close()
    reboot(monkeypatch)
    assert not suspect(open_tier())


def test_an_unknown_boot_is_another_one(
    open_tier: Callable[..., DiskTier], tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    child.run("leave_without_closing", tmp_path / "cache", engine)
    reboot(monkeypatch, "")
    assert suspect(open_tier())


def test_only_the_last_one_to_close_leaves_it_clean(open_tier: Callable[..., DiskTier]) -> None:
    first, second = open_tier(), open_tier()
    first.put(b"k", b"v")
    assert not first.close()
    assert second.get(b"k") is not None
    assert second.close()


def test_a_clean_close_leaves_no_wal(open_tier: Callable[..., DiskTier], tmp_path: Path) -> None:
    tier = open_tier()
    for number in range(100):
        tier.put(b"%d" % number, b"v" * 100)
    tier.close()
    assert not list((tmp_path / "cache/v1").glob("*-wal"))


def test_a_shard_of_an_unknown_format_is_left_alone(open_tier: Callable[..., DiskTier], tmp_path: Path) -> None:
    open_tier().close()
    shard = tmp_path / "cache/v1/shard-03.db"
    with sqlite3.connect(shard) as connection:
        connection.execute(f"PRAGMA user_version = {0x63636363}")
    connection.close()
    before = shard.read_bytes()
    with pytest.raises(ConfigError, match="of format 99, this release knows 1"):
        open_tier()
    assert shard.read_bytes() == before


@pytest.mark.parametrize("stamp", [1, 99, 0x01010103, 0x01010100, -1])
def test_a_shard_with_a_damaged_format_is_set_aside(
    open_tier: Callable[..., DiskTier], tmp_path: Path, stamp: int
) -> None:
    open_tier().close()
    with sqlite3.connect(tmp_path / "cache/v1/shard-03.db") as connection:
        connection.execute(f"PRAGMA user_version = {stamp}")
    connection.close()
    assert open_tier().stats().events["shards_set_aside"] == 1


def test_a_database_of_something_else_is_set_aside(open_tier: Callable[..., DiskTier], tmp_path: Path) -> None:
    open_tier().close()
    shard = tmp_path / "cache/v1/shard-00.db"
    shard.unlink()
    with sqlite3.connect(shard) as connection:
        connection.execute("CREATE TABLE accounts(name)")
    connection.close()
    open_tier()
    assert len(list(shard.parent.glob("shard-00.db.corrupt-*"))) == 1


@pytest.mark.parametrize("layout", [{"format": 2, "shards": 8}, {"format": 1, "shards": 1000}, {"format": 1}])
def test_an_unknown_layout_is_left_alone(
    open_tier: Callable[..., DiskTier], tmp_path: Path, layout: dict[str, int]
) -> None:
    open_tier().close()
    (tmp_path / "cache/v1/layout").write_text(json.dumps({**layout, "check": directory._checksum(dict(layout))}))
    with pytest.raises(ConfigError, match="of a format that this release does not know"):
        open_tier()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 3, "shards": 9, "epoch": 0, "check": 1}']
)
@pytest.mark.parametrize("name", ["layout", "epoch"])
def test_a_damaged_note_is_made_anew(
    open_tier: Callable[..., DiskTier], tmp_path: Path, name: str, content: bytes
) -> None:
    first = open_tier(shards=4)
    first.put(b"k", b"v")
    first.close()
    (tmp_path / "cache/v1" / name).write_bytes(content)
    second = open_tier()
    assert suspect(second) == (name == "epoch")
    assert second.health().shards == 4


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_million_entries_open_within_a_second(open_tier: Callable[..., DiskTier]) -> None:
    first = open_tier()
    by_shard: dict[int, list[tuple[object, ...]]] = {}
    for number in range(1_000_000):
        key = b"user:%d" % number
        row = (key, 1e18, 1, first._epoch, int(START), 100, b"", None, None, b"v" * 100)
        by_shard.setdefault(crc32(key) % 8, []).append(row)
    for index, rows in by_shard.items():

        def fill(handle: Handle, rows: list[Any] = rows) -> bool:
            handle.run(Sql.BEGIN)
            handle.connection.run_many(Sql.WRITE, rows)
            handle.run(Sql.COMMIT)
            return True

        assert first._attempt(index, fill)
    assert first.close()
    before = time.perf_counter()
    second = open_tier()
    assert second.get(b"user:777777") is not None
    assert time.perf_counter() - before < 1
    assert second.stats().entries == 1_000_000


def test_opening_does_not_depend_on_how_much_there_is(open_tier: Callable[..., DiskTier]) -> None:
    first = open_tier(queue_entries=100_000)
    for number in range(20_000):
        first.put_later(b"%d" % number, b"v" * 100)
    assert first.flush()
    first.close()
    before = time.perf_counter()
    second = open_tier()
    assert second.get(b"7") is not None
    assert time.perf_counter() - before < 1
