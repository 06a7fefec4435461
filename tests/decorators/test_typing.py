"""What type checkers make of the decorators: the files in `typing`, with and without their marks of errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "typing"
MARK = re.compile(r"  # type: ignore\[([^\]]+)\]$")
FOUND = re.compile(r"^(.+?):(\d+): error: .*\[([a-z-]+)\]$")
RIGHT = sorted(example.name for example in HERE.glob("*_pass.py"))
WRONG = sorted(example.name for example in HERE.glob("*_fail.py"))


@pytest.fixture(scope="module")
def unmarked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the examples, with the marks taken off."""
    folder = tmp_path_factory.mktemp("typing")
    for example in RIGHT + WRONG:
        lines = (HERE / example).read_text().splitlines()
        (folder / example).write_text("".join(MARK.sub("", line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def by_mypy(unmarked: Path) -> dict[str, set[tuple[int, str]]]:
    """Errors that mypy finds in the examples, by file, as line and code."""
    cache = unmarked / "cache"
    done = run(
        "mypy", "--strict", "--no-error-summary", f"--cache-dir={cache}", "--config-file=pyproject.toml", unmarked
    )
    errors: dict[str, set[tuple[int, str]]] = {example: set() for example in RIGHT + WRONG}
    for line in done.stdout.splitlines():
        if found := FOUND.match(line):
            errors[Path(found[1]).name].add((int(found[2]), found[3]))
        else:
            assert ": note: " in line, done.stdout + done.stderr
    return errors


@pytest.fixture(scope="module")
def by_pyright(unmarked: Path) -> dict[str, set[int]]:
    """Lines in which pyright finds errors, by file. Their codes are its own, so the marks do not have them."""
    if find_spec("basedpyright") is None:
        pytest.skip("needs basedpyright, which comes with its own Node.js")
    (unmarked / "pyrightconfig.json").write_text(
        json.dumps({"include": ["*.py"], "typeCheckingMode": "standard", "pythonVersion": "3.11"})
    )
    done = run("basedpyright", "--outputjson", "--pythonpath", sys.executable, "--project", unmarked)
    errors: dict[str, set[int]] = {example: set() for example in RIGHT + WRONG}
    for found in json.loads(done.stdout)["generalDiagnostics"]:
        if found["severity"] == "error":
            errors[Path(found["file"]).name].add(found["range"]["start"]["line"] + 1)
    return errors


def run(checker: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", checker, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, timeout=100, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done


def marked(example: str) -> set[tuple[int, str]]:
    lines = (HERE / example).read_text().splitlines()
    found = {number: MARK.search(line) for number, line in enumerate(lines, start=1)}
    return {(number, code) for number, mark in found.items() if mark for code in mark[1].split(", ")}


@pytest.mark.parametrize("example", RIGHT)
def test_right_uses_are_accepted(example: str, by_mypy: dict[str, set[tuple[int, str]]]) -> None:
    assert by_mypy[example] == set()


@pytest.mark.parametrize("example", WRONG)
def test_wrong_uses_are_refused_with_the_errors_marked(example: str, by_mypy: dict[str, set[tuple[int, str]]]) -> None:
    assert by_mypy[example] == marked(example)
    assert len(by_mypy[example]) > 30


@pytest.mark.parametrize("example", RIGHT)
def test_right_uses_are_accepted_by_pyright(example: str, by_pyright: dict[str, set[int]]) -> None:
    assert by_pyright[example] == set()


@pytest.mark.parametrize("example", WRONG)
def test_wrong_uses_are_refused_by_pyright(example: str, by_pyright: dict[str, set[int]]) -> None:
    assert by_pyright[example] == {line for line, _ in marked(example)}


@pytest.mark.parametrize("example", RIGHT)
def test_right_uses_work(example: str) -> None:
    source = (HERE / example).read_text()

    exec(compile(source, example, "exec"), {"__name__": example.removesuffix(".py")})
