"""Run CPython's own tests of `lru_cache` on the wheel for each interpreter that is found here.

    python tests/drop_in/functools_matrix.py [WHEEL ...]

Without arguments it takes the wheels in `dist/`, where `make wheel` puts one for every CPython. Interpreters
are those of pyenv and every `python3.X` on the PATH; the one that runs this needs pip. Prints a line for each
interpreter. Exits with 1 if a test failed, if no interpreter fits a wheel, or if none has the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITE = Path(__file__).with_name("run_functools_suite.py")
MINORS = range(11, 16)
#: More than the two children of the suite may take, which has its own timeout.
TIMEOUT_SECONDS = 400

DESCRIBE = """
import json, os, platform, sys, sysconfig
tag = "cp%d%d" % sys.version_info[:2] + ("t" if sysconfig.get_config_var("Py_GIL_DISABLED") else "")
print(json.dumps([platform.python_implementation(), platform.python_version(), tag, os.path.realpath(sys.executable)]))
"""


class FailedError(Exception):
    """Why an interpreter did not get as far as the tests."""


def main(wheels: list[Path]) -> int:
    """Test every interpreter with the newest wheel for it; return the exit code."""
    if not wheels:
        print(f"no wheels given, and none in {ROOT / 'dist'}: run `make wheel` first", file=sys.stderr)
        return 1
    newest = {wheel.stem.split("-")[-2]: wheel for wheel in sorted(wheels, key=lambda wheel: wheel.stat().st_mtime)}
    tried, passed, failed = set(), 0, 0
    for python, (version, tag) in interpreters().items():
        if tag not in newest:
            print(f"CPython {version}: not run: no wheel for {tag} ({python})", flush=True)
            continue
        tried.add(tag)
        status, output = test(python, newest[tag])
        line = output.rstrip().rpartition("\n")[2]
        title = "" if line.startswith("CPython") else f"CPython {version}: FAILED: "
        print(f"{title}{line} ({python})", flush=True)
        if status != 0:
            print(output, file=sys.stderr, flush=True)
        passed += status == 0 and "skipped:" not in line
        failed += status != 0
    for tag in sorted(newest.keys() - tried):
        print(f"{newest[tag].name}: no interpreter for it here", file=sys.stderr)
    if not passed and not failed:
        print("no interpreter ran the tests", file=sys.stderr)
    return 0 if passed and not failed and tried == newest.keys() else 1


def interpreters() -> dict[Path, tuple[str, str]]:
    """Find every CPython from 3.11 on, by its path: its version and the tag of the wheels that fit it."""
    names = [f"python3.{minor}{flavour}" for minor in MINORS for flavour in ("", "t")]
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    candidates = [path for minor in MINORS for path in Path.home().glob(f".pyenv/versions/3.{minor}*/bin/python")]
    # Not only the first on the PATH: pyenv's shims hide the system's, which is built in its own way.
    candidates += [path for name in names for folder in folders if os.access(path := folder / name, os.X_OK)]
    found: dict[str, tuple[Path, str, str]] = {}
    for candidate in candidates:
        done = subprocess.run([candidate, "-c", DESCRIBE], capture_output=True, text=True, env=environment())
        if done.returncode != 0:
            continue  # a shim of a version that is not active
        implementation, version, tag, real = json.loads(done.stdout)
        if implementation == "CPython":
            found.setdefault(real, (candidate, version, tag))
    by_version = sorted(found.values(), key=lambda item: [int(part) for part in item[1].split(".")[:2]])
    return {python: (version, tag) for python, version, tag in by_version}


def test(python: Path, wheel: Path) -> tuple[int, str]:
    """Install the wheel where there is nothing else, run the suite there; return its status and output."""
    with tempfile.TemporaryDirectory(prefix="overdrive-functools-") as scratch:
        folder = Path(scratch)
        inside = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
        # With this interpreter's pip: Debian's venv has none without a further package.
        install = [sys.executable, "-m", "pip", "--python", str(inside), "install", "-q", "--no-deps", "--no-index"]
        try:
            run([str(python), "-m", "venv", "--without-pip", str(folder / "env")], folder)
            run([*install, "--disable-pip-version-check", str(wheel.resolve())], folder)
            return 0, run([str(inside), str(SUITE)], folder)
        except FailedError as failure:
            return 1, str(failure)


def run(command: list[str], folder: Path) -> str:
    """Run a command; return what it printed."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise FailedError(f"{' '.join(command)}\nnot finished after {TIMEOUT_SECONDS} s") from None
    if done.returncode != 0:
        raise FailedError(f"{' '.join(command)}\n{done.stdout}")
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment without what would lead to another overdrive than the wheel's."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in hidden}


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]] or sorted((ROOT / "dist").glob("*.whl"))))
