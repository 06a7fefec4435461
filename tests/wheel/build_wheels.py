"""Build a wheel for every CPython from 3.11 on that is found here, and check each with its own interpreter.

Looks for `python3.X` on the PATH and for interpreters installed by pyenv. Wheels go to `dist/`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MINORS = range(11, 16)

DESCRIBE = """
import json, platform, sys, sysconfig
print(json.dumps([platform.python_implementation(), sys.version_info[:2],
                  sysconfig.get_config_var("EXT_SUFFIX"), sys.version.split()[0]]))
"""


def interpreters() -> dict[str, Path]:
    """Find one interpreter for each kind of extension module, by its version."""
    candidates = [shutil.which(f"python3.{minor}{flavour}") for minor in MINORS for flavour in ("", "t")]
    pyenv = sorted(Path.home().glob(".pyenv/versions/*/bin/python"))
    found: dict[str, tuple[str, Path]] = {}
    for candidate in [*map(Path, filter(None, candidates)), *pyenv]:
        done = subprocess.run([candidate, "-c", DESCRIBE], capture_output=True, text=True)
        if done.returncode != 0:
            continue  # a shim of a version that is not active
        implementation, version, suffix, full = json.loads(done.stdout)
        if implementation == "CPython" and tuple(version) >= (3, 11):
            found.setdefault(suffix, (full, candidate))
    return dict(found.values())


def main() -> int:
    """Build and check; return the exit code."""
    maturin = Path(sys.executable).with_name("maturin")
    failed = []
    for version, python in interpreters().items():
        before = set((ROOT / "dist").glob("*.whl"))
        command = [str(maturin), "build", "--release", "--locked", "-q", "-i", str(python), "-o", "dist"]
        if subprocess.run(command, cwd=ROOT).returncode != 0:
            failed.append(f"{version}: the build failed")
            continue
        built = set((ROOT / "dist").glob("*.whl")) - before or newest(ROOT / "dist")
        for wheel in built:
            print(f"--- CPython {version} ({python})", flush=True)
            check = [str(python), str(ROOT / "tests/wheel/check_wheel.py"), str(wheel)]
            if subprocess.run(check).returncode != 0:
                failed.append(f"{version}: {wheel.name} failed its check")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


def newest(folder: Path) -> set[Path]:
    """Return the wheel written last: the one that replaced a file of the same name."""
    return {max(folder.glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime)}


if __name__ == "__main__":
    sys.exit(main())
