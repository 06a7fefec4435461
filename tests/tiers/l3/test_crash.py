"""Writers that are killed: what was acknowledged is there, whole, and the directory opens at once."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from pathlib import Path

import pytest

from overdrive._tiers.l3.tier import DiskTier

from . import child


def kill_in_the_middle(folder: Path, engine: str, round_: int, chance: random.Random) -> dict[bytes, int]:
    """Let two processes write and kill them; returns the last number that each had acknowledged."""
    logs = {b"%d%c" % (round_, name): folder.with_name(f"{round_}{name:c}.acknowledged") for name in b"ab"}
    writers = []
    for seed, log in logs.items():
        with log.open("wb") as stream:
            arguments = child.command("write_for_ever", folder, engine, seed.decode())
            writers.append(subprocess.Popen(arguments, cwd=child.ROOT, stdout=stream))
    # How far they come, and not how long they take, is what is drawn.
    enough = chance.randrange(10, 400)
    deadline = time.monotonic() + 60
    try:
        while min(log.read_bytes().count(b"\n") for log in logs.values()) < enough:
            assert time.monotonic() < deadline
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"a writer ended with {writers[0].wait(0.01)}")
    finally:
        for writer in writers:
            writer.kill()
            writer.wait(20)
    return {seed: int(log.read_bytes().split(b"\n")[-2]) for seed, log in logs.items()}


def check(folder: Path, engine: str, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged: dict[bytes, int] = {}
    checked = 0
    for round_ in range(rounds):
        acknowledged |= kill_in_the_middle(folder, engine, round_, chance)
        before = time.perf_counter()
        with DiskTier(folder, engine=engine) as tier:
            assert time.perf_counter() - before < 1
            for key, row in tier.iterate():
                assert child.is_whole(key, row.blob)
                assert not row.suspect
            for name, last in acknowledged.items():
                for number in range(last + 1):
                    found = tier.get(b"%s:%d" % (name, number))
                    assert found is not None, (seed, round_, name, number)
                    assert child.is_whole(b"%s:%d" % (name, number), found.blob)
                    checked += 1
            assert tier.stats().entries == len(tier.keys())
            assert "shards_set_aside" not in tier.stats().events
    assert checked


def test_killed_writers_lose_nothing(tmp_path: Path, engine: str) -> None:
    check(tmp_path / "cache", engine, rounds=3, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_writers_killed_often_lose_nothing(tmp_path: Path, engine: str) -> None:
    check(tmp_path / "cache", engine, rounds=20, seed=2)
