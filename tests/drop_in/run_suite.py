"""Run cachetools' own test suite, unchanged, with `cachetools` aliased to overdrive.

The suite comes from the source distribution on PyPI, pinned by its SHA-256. Exit status 0 means that
every test of it was collected and passed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

RELEASE = "cachetools-8.0.0"
SHA256 = "5ed01bd676800d51f0025605e4fd8ad0891550513e7b0a4c3da478463764e5c3"
#: What `pytest tests` reports in that release, by category. Any other category (skipped, warnings,
#: deselected, ...) or count is a failure.
EXPECTED = {"passed": 416, "subtests passed": 24}
#: A deadlocked native lock holds the GIL, so only a kill from outside ends the run.
TIMEOUT_SECONDS = 120

HERE = Path(__file__).resolve().parent
STORE = HERE.parents[1] / "build" / "cachetools-sdist"


def fetch() -> Path:
    """Return the verified source distribution, downloading it on the first run."""
    archive = STORE / f"{RELEASE}.tar.gz"
    if not archive.exists():
        download(archive)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        sys.exit(f"{archive} has SHA-256 {digest}, expected {SHA256}")
    return archive


def download(archive: Path) -> None:
    """Let pip fetch the source distribution; pip checks the hash before it runs anything from it."""
    name, version = RELEASE.split("-")
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch, "requirements.txt")
        wanted.write_text(f"{name}=={version} --hash=sha256:{SHA256}\n", encoding="utf-8")
        options = ["--no-deps", "--no-binary", name, "--require-hashes", "-r", str(wanted), "-d", scratch]
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", *options]
        if subprocess.run(command, check=False).returncode != 0:
            sys.exit(f"could not download the source distribution of {RELEASE} from the package index")
        archive.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path(scratch, archive.name), archive)


def unpack(archive: Path) -> Path:
    """Unpack afresh, so that nobody can have edited the tests."""
    shutil.rmtree(STORE / RELEASE, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(STORE, filter="data")
    return STORE / RELEASE


def run(suite: Path) -> tuple[int, str, dict[str, int]]:
    """Run the suite in a child process; return its exit status, its output and the test counts."""
    counts_file = STORE / "counts.json"
    counts_file.unlink(missing_ok=True)
    environment = os.environ | {
        "DROP_IN_COUNTS": str(counts_file),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
        "PYTEST_ADDOPTS": "",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    # An empty configuration file: the one of this repository would apply otherwise.
    options = ["-q", "-p", "overdrive_as_cachetools", "-p", "no:cacheprovider", "-c", os.devnull]
    options += ["--rootdir", str(suite)]
    command = [sys.executable, "-X", "faulthandler", "-m", "pytest", *options, "tests"]
    process = subprocess.Popen(
        command, cwd=suite, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        output += f"\nkilled: not finished after {TIMEOUT_SECONDS} s\n"
    counts = json.loads(counts_file.read_text(encoding="utf-8")) if counts_file.exists() else {}
    return process.returncode, output, counts


def main() -> int:
    """Print pytest's closing line; return 0 if everything passed and nothing is missing."""
    status, output, counts = run(unpack(fetch()))
    closing = output.rstrip().rpartition("\n")[2]
    if status != 0 or counts != EXPECTED:
        print(output)
        print(f"{RELEASE} tests on overdrive: FAILED with status {status}: {counts}, expected {EXPECTED}")
        return 1
    print(f"{RELEASE} tests on overdrive: {closing}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
