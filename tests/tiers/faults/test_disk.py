"""The disk is full, fails, is locked, or is not ours: the cache goes on without it, and it heals."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import apsw
import pytest

from overdrive import ConfigError, TieredCache
from overdrive._tiers.l3 import tier as disk_tier
from overdrive._tiers.l3.apsw_engine import ApswEngine
from tests.tiers.faults.calls import LATER_CALLS, Calls, LogLines, Origin
from tests.tiers.l3.layer import NAME, Layer
from tests.tiers.servers import eventually

KEYS = [f"key{index}" for index in range(30)]


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Layer]:
    """What makes the files of caches fail."""
    layer = Layer()
    made = partial(disk_tier.DiskTier, engine=ApswEngine(NAME), cache_kib=64)
    monkeypatch.setattr(disk_tier, "DiskTier", made)
    yield layer
    layer.on_write = layer.on_read = layer.on_open = 0


def fill(calls: Calls, origin: Origin) -> None:
    """Have the values of keys on the disk, and in memory only the last."""
    for key in KEYS:
        assert calls.load(key, origin) == origin.value(key)
    assert calls.cache.flush()


def use(calls: Calls, origin: Origin) -> None:
    """Do what users do; whatever the disk does, they see nothing of it but time."""
    for key in KEYS:
        assert calls.load(key, origin) == origin.value(key)
    origin.change("key0")
    calls.invalidate("key0")
    assert calls.load("key0", origin) == origin.value("key0")
    calls.set("set", "value")
    assert calls.get("set") == "value"


def look_again(calls: Calls) -> None:
    disk = calls.cache._tiers.disk
    assert disk is not None
    disk._condition.probe_now()


@pytest.mark.parametrize(
    ("code", "state", "reads"),
    [
        (apsw.SQLITE_FULL, "degraded", True),
        (apsw.SQLITE_IOERR, "down", False),
        (apsw.SQLITE_READONLY, "down", False),
        (apsw.SQLITE_PERM, "down", False),
    ],
)
def test_disk_that_takes_no_writes_is_done_without(
    make_cache: Callable[..., Calls],
    way: str,
    origin: Origin,
    log: LogLines,
    tmp_path: Path,
    layer: Layer,
    code: int,
    state: str,
    *,
    reads: bool,
) -> None:
    calls = make_cache(l3=tmp_path / "disk", l1=1, policy="lru", way=way)
    fill(calls, origin)
    layer.on_write = code
    calls.load("new", origin)
    calls.cache.flush()
    eventually(lambda: calls.cache.health().l3.state == state, "it is known")
    use(calls, origin)
    assert calls.cache.health().l3.state == state
    assert calls.cache.health().l3.reason
    if not reads:
        assert all(origin.loads[key] > 1 for key in KEYS)
    assert len(log.of("disk tier", "full" if reads else "off")) == 1
    layer.on_write = 0
    look_again(calls)

    def is_well() -> bool:
        look_again(calls)
        calls.load("heal", origin)
        calls.set("heal", "x")
        calls.cache.flush()
        return calls.cache.health().l3.state == "up"

    eventually(is_well, "it works again")
    assert len(log.of("disk tier", "ok again")) == 1
    # What was invalidated meanwhile does not come back.
    assert calls.load("key0", origin) == origin.value("key0")
    use(calls, origin)


def test_disk_that_cannot_be_read_costs_a_load(
    make_cache: Callable[..., Calls], way: str, origin: Origin, tmp_path: Path, layer: Layer
) -> None:
    calls = make_cache(l3=tmp_path / "disk", l1=1, policy="lru", way=way)
    fill(calls, origin)
    layer.on_read = apsw.SQLITE_IOERR
    use(calls, origin)
    seconds = sorted(calls.timed(calls.load, key, origin)[1] for key in KEYS)
    assert seconds[25] <= 2 * LATER_CALLS
    layer.on_read = 0


def test_disk_that_is_locked_by_somebody_else_is_not_waited_for_long(
    make_cache: Callable[..., Calls], way: str, origin: Origin, tmp_path: Path
) -> None:
    calls = make_cache(l3=tmp_path / "disk", l1=1, policy="lru", way=way)
    fill(calls, origin)
    locks = []
    for path in (tmp_path / "disk").rglob("*.db*"):
        if path.name.endswith(("-wal", "-shm")):
            continue
        locks.append(sqlite3.connect(path, isolation_level=None))
        locks[-1].execute("BEGIN IMMEDIATE")
    assert locks
    # Who reads does not wait for who writes.
    for key in KEYS:
        assert calls.load(key, origin) == f"{key}:0"
    assert set(origin.loads.values()) == {1}
    origin.change("key0")
    _, seconds = calls.timed(calls.invalidate, "key0")
    assert seconds <= 1.0  # of the busy timeout, 0.25 s
    assert calls.load("key0", origin) == "key0:1"
    for lock in locks:
        lock.execute("ROLLBACK")
        lock.close()
    calls.load("new", origin)
    calls.cache.flush()
    assert calls.load("key0", origin) == "key0:1"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may do everything")
def test_folder_without_rights_is_done_without(
    make_cache: Callable[..., Calls], origin: Origin, tmp_path: Path
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o500)
    calls = make_cache(l3=folder)
    use(calls, origin)
    assert calls.cache.health().l3.state == "down"


def test_folder_that_others_can_write_to_is_an_error_at_start(tmp_path: Path) -> None:
    folder = tmp_path / "disk" / "default"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match="writ"):
        TieredCache(l3=tmp_path / "disk")


def test_folder_that_is_a_file_is_done_without(
    make_cache: Callable[..., Calls], way: str, origin: Origin, log: LogLines, tmp_path: Path
) -> None:
    (tmp_path / "disk").write_text("something else")
    calls = make_cache(l3=tmp_path / "disk", way=way)
    use(calls, origin)
    assert calls.cache.health().l3.state == "down"
    assert len(log.of("disk tier", "off")) == 1


def test_files_that_vanish_cost_a_load(
    make_cache: Callable[..., Calls], way: str, origin: Origin, tmp_path: Path
) -> None:
    calls = make_cache(l3=tmp_path / "disk", l1=1, policy="lru", way=way)
    fill(calls, origin)
    calls.set("large", "x" * 500_000)
    assert calls.cache.flush()
    for path in (tmp_path / "disk").rglob("*"):
        if path.is_file():
            path.unlink()
    use(calls, origin)
    assert calls.load("large", origin) in ("x" * 500_000, "large:0")
    assert calls.cache.health().l3.state in ("up", "degraded", "down")
