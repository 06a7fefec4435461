"""The programs in `examples` run, each in a process of its own, and print what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(example: str) -> str:
    """Return what an example prints; a warning is an error."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / example],
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
