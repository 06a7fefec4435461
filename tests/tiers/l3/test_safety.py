"""Whose the directory is, and who can get at it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from overdrive import ConfigError
from overdrive._tiers.l3 import directory
from overdrive._tiers.l3.schema import Sql
from overdrive._tiers.l3.tier import DiskTier


def test_everything_is_for_the_owner_alone(open_tier: Callable[..., DiskTier], tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        tier = open_tier()
        tier.put(b"k", b"v")
        tier.put(b"large", b"x" * 70_000)
    finally:
        os.umask(before)
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "cache").rglob("*")}
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}
    assert any(path.name.endswith("-wal") for path in found)


def test_a_link_in_place_of_the_directory_is_refused(open_tier: Callable[..., DiskTier], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "cache").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="must be a directory and not a link"):
        open_tier()


@pytest.mark.parametrize("name", ["v1", "v1/blob"])
def test_links_within_are_refused(open_tier: Callable[..., DiskTier], tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    link = tmp_path / "cache" / name
    for folder in (tmp_path / "cache", link.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="not a link"):
        open_tier()


def test_a_link_in_place_of_a_shard_is_refused(open_tier: Callable[..., DiskTier], tmp_path: Path) -> None:
    open_tier().close()
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "cache/v1/shard-01.db").unlink()
    (tmp_path / "cache/v1/shard-01.db").symlink_to(victim)
    with pytest.raises(ConfigError, match="must be a regular file"):
        open_tier()
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["users.lock", "epoch", "layout", "ballast"])
def test_links_in_place_of_other_files_are_not_followed(
    open_tier: Callable[..., DiskTier], tmp_path: Path, name: str
) -> None:
    open_tier().close()
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "cache/v1" / name).unlink()
    (tmp_path / "cache/v1" / name).symlink_to(victim)
    tier = open_tier()
    tier.put(b"k", b"v")
    assert victim.read_bytes() == b"precious"


def test_a_link_in_place_of_a_blob_is_a_miss(tier: DiskTier, tmp_path: Path) -> None:
    tier.put(b"k", b"x" * 70_000)
    path = next(path for path in (tmp_path / "cache/v1/blob").rglob("*") if path.is_file())
    victim = tmp_path / "victim"
    victim.write_bytes(b"y" * 70_000)
    path.unlink()
    path.symlink_to(victim)
    assert tier.get(b"k") is None


def test_a_directory_that_others_may_write_to_is_refused(open_tier: Callable[..., DiskTier], tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o770)
    with pytest.raises(ConfigError, match="others may write to it"):
        open_tier()


def test_a_directory_that_others_may_read_is_closed_to_them(open_tier: Callable[..., DiskTier], tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o755)
    open_tier()
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


def test_a_parent_that_everybody_may_change_is_refused(open_tier: Callable[..., DiskTier], tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="has no sticky bit"):
        open_tier()
    tmp_path.chmod(0o1777)
    open_tier()


def test_somebody_elses_directory_is_refused(
    open_tier: Callable[..., DiskTier], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir(mode=0o700)
    real = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)
    with pytest.raises(ConfigError, match=f"belongs to user {real}, not to {real + 1}"):
        open_tier()


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse", "9p", "ceph", "lustre"])
def test_network_file_systems_are_refused(
    open_tier: Callable[..., DiskTier], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/root rw\n"
        f"23 22 0:5 / {tmp_path} rw shared:1 - {kind} server:/share rw\n"
        f"24 22 0:6 / {tmp_path}-other rw - tmpfs tmpfs rw\n"
    )
    monkeypatch.setattr(directory, "_MOUNTS", mounts)
    with pytest.raises(ConfigError, match=f"is on {kind}; SQLite's WAL needs a local file system"):
        open_tier()
    assert not (tmp_path / "cache").exists()
    assert directory.file_system(Path("/")) == "ext4"


def test_a_name_in_a_damaged_row_does_not_lead_out(tier: DiskTier, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x" * 70_000)
    tier.put(b"k", b"x" * 70_000)
    index = next(shard for shard in range(8) if tier._attempt(shard, lambda handle: handle.run(Sql.READ, (b"k",))))
    tier._attempt(index, lambda handle: handle.run("UPDATE entry SET file = '../../../secret'"))
    assert tier.get(b"k") is None
    assert (tmp_path / "secret").exists()
