"""What the package exports is a list, and the list is true."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path
from types import ModuleType

import cachetools
import pytest

import overdrive

ROOT = Path(__file__).resolve().parents[1]
PUBLIC_MODULES = ("overdrive", "overdrive.keys", "overdrive.func", "overdrive.testing")
PAGES = (
    "README.md",
    "docs/caches.md",
    "docs/coherence.md",
    "docs/configuration.md",
    "docs/disk_tier.md",
    "docs/envelope.md",
    "docs/memoize.md",
    "docs/memory_cache.md",
    "docs/migrating.md",
    "docs/operations.md",
    "docs/prefetch.md",
    "docs/redis_tier.md",
    "docs/safety.md",
    "docs/security.md",
    "docs/simulate.md",
    "docs/sizes.md",
    "docs/snapshots.md",
    "docs/stampedes.md",
    "docs/tiers.md",
)


@pytest.fixture(params=PUBLIC_MODULES)
def module(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


def test_exports_are_a_sorted_tuple(module: ModuleType) -> None:
    assert isinstance(module.__all__, tuple)
    assert list(module.__all__) == sorted(module.__all__)


def test_everything_exported_exists(module: ModuleType) -> None:
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_nothing_public_is_left_out(module: ModuleType) -> None:
    defined_here = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
    assert defined_here <= set(module.__all__)


def test_names_are_those_of_cachetools() -> None:
    assert set(cachetools.__all__) <= set(overdrive.__all__)
    for module in ("keys", "func"):
        theirs, ours = (importlib.import_module(f"{package}.{module}") for package in ("cachetools", "overdrive"))
        assert set(theirs.__all__) == set(ours.__all__)


@pytest.mark.parametrize("name", [name for name in overdrive.__all__ if name[0].isupper()])
def test_classes_show_their_public_path(name: str) -> None:
    cls = getattr(overdrive, name)
    assert (cls.__module__, cls.__qualname__) == ("overdrive", name)


@pytest.mark.parametrize("name", [name for name in overdrive.__all__ if name[0].isupper()])
def test_classes_are_documented(name: str) -> None:
    assert len(getattr(overdrive, name).__doc__ or "") > 50


@pytest.mark.parametrize(
    "name",
    [
        "_cached",
        "_cachedmethod",
        "_calls",
        "_info",
        "_lru_cache",
        "_memoize.decorator",
        "_pending",
        "func",
        "keys",
    ],
)
def test_examples_in_docstrings_hold(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(f"overdrive.{name}"))
    assert outcome.failed == 0


@pytest.mark.parametrize("name", ["clearing", "clock", "loads", "tasks", "threads"])
def test_examples_of_the_testing_kit_hold(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(f"overdrive.testing.{name}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize("page", PAGES)
def test_examples_in_the_documentation_run(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)


# The examples of docs/testing.md are tests themselves, and are run by tests/testing/test_plugin.py. Those of other
# pages need a server, or are none.
LINKING = (
    *PAGES,
    "CONTRIBUTING.md",
    "benches/README.md",
    "docs/coherence.md",
    "docs/disk_tier.md",
    "docs/prefetch.md",
    "docs/redis_tier.md",
    "docs/testing.md",
)


@pytest.mark.parametrize("page", LINKING)
def test_links_in_the_documentation_resolve(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target
