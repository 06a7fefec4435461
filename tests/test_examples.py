"""The programs in `examples` run, each in a process of its own, and print what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiers.servers import Server

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(example: str, *arguments: str) -> str:
    """Return what an example prints; a warning is an error."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / example, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_examples_run(example: str) -> None:
    assert run(example)


def test_price_service_spares_the_backend() -> None:
    lines = [line.rsplit(maxsplit=5) for line in run("price_service.py").splitlines() if line.rstrip()[-1:].isdigit()]

    # What happened, and of each: requests, answered, loads, errors; the last column is the time.
    assert {what: figures[:4] for what, *figures in lines} == {
        "nothing is cached, one is cancelled": ["1,000", "999", "3", "0"],
        "the same again": ["1,000", "1,000", "0", "0"],
        "a product that does not exist": ["1,000", "0", "0", "1"],
        "after 70 s: old prices, while loading": ["1,000", "1,000", "3", "0"],
        "and then the new ones": ["1,000", "1,000", "0", "0"],
        "after 300 s: the backend is down": ["1,000", "1,000", "0", "3"],
        "it is back": ["1,000", "1,000", "3", "0"],
    }


def test_embedded_tiers_start_warm() -> None:
    assert run("tiers_embedded.py").splitlines() == [
        "400 hits in memory, 0 on the disk, 100 loads",
        "product 7 came from loader",
        "400 hits in memory, 100 on the disk, 0 loads",
        "product 7 came from loader",
    ]


def test_instances_share_a_redis(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        assert run("tiers_redis.py", server.url).splitlines() == [
            "100 callers of two instances, 1 load",
            "the other instance shows 14900 cents, from loader",
            "memory up, Redis up",
        ]


def test_without_a_url_nothing_is_connected_to() -> None:
    assert run("tiers_redis.py").startswith("no server given")
