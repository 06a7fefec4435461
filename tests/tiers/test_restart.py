"""A process that used memory and disk is killed: the next one has what it had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest

from overdrive import TieredCache
from tests.tiers.restart_child import make, replay

COUNT = 20_000


def test_hit_ratio_after_a_kill_is_that_of_a_process_that_lives_on(tmp_path: Path) -> None:
    seed, other_seed = 1, 2
    with make(tmp_path / "control") as cache:
        replay(cache, seed, COUNT)
        undisturbed = replay(cache, other_seed, COUNT)
    folder = tmp_path / "disk"
    command = [sys.executable, "-m", "tests.tiers.restart_child", str(folder), str(seed), str(COUNT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        process.kill()
    start = perf_counter()
    with make(folder) as cache:
        assert perf_counter() - start < 1.0
        after = replay(cache, other_seed, COUNT)
        assert cache.stats().l3.hits > 0
    print(f"hit ratio: {undisturbed:.4f}; after a kill and a restart: {after:.4f}")
    assert 0.5 < undisturbed < 1.0
    assert abs(after - undisturbed) <= 0.01


def test_values_and_tags_outlive_the_process(tmp_path: Path) -> None:
    with TieredCache(l3=tmp_path) as cache:
        for index in range(100):
            cache.set(f"key{index}", index, tags="even" if index % 2 == 0 else "odd")
        cache.invalidate("key1")
    with TieredCache(l3=tmp_path) as cache:
        assert [cache.get(f"key{index}") for index in range(4)] == [0, None, 2, 3]
        cache.invalidate_tags("odd")
        assert cache.get("key2") == 2
        assert cache.get("key3") is None
    with TieredCache(l3=tmp_path) as cache:
        assert [cache.get(f"key{index}") for index in range(4)] == [0, None, 2, None]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_million_entries_open_within_a_second(tmp_path: Path) -> None:
    count = 1_000_000
    with TieredCache(10, l3=tmp_path, l3_max_entries=2 * count) as cache:
        disk = cache._tiers.disk
        assert disk is not None
        for start in range(0, count, 2_000):
            cache.set_many({f"key{index}": index for index in range(start, start + 2_000)})
            assert cache.flush()
        stored = disk.stats().entries
    assert stored >= 0.99 * count
    start_of_open = perf_counter()
    with TieredCache(10, l3=tmp_path, l3_max_entries=2 * count) as cache:
        first = cache.get("key123456")
        opened = perf_counter() - start_of_open
        print(f"{stored} entries: open and first value in {opened:.3f} s")
        assert opened < 1.0
        assert first in (123456, None)
        assert sum(cache.get(f"key{index}") == index for index in range(0, count, 1000)) >= 0.99 * count / 1000
