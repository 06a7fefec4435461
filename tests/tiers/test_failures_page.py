"""docs/failures.md names tests that exist, and all those of faults."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "failures.md").read_text(encoding="utf-8")


def names_in(path: Path) -> set[str]:
    """Return the names of the tests in a file."""
    return set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 50
    assert [f"{file}::{test}" for file, test in named if test not in names_in(HERE / file)] == []


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| fault |")]
    assert [row for row in rows if "::test_" not in row] == []


def test_every_test_of_faults_is_named() -> None:
    minor = {
        "test_cache_serves_several_event_loops_and_threads_at_once",
        "test_folder_without_rights_is_done_without",
        "test_injected_clock_decides_what_is_fresh",
        "test_loader_that_hangs_in_a_task_is_run_once",
        "test_pickles_without_a_secret_are_refused_at_start",
    }
    written = {test for path in (HERE / "faults").glob("test_*.py") for test in names_in(path)}
    assert sorted(written - minor - set(re.findall(r"test_\w+", PAGE))) == []
