"""What one key does to others: nothing, nearly, although they share a table of invalidations."""

from __future__ import annotations

from pathlib import Path

import pytest

from overdrive import TieredCache


@pytest.mark.parametrize(("items", "count"), [(1_000, 1_000), (100_000, 50_000)])
def test_values_that_are_set_do_not_take_others_with_them(items: int, count: int) -> None:
    with TieredCache(items, policy="lru") as cache:
        for key in range(count):
            cache.set(key, key)
        assert sum(cache.get(key) == key for key in range(count)) >= 0.95 * count


def test_writes_that_wait_for_the_disk_do_not_cancel_each_other(tmp_path: Path) -> None:
    with TieredCache(10, l3=tmp_path / "disk") as cache:
        for key in range(2_000):
            cache.set(key, key)
        assert cache.flush()
        assert sum(cache.get(key) == key for key in range(2_000)) >= 0.99 * 2_000
