"""A disk tier on each engine, on a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from overdrive._tiers.l3.tier import DiskTier
from overdrive.testing import FakeClock

START = 1_800_000_000.0


@pytest.fixture(params=("apsw", "sqlite3"))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def open_tier(tmp_path: Path, engine: str, clock: FakeClock) -> Iterator[Callable[..., DiskTier]]:
    """Open tiers in one directory; closed after the test."""
    opened: list[DiskTier] = []

    def open_one(**options: Any) -> DiskTier:
        opened.append(DiskTier(tmp_path / "cache", **{"engine": engine, "clock": clock, **options}))
        return opened[-1]

    yield open_one
    for tier in opened:
        tier.close()


@pytest.fixture
def tier(open_tier: Callable[..., DiskTier]) -> DiskTier:
    return open_tier()
