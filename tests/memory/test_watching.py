"""Statistics, estimates, recordings and snapshots of a cache in use."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

import overdrive
from overdrive import CacheStats, MemoryCache, SnapshotError
from overdrive.testing import FakeClock

from .policies import filled, make, on_every_policy


def test_statistics_count_what_happens() -> None:
    cache = filled(count=3)
    cache.get(0)
    cache.get("absent")
    cache["new"] = 1
    cache["new"] = 2
    del cache["new"]
    assert cache.stats() == CacheStats(hits=1, misses=1, evicted=1, replaced=1, deleted=1)
    assert cache.stats().hit_ratio == 0.5
    cache.reset_stats()
    assert cache.stats() == CacheStats()
    assert cache.stats().hit_ratio != cache.stats().hit_ratio  # NaN


def test_ages_are_a_histogram() -> None:
    clock = FakeClock(100)
    cache = make(maxsize=100, clock=clock)
    for _ in range(10):
        cache[random.random()] = 1
        clock.advance(1)
    ages = cache.ages()
    assert sum(ages.counts) == ages.sampled == 10
    assert ages.quantile(1.0) == 12.8
    assert ages.quantile(0.1) == 1.6
    assert ages.seconds[-1] == float("inf")
    with pytest.raises(ValueError, match="fraction must be from 0 to 1"):
        ages.quantile(2)
    assert make().ages().quantile(0.5) != make().ages().quantile(0.5)  # NaN


def use(cache: MemoryCache[int, int], requests: int = 30_000) -> None:
    draw = random.Random(5)
    for _ in range(requests):
        key = int(draw.paretovariate(0.5)) % 4000
        if cache.get(key) is None:
            cache[key] = key


@on_every_policy
def test_estimates_agree_with_a_replay(policy: str, tmp_path: Path) -> None:
    if policy == "rr":
        pytest.skip("it draws, so no two runs agree")
    cache = make(policy, 500)
    assert cache.what_if(sizes=(500, 1000), policies=(policy, "lru")).lookups == 0
    with cache.record(tmp_path / "requests") as recording:
        use(cache)
    assert (recording.requests, recording.lookups, recording.lost) == (30_000, 30_000, 0)
    report = cache.what_if()
    simulation = overdrive.simulate(tmp_path / "requests", sizes=[500, 1000], policies=[policy, "lru"])
    assert report.actual.hit_ratio == cache.stats().hit_ratio
    for row in report:
        # What is sampled is everything in so small a cache; hashes, and with them sketches, differ.
        assert row.hit_ratio == pytest.approx(simulation.row(row.policy, row.size).hit_ratio, abs=0.01)
    cache.stop_what_if()
    assert cache.what_if(sizes=(2.0,), policies=["arc"]).lookups == 0
    cache._check()


def test_bad_estimates_and_recordings_are_refused(tmp_path: Path) -> None:
    cache = make(maxsize=10)
    for arguments in ({"policies": ["best"]}, {"sizes": [0]}, {"sizes": range(1, 1000)}):
        with pytest.raises(ValueError, match="best|size|combinations"):
            cache.what_if(**arguments)
    with pytest.raises(ValueError, match="nothing to compare with"):
        make(maxsize=None).what_if()
    with pytest.raises(ValueError, match="rate"):
        cache.record(tmp_path / "x", rate=0)
    with pytest.raises(FileNotFoundError):
        cache.record(tmp_path / "no folder" / "x")
    with cache.record(tmp_path / "x"), pytest.raises(RuntimeError, match="under way"):
        cache.record(tmp_path / "y")
    assert not cache._is_recording


def test_recordings_of_several_threads_have_every_request(tmp_path: Path) -> None:
    cache = make(maxsize=500)
    with cache.record(tmp_path / "requests") as recording:
        threads = [threading.Thread(target=use, args=(cache, 10_000)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert recording.requests == 40_000
    recording.stop()
    assert (tmp_path / "requests").stat().st_size == 40 + 8 * 40_000


@on_every_policy
def test_a_snapshot_brings_everything_back(policy: str, tmp_path: Path) -> None:
    cache = make(policy, 100, ttl=1000)
    for key in range(80):
        cache.set(("key", key), {"value": [key]}, ttl=50 + key, tags=["a", f"b{key % 2}"] if key % 3 else None)
    cache.pin(("key", 5))
    saved = cache.save(tmp_path / "snapshot")
    assert saved.items == 80
    warm = make("lru", 100)
    assert warm.load(tmp_path / "snapshot").items == 80
    assert warm == cache
    assert warm.is_pinned(("key", 5))
    assert warm.tags(("key", 1)) == ("a", "b1")
    assert 100 < warm.remaining_ttl(("key", 70)) <= 120
    assert warm.invalidate_tag("b1") == cache.invalidate_tag("b1") > 0
    warm._check()


def test_the_hottest_items_of_a_large_snapshot_are_loaded(tmp_path: Path) -> None:
    filled("lru", 100).save(tmp_path / "snapshot")
    small = make("lru", 10)
    small["own"] = 1
    assert small.load(tmp_path / "snapshot").items == 10
    assert [key for key, _ in small.coldest()] == list(range(90, 100))
    assert small.stats().requests == 0


def test_a_damaged_snapshot_leaves_the_cache_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    filled(count=50).save(path)
    content = path.read_bytes()
    cache = make()
    cache["a"] = 1
    draw = random.Random(1)
    for _ in range(100):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(SnapshotError):
            cache.load(path)
        path.write_bytes(content[: draw.randrange(len(content))])
        with pytest.raises(SnapshotError):
            cache.load(path)
    assert cache == {"a": 1}
    with pytest.raises(FileNotFoundError):
        cache.load(tmp_path / "absent")


def test_what_cannot_be_saved_is_named(tmp_path: Path) -> None:
    cache = filled(count=2, maxsize=3)
    cache["bad"] = [1, object()]
    with pytest.raises(TypeError, match="object"):
        cache.save(tmp_path / "snapshot")
    assert not (tmp_path / "snapshot").exists()
    report = cache.save(tmp_path / "snapshot", skip_unsupported=True)
    assert (report.items, report.skipped) == (2, 1)
