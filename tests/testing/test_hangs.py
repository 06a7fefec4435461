"""Each scenario runs in a process of its own, which ends when its time is up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT = 60  # seconds; more than a scenario takes to find out that it hangs

SCENARIOS = [
    "threads_that_hang_are_reported",
    "callers_behind_one_that_hangs_are_reported",
    "time_is_shared_by_all_threads",
    "tasks_that_hang_are_reported_and_cancelled",
    "tasks_that_refuse_to_end_are_left_behind",
    "blocked_event_loops_are_reported",
    "loads_until_the_timeout_are_counted",
    "statistics_that_hang_too_are_done_without",
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_hangs_is_reported(scenario: str) -> None:
    command = [sys.executable, "-m", "tests.testing.hang_scenarios", scenario]
    done = subprocess.run(command, cwd=ROOT, timeout=TIMEOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
