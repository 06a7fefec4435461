"""Install a wheel into a clean environment and check what users get.

    python tests/wheel/check_wheel.py WHEEL

No Rust, and nothing but the wheel and the interpreter that runs this to import it; then what the wheel depends on,
which pip fetches, to run it. Exits 1 and says why if anything is not as promised.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

IMPORT_LIMIT_MS = 40.0
ROUNDS = 15

MUST_HAVE = (
    "overdrive/__init__.py",
    "overdrive/_core.pyi",
    "overdrive/py.typed",
    "overdrive/demo/data/web12.npz",
    "overdrive/demo/data/ATTRIBUTION.md",
)

# Runs in a fresh interpreter: what does `import overdrive` do to the process?
IMPORT_PROBE = """
import json, os, sys, threading, time
events = []
def audit(event, arguments):
    if event.startswith("socket.") or event in ("open", "subprocess.Popen", "os.fork"):
        events.append((event, str(arguments[0]) if arguments else ""))
def tasks():
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
def descriptors():
    return sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []
before = set(sys.modules)
descriptors_before, tasks_before = descriptors(), tasks()
sys.addaudithook(audit)
start = time.perf_counter()
import overdrive
elapsed = time.perf_counter() - start
print(json.dumps({
    "ms": elapsed * 1000,
    "threads": threading.active_count() - 1 + tasks() - tasks_before,
    "descriptors": len(descriptors()) - len(descriptors_before),
    "events": events,
    "modules": sorted(set(sys.modules) - before),
    "file": overdrive.__file__,
    "version": overdrive.__version__,
}))
"""


class UnmetError(Exception):
    """A promise that the wheel does not keep."""


def main(wheel: Path) -> int:
    """Check the wheel; return the exit code."""
    try:
        check_contents(wheel)
        with tempfile.TemporaryDirectory(prefix="overdrive-wheel-") as folder:
            python = install(wheel, Path(folder))
            check_import(python, Path(folder))
            install_dependencies(python, wheel, Path(folder))
            check_command(python, Path(folder))
    except UnmetError as unmet:
        print(f"{wheel.name}: {unmet}", file=sys.stderr)
        return 1
    return 0


def check_contents(wheel: Path) -> None:
    """Look for the files that users rely on."""
    names = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in MUST_HAVE if name not in names]
    if missing:
        raise UnmetError(f"lacks {', '.join(missing)}")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB, {len(names)} files")


def install(wheel: Path, folder: Path) -> Path:
    """Install the wheel, and nothing else, where there is no Rust and no network is needed."""
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel.resolve()), cwd=folder)
    return python


def install_dependencies(python: Path, wheel: Path, folder: Path) -> None:
    """Install what the wheel says that it depends on."""
    run(python, "-m", "pip", "install", "-q", str(wheel.resolve()), cwd=folder)
    run(python, "-m", "pip", "check", cwd=folder)


def check_import(python: Path, folder: Path) -> None:
    """Import in fresh processes: fast, and without touching the outside world."""
    probes = [json.loads(run(python, "-c", IMPORT_PROBE, cwd=folder)) for _ in range(ROUNDS)]
    last = probes[-1]
    if not Path(last["file"]).is_relative_to(folder):
        raise UnmetError(f"imported {last['file']}, not the installed wheel")
    best = min(probe["ms"] for probe in probes)
    if best >= IMPORT_LIMIT_MS:
        raise UnmetError(f"import takes {best:.1f} ms, the limit is {IMPORT_LIMIT_MS:.0f} ms")
    sockets = [event for event in last["events"] if event[0] != "open"]
    # Reading its own modules and the standard library's is what an import is.
    prefixes = (str(folder), sys.base_prefix, sys.prefix)
    foreign = [name for event, name in last["events"] if event == "open" and not name.startswith(prefixes)]
    if last["threads"] or last["descriptors"] or sockets or foreign:
        raise UnmetError(
            f"import started {last['threads']} threads, left {last['descriptors']} files open, "
            f"caused {sockets}, opened {foreign}"
        )
    heavy = {"apsw", "asyncio", "msgspec", "numpy", "psutil", "redis", "sqlite3"} & set(last["modules"])
    if heavy:
        raise UnmetError(f"import loads {', '.join(sorted(heavy))}")
    print(f"import overdrive: {best:.1f} ms (best of {ROUNDS}), no thread, no file left open, no socket")


def check_command(python: Path, folder: Path) -> None:
    """The command line answers."""
    short = ("demo", "--requests", "2000", "--no-memory", "--seconds", "5")
    for arguments in (("--version",), ("demo", "--help"), ("cache", "--help"), short):
        output = run(python, "-m", "overdrive", *arguments, cwd=folder)
        print(f"python -m overdrive {' '.join(arguments)}: {len(output.splitlines())} lines")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without the caller's Python settings and without Rust; return what it printed."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CARGO_HOME", "RUSTUP_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    folders = environment.get("PATH", "").split(os.pathsep)
    environment["PATH"] = os.pathsep.join(path for path in folders if ".cargo" not in path)
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise UnmetError(f"{' '.join(map(str, command))[:200]}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: check_wheel.py WHEEL")
    sys.exit(main(Path(sys.argv[1])))
