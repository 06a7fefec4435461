"""Damaged files: no crash, no error out of a call, and what comes back is whole or can be told from its checksum."""

from __future__ import annotations

import ast
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from overdrive._tiers.l3.tier import DiskTier

from . import child
from .damage import DAMAGES, Damage

ENTRIES = 400
SEEDS_OF_THE_SUITE = 5
SEEDS = 200


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a WAL, as a killed process leaves it, in one shard."""
    folder = tmp_path_factory.mktemp("pristine") / "cache"
    tier = DiskTier(folder, shards=1, engine="apsw")
    for number in range(ENTRIES):
        key = b"key:%d" % number
        size = 70_000 if number % 50 == 0 else 100 + number % 900
        tier.put(key, child.sealed(key, size), tags=(number % 3,) if number % 2 else ())
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    tier.close()
    return copy


def check(pristine: Path, tmp_path: Path, damage: Damage, engine: str, seed: int) -> None:
    chance = random.Random(f"{damage.__name__}:{seed}")
    folder = tmp_path / "cache"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pristine, folder)
    files = [path for path in (folder / "v1").rglob("*") if path.is_file() and path.stat().st_size]
    shards = [path for path in files if path.name.startswith("shard") and not path.name.endswith("-shm")]
    damage(chance.choice(shards if seed % 4 else files), chance)
    found = ast.literal_eval(child.run("read_damaged", folder, engine, ENTRIES, timeout=60))
    assert sum(found.get(outcome, 0) for outcome in ("whole", "wrong", "miss")) == ENTRIES, seed
    assert found["stored"] == 40, (seed, found)


@pytest.mark.parametrize("seed", range(SEEDS_OF_THE_SUITE))
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_survived(pristine: Path, tmp_path: Path, damage: Damage, engine: str, seed: int) -> None:
    check(pristine, tmp_path, damage, engine, seed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("damage", DAMAGES)
def test_much_damage_is_survived(pristine: Path, tmp_path: Path, damage: Damage, engine: str) -> None:
    for seed in range(SEEDS_OF_THE_SUITE, SEEDS):
        check(pristine, tmp_path, damage, engine, seed)


def test_a_file_that_was_never_a_database_is_set_aside(
    open_tier: Callable[..., DiskTier], tmp_path: Path, engine: str
) -> None:
    open_tier(shards=1).close()
    (tmp_path / "cache/v1/shard-00.db").write_bytes(b"not a database " * 1000)
    tier = open_tier()
    assert tier.get(b"k") is None
    assert tier.put(b"k", b"v")
    assert tier.stats().events["shards_set_aside"] == 1
    assert tier.health().state == "ok"


def test_an_empty_file_is_filled(open_tier: Callable[..., DiskTier], tmp_path: Path) -> None:
    open_tier(shards=1).close()
    (tmp_path / "cache/v1/shard-00.db").write_bytes(b"")
    tier = open_tier()
    assert tier.put(b"k", b"v")
    assert tier.get(b"k") is not None
