"""Which binding to SQLite serves, and what is said about it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from overdrive import ConfigError, MissingExtraError
from overdrive._tiers.l3 import sqlite3_engine
from overdrive._tiers.l3.engine import choose
from overdrive._tiers.l3.tier import DiskTier

from . import child


@pytest.fixture
def without_apsw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apsw", None)
    sqlite3_engine._warned.clear()


def test_apsw_is_preferred() -> None:
    engine = choose("auto")
    assert (engine.name, engine.version) == ("apsw", apsw.sqlite_lib_version())


@pytest.mark.usefixtures("without_apsw")
def test_the_fallback_warns_once(tmp_path: Path) -> None:
    with pytest.warns(RuntimeWarning, match="apsw is not installed") as caught:
        tier = DiskTier(tmp_path / "cache")
    message = str(caught[0].message)
    assert sqlite3.sqlite_version in message
    assert "overdrive[disk]" in message
    assert ("can lose writes" in message) == (sqlite3.sqlite_version_info < (3, 51, 3))
    assert tier.put(b"k", b"v")
    assert tier.health().engine == "sqlite3"
    tier.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DiskTier(tmp_path / "cache").close()


@pytest.mark.usefixtures("without_apsw")
def test_choosing_sqlite3_is_silent(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DiskTier(tmp_path / "cache", engine="sqlite3").close()


@pytest.mark.usefixtures("without_apsw")
def test_asking_for_apsw_names_the_extra(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'overdrive\[disk\]'"):
        DiskTier(tmp_path / "cache", engine="apsw")
    assert not (tmp_path / "cache").exists()


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(ConfigError, match="must be 'auto', 'apsw' or 'sqlite3', got 'lmdb'"):
        choose("lmdb")


def test_importing_the_tier_imports_no_engine() -> None:
    code = "import sys, overdrive._tiers.l3.tier as t; sys.exit('apsw' in sys.modules or 'sqlite3' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=child.ROOT, check=True, timeout=60)


def test_an_old_sqlite_is_checkpointed_by_one_process(
    open_tier: Callable[..., DiskTier], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = sqlite3_engine.Sqlite3Engine()
    monkeypatch.setattr(engine, "checkpoints_concurrently", False)  # as before 3.51.3
    first, second = (open_tier(engine=engine, shards=1) for _ in range(2))
    for tier in (first, second):
        assert tier._attempt(0, lambda handle: handle.run("PRAGMA wal_autocheckpoint")) == [(0,)]
    first._checkpoint_alone()
    second._checkpoint_alone()
    assert first._checkpointer is not None
    assert second._checkpointer is None
    wal = tmp_path / "cache/v1/shard-00.db-wal"
    for number in range(3000):
        first.put(b"%d" % (number % 50), b"v" * 1000 + b"%d" % number)
    first._tidy()
    first._writer.close()
    assert wal.stat().st_size < 8 << 20
    first.close()
    second._checkpoint_alone()
    assert second._checkpointer is not None


def test_the_end_of_the_interpreter_closes(tmp_path: Path, engine: str) -> None:
    code = (
        "import sys; from overdrive._tiers.l3.tier import DiskTier\n"
        f"tier = DiskTier({str(tmp_path / 'cache')!r}, engine={engine!r})\n"
        "tier.put_later(b'k', b'v')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=child.ROOT, check=True, timeout=60)
    assert '"clean": true' in (tmp_path / "cache/v1/epoch").read_text()
    with DiskTier(tmp_path / "cache", engine=engine) as tier:
        assert tier.get(b"k") is not None
