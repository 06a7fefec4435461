from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "typing"
MARK = re.compile(r"  # type: ignore\[([^\]]+)\]$")
FOUND = re.compile(r"^(.+?):(\d+): error: .*\[([a-z-]+)\]$")


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[tuple[int, str]]]:
    """Errors that mypy finds in the examples, by file, as line and code; the marks are taken off before."""
    folder = tmp_path_factory.mktemp("typing")
    for example in HERE.glob("api_*.py"):
        lines = example.read_text().splitlines()
        (folder / example.name).write_text("".join(MARK.sub("", line) + "\n" for line in lines))
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        f"--cache-dir={folder / 'cache'}",
    ]
    done = subprocess.run(
        [*command, "--config-file=pyproject.toml", *map(str, sorted(folder.glob("*.py")))],
        cwd=ROOT,
        timeout=100,
        capture_output=True,
        text=True,
        check=False,
    )
    errors: dict[str, set[tuple[int, str]]] = {"api_pass.py": set(), "api_fail.py": set()}
    for line in done.stdout.splitlines():
        if found := FOUND.match(line):
            errors[Path(found[1]).name].add((int(found[2]), found[3]))
        else:
            assert ": note: " in line, done.stdout + done.stderr
    assert done.returncode in (0, 1), done.stderr
    return errors


def marked(example: str) -> set[tuple[int, str]]:
    lines = (HERE / example).read_text().splitlines()
    found = {number: MARK.search(line) for number, line in enumerate(lines, start=1)}
    return {(number, code) for number, mark in found.items() if mark for code in mark[1].split(", ")}


def test_right_uses_are_accepted(reported: dict[str, set[tuple[int, str]]]) -> None:
    assert reported["api_pass.py"] == set()


def test_wrong_uses_are_refused_with_the_errors_marked(reported: dict[str, set[tuple[int, str]]]) -> None:
    assert reported["api_fail.py"] == marked("api_fail.py")
    assert len(reported["api_fail.py"]) > 30


def test_right_uses_work() -> None:
    source = (HERE / "api_pass.py").read_text()

    exec(compile(source, "api_pass.py", "exec"), {"__name__": "api_pass"})
