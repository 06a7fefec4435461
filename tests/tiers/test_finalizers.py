"""Finalizers and signal handlers that run in the middle of what the cache does, and that use it themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiers.servers import Server

ROOT = Path(__file__).parents[2]
SECONDS = 1.5


@pytest.mark.parametrize("how", ["finalizers", pytest.param("signals", marks=pytest.mark.slow)])
@pytest.mark.parametrize("tiers", ["memory", "disk", "redis", "redis and disk"])
def test_a_cache_that_is_used_in_the_middle_of_itself_goes_on(
    how: str, tiers: str, start_server: Callable[..., Server], tmp_path: Path
) -> None:
    url = start_server().url if "redis" in tiers else "-"
    folder = str(tmp_path / "disk") if "disk" in tiers else "-"
    command = [sys.executable, "-m", "tests.tiers.finalizers", how, url, folder, str(SECONDS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    blocking, tasks, finalizers = map(int, done.stdout.split())
    assert min(blocking, tasks) > 20
    assert finalizers > 100
    assert "Exception ignored" not in done.stderr
