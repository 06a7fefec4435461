"""Run CPython's own tests of `lru_cache` and `cache`, unchanged, with overdrive's in their place.

The tests are those of the interpreter that runs this: `TestLRUC` and `TestCache` of `test.test_functools`.
Where that module is not installed, it says so and exits with 0. Otherwise exit status 0 means that every
test that there is for functools' C implementation was collected and passed, on objects of overdrive's types.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
import traceback
import unittest
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

SUITE = "test.test_functools"
#: Tests that overdrive is meant to fail, by name ("TestLRUC.test_copy"), each with its reason. They are
#: run all the same, and one that passes is a failure: it has to go from here.
EXCEPTIONS: dict[str, str] = {}
#: A deadlocked native lock holds the GIL, so only a kill from outside ends the run.
TIMEOUT_SECONDS = 120
#: Early enough for the dying process to say where its threads are; that needs no GIL.
DUMP_SECONDS = TIMEOUT_SECONDS - 10


def main() -> int:
    """Run the tests on functools and on overdrive, compare, print the counts; return the exit status."""
    title = f"CPython {platform.python_version()} lru_cache tests on overdrive"
    if not is_installed():
        # tests/drop_in/functools_matrix.py looks for "skipped:".
        print(f"{title}: skipped: no {SUITE} here (Debian's package for it: libpython3-testsuite)")
        return 0
    stock, stock_output = run("functools")
    if not stock:
        print(f"{stock_output}\n{title}: FAILED: the suite does not run on functools itself")
        return 1
    ours, output = run("overdrive")
    passed, skipped, failed = judge(stock["outcomes"], ours.get("outcomes", {}))
    absent = sorted(set(stock["outcomes"]) - set(ours.get("outcomes", {})))
    foreign = ours.get("foreign", [])
    counts = f"{len(passed)} passed, {len(failed)} failed"
    for word, tests in ("skipped as on functools", skipped), ("not run", absent), ("not overdrive's", foreign):
        counts += f", {len(tests)} {word}" if tests else ""
    if failed or absent or foreign or not passed:
        print(output)
        for line in [*failed, *(f"{name}: not run" for name in absent if ours), *foreign]:
            print(line)
        print(f"{title}: FAILED: {counts}")
        return 1
    for name in sorted(EXCEPTIONS.keys() & ours["outcomes"].keys()):
        print(f"{name} fails, as argued: {EXCEPTIONS[name]}")
    print(f"{title} {ours['version']}: {counts}")
    return 0


def is_installed() -> bool:
    """Whether this interpreter comes with the suite."""
    try:
        return importlib.util.find_spec(SUITE) is not None
    except ModuleNotFoundError:
        return False  # no package `test` at all


def judge(stock: dict[str, str], ours: dict[str, str]) -> tuple[list[str], list[str], list[str]]:
    """Return the names of the tests that passed and that were skipped, and a line for each that failed."""
    passed, skipped, failed = [], [], []
    for name, outcome in ours.items():
        if name in EXCEPTIONS:
            if outcome == "passed":
                failed.append(f"{name}: passes, but is listed as an exception")
        elif outcome == "passed":
            passed.append(name)
        elif outcome == stock.get(name) == "skipped":
            skipped.append(name)
        else:
            failed.append(f"{name}: {outcome}")
    return passed, skipped, failed


def run(target: str) -> tuple[dict[str, Any], str]:
    """Run the tests on a module in a child process; return its report, empty if it died, and its output."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.json")
        command = [sys.executable, "-X", "faulthandler", __file__, target, str(report)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            output += f"\nkilled: not finished after {TIMEOUT_SECONDS} s\n"
        if process.returncode != 0 or not report.exists():
            return {}, f"{output}\nthe tests on {target} ended with status {process.returncode}\n"
        return json.loads(report.read_text(encoding="utf-8")), output


# --- in the child process ---------------------------------------------------------------------


def child(target: str, report: Path) -> int:
    """Run every test on the named module, and write down what became of each."""
    faulthandler.dump_traceback_later(DUMP_SECONDS)
    module = importlib.import_module(target)
    suite = load_suite(module)
    loader = unittest.TestLoader()
    # Nothing in CPython runs TestCache: it derives from no TestCase and, unlike TestLRU, has no heirs.
    test_cache = type("TestCache", (suite.TestCache, unittest.TestCase), {"module": suite.c_functools})
    classes: list[type[unittest.TestCase]] = [suite.TestLRUC, test_cache]
    outcomes = {}
    for tests in classes:
        for method in loader.getTestCaseNames(tests):
            name = f"{tests.__name__}.{method}"
            # Before the run: a crash leaves the culprit's name on the last line.
            print(name, end=" ... ", flush=True)
            outcomes[name] = run_test(tests(method))
            print(outcomes[name], flush=True)
    facts = {
        "version": getattr(module, "__version__", ""),
        "outcomes": outcomes,
        "foreign": foreign_objects(suite, target),
    }
    report.write_text(json.dumps(facts), encoding="utf-8")
    return 0


def load_suite(target: ModuleType) -> ModuleType:
    """Import the suite with the decorators of the target where it expects those of the C implementation.

    The suite makes itself two copies of functools, of which TestLRUC uses the one with `_functools`. That
    one is exchanged as it is made, so the suite's own decorated functions, pickles by name and comparisons
    with `c_functools` are overdrive's as well.
    """
    if target.__name__ == "functools":
        return importlib.import_module(SUITE)
    helper = importlib.import_module("test.support.import_helper")
    original = helper.import_fresh_module

    def import_fresh_module(name: str, fresh: Sequence[str] = (), *rest: Any, **options: Any) -> ModuleType | None:
        module: ModuleType | None = original(name, fresh, *rest, **options)
        if module is None or name != "functools" or "_functools" not in fresh:
            return module
        shim = ModuleType("functools", f"functools with lru_cache and cache of {target.__name__}")
        vars(shim).update(vars(module), lru_cache=target.lru_cache, cache=target.cache)
        return shim

    with mock.patch.object(helper, "import_fresh_module", import_fresh_module):
        suite = importlib.import_module(SUITE)
    shim = suite.c_functools
    if shim is not suite.TestLRUC.module or shim.lru_cache is not target.lru_cache or shim.cache is not target.cache:
        raise RuntimeError(f"{SUITE} of {sys.version} gets its functools in a way that this program does not know")
    return suite


def run_test(test: unittest.TestCase) -> str:
    """Run one test; return "passed", "skipped" or "failed"."""
    result = unittest.TestResult()
    # As a suite, or fixtures of classes and modules would not run.
    unittest.TestSuite([test]).run(result)
    for _, trace in result.failures + result.errors:
        print(f"\n{trace}")
    if not result.wasSuccessful() or result.expectedFailures:
        return "failed"
    if result.skipped:
        return "skipped"
    return "passed" if result.testsRun == 1 else "failed"


def foreign_objects(suite: ModuleType, target: str) -> list[str]:
    """Decorate in every way, take what the suite decorated, and describe what is not of the target's types."""
    if target == "functools":
        return []

    def function(argument: object) -> object:
        return argument

    decorators, tests = suite.c_functools, suite.TestLRUC
    decorated: dict[str, Callable[[], object]] = {
        "lru_cache(f)": lambda: decorators.lru_cache(function),
        "lru_cache()(f)": lambda: decorators.lru_cache()(function),
        "lru_cache(10)(f)": lambda: decorators.lru_cache(10)(function),
        "lru_cache(10, typed=True)(f)": lambda: decorators.lru_cache(10, typed=True)(function),
        "lru_cache(maxsize=None)(f)": lambda: decorators.lru_cache(maxsize=None)(function),
        "lru_cache(0)(f)": lambda: decorators.lru_cache(0)(function),
        "cache(f)": lambda: decorators.cache(function),
        "TestLRUC.cached_func": lambda: tests.cached_func[0],
        "TestLRUC.cached_meth": lambda: tests.cached_meth,
        "TestLRUC.cached_staticmeth": lambda: tests.cached_staticmeth,
    }
    foreign = []
    for name, make in decorated.items():
        try:
            kind = type(make())
        except Exception:  # noqa: BLE001 - one way that raises must not hide the others
            foreign.append(f"{name} raises {traceback.format_exc(limit=0).strip()}")
            continue
        if kind.__module__.partition(".")[0] != target:
            foreign.append(f"{name} is a {kind.__module__}.{kind.__qualname__}, which is not {target}'s")
    return foreign


if __name__ == "__main__":
    sys.exit(child(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) == 3 else main())
