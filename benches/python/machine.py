"""What a figure depends on besides the code: the machine, the interpreter, the load."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from pathlib import Path
from typing import TypedDict


class Surroundings(TypedDict):
    """Where and on what a run took place."""

    system: str
    processor: str
    cores: int
    load: float | None
    python: str
    compiler: str
    build: str
    gil: bool


def surroundings() -> Surroundings:
    """Describe this machine and interpreter."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "compiler": platform.python_compiler(),
        "build": build_flavour(),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
    }


def headline(place: Surroundings) -> str:
    """The same in two lines."""
    gil = "GIL" if place["gil"] else "free-threaded"
    load = "" if place["load"] is None else f", load {place['load']:.2f}"
    return (
        f"CPython {place['python']} ({place['build']}, {gil}; {place['compiler']})\n"
        f"{place['processor']}, {place['cores']} cores{load}; {place['system']}"
    )


def build_flavour() -> str:
    """Say whether the interpreter was built with PGO and LTO, which moves every ratio here."""
    arguments = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    flags = str(sysconfig.get_config_var("PY_CFLAGS") or "")
    if "--enable-optimizations" in arguments or "-fprofile-use" in flags:
        return "PGO+LTO" if "--with-lto" in arguments or "-flto" in flags else "PGO"
    if "deb_system" in sysconfig.get_scheme_names() and sys.base_prefix == "/usr":
        # Debian and Ubuntu optimise python3, but record the arguments of their plain shared build.
        return "PGO+LTO (Debian)"
    if sys.platform == "win32":
        return "unknown (Windows)"
    return "plain, not optimised"


def is_optimised() -> bool:
    """Whether the interpreter is a build with PGO, as most users have it; python.org's for Windows are."""
    return not build_flavour().startswith("plain")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
