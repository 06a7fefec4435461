"""What is not worth its place on the disk is not written there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from overdrive import TieredCache

LIMIT = 2_000_000


@pytest.mark.parametrize("how", ["set", "loaded"])
def test_value_that_takes_more_than_a_twentieth_of_the_disk_is_kept_in_memory_alone(tmp_path: Path, how: str) -> None:
    large, small = os.urandom(LIMIT // 20 + 1), os.urandom(LIMIT // 40)
    with TieredCache(l3=tmp_path, l3_max_bytes=LIMIT) as cache:
        for key, value in (("large", large), ("small", small)):
            if how == "set":
                cache.set(key, value)
            else:
                cache.get_or_load(key, {"large": large, "small": small}.__getitem__)
        assert cache.get("large") == large
        assert cache.flush(10)
        assert cache.stats().l3.errors == {"too large": 1}
    with TieredCache(l3=tmp_path, l3_max_bytes=LIMIT) as cache:
        assert cache.get("large") is None
        assert cache.get("small") == small


def test_older_value_does_not_stay_on_the_disk_in_its_place(tmp_path: Path) -> None:
    with TieredCache(l3=tmp_path, l3_max_bytes=LIMIT) as cache:
        cache.set("key", "old")
        cache.set("key", os.urandom(LIMIT))
    with TieredCache(l3=tmp_path, l3_max_bytes=LIMIT) as cache:
        assert cache.get("key") is None


def test_value_that_is_about_to_expire_is_not_written(tmp_path: Path) -> None:
    with TieredCache(l3=tmp_path) as cache:
        cache.get_or_load("short", str, ttl=5)
        cache.get_or_load("long", str, ttl=500)
        assert cache.flush(10)
        assert cache.stats().l3.sets == 1
