"""What tests of cached code need: a clock to turn, counts to check, stampedes, and caches that begin empty.

- `FakeClock`: time that passes when the test says so.
- `assert_loads`: how often a function runs in a block.
- `stampede`, `astampede`: many callers at once, in threads or in event loops.
- `clear_all`: nothing is left of the test before.

pytest finds the fixtures of `overdrive.testing.plugin` by itself. pytest is not needed for anything else here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from overdrive.testing.clearing import clear_all
    from overdrive.testing.clock import FakeClock
    from overdrive.testing.loads import LoadCount, assert_loads
    from overdrive.testing.report import StampedeReport
    from overdrive.testing.tasks import astampede
    from overdrive.testing.threads import stampede

__all__ = ("FakeClock", "LoadCount", "StampedeReport", "assert_loads", "astampede", "clear_all", "stampede")

# The plugin is loaded in every run of pytest on a machine that has this package, so nothing else is until it is used.
_MODULES = {
    "FakeClock": "clock",
    "LoadCount": "loads",
    "StampedeReport": "report",
    "assert_loads": "loads",
    "astampede": "tasks",
    "clear_all": "clearing",
    "stampede": "threads",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value  # the next access finds it without asking here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
