"""Pytest plugin that makes `import cachetools` give overdrive.

Loaded with `-p`, so before collection: a test module that is imported first would keep the real package.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import overdrive
import overdrive.func
import overdrive.keys

ALIASES: dict[str, ModuleType] = {
    "cachetools": overdrive,
    "cachetools.func": overdrive.func,
    "cachetools.keys": overdrive.keys,
}


class RefuseRealPackage(MetaPathFinder):
    """Makes any import that would reach a file of the real package fail."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Raise for `cachetools` and everything below it; the aliases never get here."""
        if fullname.partition(".")[0] == "cachetools":
            raise ModuleNotFoundError(f"{fullname} is not part of the drop-in", name=fullname)
        return None


sys.modules.update(ALIASES)
sys.meta_path.insert(0, RefuseRealPackage())


def pytest_report_header() -> str:
    return f"cachetools is overdrive {overdrive.__version__} from {overdrive.__file__}"


def pytest_sessionfinish() -> None:
    for name, module in ALIASES.items():
        if sys.modules.get(name) is not module:
            raise pytest.UsageError(f"sys.modules[{name!r}] was replaced during the run")
    files = [Path(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())]
    real = [str(file) for file in files if "cachetools" in file.parts]
    if real:
        raise pytest.UsageError(f"modules of the real cachetools were loaded: {real}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    counts = {outcome: len(reports) for outcome, reports in terminalreporter.stats.items() if outcome}
    Path(os.environ["DROP_IN_COUNTS"]).write_text(json.dumps(counts), encoding="utf-8")
