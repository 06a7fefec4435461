"""The plugin, in runs of pytest of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT = 60  # seconds until a run of pytest is given up

CACHED = """
    from overdrive import memoize

    @memoize
    def square(n):
        return n * n

    square(3)
"""


@dataclass(frozen=True)
class Run:
    """A run of pytest that has ended."""

    status: int
    output: str

    def check(self, **expected: int) -> None:
        """Fail unless so many tests ended so."""
        last = self.output.rstrip().splitlines()[-1]
        outcomes = {how.removesuffix("s"): int(n) for n, how in re.findall(r"(\d+) (passed|failed|errors?)", last)}
        assert outcomes == expected, self.output


RunPytest = Callable[..., Run]


@pytest.fixture
def run_pytest(tmp_path: Path) -> RunPytest:
    """Run pytest on a folder with the given files, with this plugin and no other."""

    def run(*options: str, plugins: tuple[str, ...] = (), autoload: bool = False, **files: str) -> Run:
        config = files.pop("config", "")
        (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = --strict-markers --strict-config\n{dedent(config)}")
        for name, source in files.items():
            (tmp_path / f"{name}.py").write_text(dedent(source), encoding="utf-8")
        chosen = () if autoload else ("overdrive.testing.plugin", *plugins)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "-q", "-W", "error"]
        for plugin in chosen:
            command += ["-p", plugin]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        if not autoload:
            environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        done = subprocess.run(
            [*command, *options],
            cwd=tmp_path,
            env=environment,
            timeout=TIMEOUT,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return Run(done.returncode, done.stdout)

    return run


def test_nothing_changes_until_it_is_asked_for(run_pytest: RunPytest) -> None:
    run = run_pytest(
        test_it=CACHED
        + """
    def test_first():
        assert square.cached(3)
        square(4)

    def test_second():
        assert square.cached(4)
    """
    )
    run.check(passed=2)


def test_fresh_caches_clears_before_and_after(run_pytest: RunPytest) -> None:
    run = run_pytest(
        test_it=CACHED
        + """
    def test_before(fresh_caches):
        assert not square.cached(3)
        assert square.cache_info().misses == 0
        square(4)

    def test_after():
        assert not square.cached(4)
        assert square.cache_info().misses == 0
    """
    )
    run.check(passed=2)


def test_fresh_caches_clears_after_a_test_that_fails(run_pytest: RunPytest) -> None:
    run = run_pytest(
        test_it=CACHED
        + """
    def test_fails(fresh_caches):
        square(4)
        assert False

    def test_after():
        assert not square.cached(4)
    """
    )
    run.check(passed=1, failed=1)


ALL_KINDS = (
    CACHED
    + '''
    import unittest
    import pytest

    def check(n):
        """Empty the caches.

        >>> check(2)
        """
        assert not square.cached(3)
        assert not square.cached(4)
        square(4)

    def test_one():
        check(1)

    def test_two():
        check(2)

    class TestUnit(unittest.TestCase):
        def test_one(self):
            check(1)

        def test_two(self):
            check(2)

    @pytest.fixture
    def filled():
        check(1)

    def test_with_a_fixture(filled):
        assert square.cached(4)
'''
)


def test_option_gives_all_tests_fresh_caches(run_pytest: RunPytest) -> None:
    run = run_pytest("--doctest-modules", config="overdrive_fresh_caches = true", test_it=ALL_KINDS)
    run.check(passed=6)


def test_option_is_off_unless_set(run_pytest: RunPytest) -> None:
    run_pytest("--doctest-modules", config="overdrive_fresh_caches = false", test_it=ALL_KINDS).check(failed=5, error=1)
    run_pytest("--doctest-modules", test_it=ALL_KINDS).check(failed=5, error=1)


def test_marker_keeps_caches(run_pytest: RunPytest) -> None:
    run = run_pytest(
        config="overdrive_fresh_caches = true",
        test_it=CACHED
        + """
    import pytest

    @pytest.mark.keep_caches
    def test_function():
        assert square.cached(3)

    @pytest.mark.keep_caches
    class TestClass:
        def test_first(self):
            assert square.cached(3)
            square(4)

        def test_second(self):
            assert square.cached(4)

    def test_others_do_not():
        assert not square.cached(3)

    @pytest.mark.keep_caches
    def test_fixture_is_stronger(fresh_caches):
        square(4)

    def test_after():
        assert not square.cached(4)
    """,
    )
    run.check(passed=6)


def test_marker_of_a_module_keeps_caches(run_pytest: RunPytest) -> None:
    run = run_pytest(
        config="overdrive_fresh_caches = true",
        test_it=CACHED
        + """
    import pytest

    pytestmark = pytest.mark.keep_caches

    def test_first():
        assert square.cached(3)

    def test_second():
        assert square.cached(3)
    """,
    )
    run.check(passed=2)


def test_option_uses_the_fixture_of_the_project(run_pytest: RunPytest) -> None:
    run = run_pytest(
        config="overdrive_fresh_caches = true",
        conftest="""
    import pytest
    from overdrive.testing import clear_all

    @pytest.fixture
    def fresh_caches(fresh_caches):
        clear_all(search=True)
    """,
        test_it="""
    from overdrive import lru_cache

    @lru_cache
    def square(n):
        return n * n

    square(3)

    def test_it():
        assert square.cache_info().misses == 0
    """,
    )
    run.check(passed=1)


def test_error_while_clearing_is_shown(run_pytest: RunPytest) -> None:
    run = run_pytest(
        test_it="""
    from overdrive import memoize

    class Stubborn(dict):
        def clear(self):
            raise LookupError("mine")

    @memoize(cache=Stubborn())
    def square(n):
        return n * n

    def test_it(fresh_caches):
        pass
    """
    )
    run.check(error=1)
    assert "LookupError: mine" in run.output


def test_fixtures_are_the_tools(run_pytest: RunPytest) -> None:
    run = run_pytest(
        test_it=CACHED
        + """
    import overdrive.testing

    def test_it(fake_clock, assert_loads, stampede):
        assert type(fake_clock) is overdrive.testing.FakeClock
        assert fake_clock() == 0.0
        assert assert_loads is overdrive.testing.assert_loads
        assert stampede is overdrive.testing.stampede
        fake_clock.advance(1)

    def test_clock_is_a_new_one(fake_clock):
        assert fake_clock() == 0.0
    """
    )
    run.check(passed=2)


def test_failure_points_to_the_block(run_pytest: RunPytest) -> None:
    run = run_pytest(
        test_it=CACHED
        + """
    def test_it(assert_loads):
        with assert_loads(square, 1):
            square(3)
    """
    )
    run.check(failed=1)
    assert "AssertionError: square() was to run once, but ran 0 times, beside 1 hits" in run.output
    assert ">       with assert_loads(square, 1):" in run.output
    assert "loads.py" not in run.output


def test_fixtures_and_marker_are_documented(run_pytest: RunPytest) -> None:
    fixtures = run_pytest("--fixtures").output
    for name in ("fresh_caches", "fake_clock", "assert_loads", "stampede"):
        assert re.search(rf"^{name} -- .*overdrive.*plugin\.py:\d+\n    \w", fixtures, re.MULTILINE), name
    assert "@pytest.mark.keep_caches: do not clear memoized functions" in run_pytest("--markers").output
    assert re.search(r"^  overdrive_fresh_caches \(bool\):", run_pytest("--help").output, re.MULTILINE)


def test_works_in_processes_of_xdist(run_pytest: RunPytest) -> None:
    pytest.importorskip("xdist")
    run = run_pytest("-n", "2", plugins=("xdist",), config="overdrive_fresh_caches = true", test_it=CACHED + """
    import pytest

    @pytest.mark.parametrize("n", range(8))
    def test_it(n, assert_loads):
        with assert_loads(square, 2):
            square(3), square(4)

    @pytest.mark.keep_caches
    def test_marked():
        square(3)
        assert square.cached(3)
    """)  # fmt: skip
    run.check(passed=9)


# --- how it is loaded -------------------------------------------------------------------------


def python(source: str) -> str:
    """Run a program in a fresh interpreter; return what it printed."""
    command = [sys.executable, "-c", dedent(source)]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=TIMEOUT, cwd=ROOT).stdout


def test_is_an_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"overdrive": "overdrive.testing.plugin"}
    plugin = import_module("overdrive.testing.plugin")
    assert plugin.fresh_caches is not None
    assert not any(dependency.startswith("pytest") for dependency in project["dependencies"])


def test_pytest_finds_it(run_pytest: RunPytest) -> None:
    (entry,) = metadata.distribution("overdrive").entry_points.select(group="pytest11")
    assert (entry.name, entry.value) == ("overdrive", "overdrive.testing.plugin")
    test = """
    def test_it(fake_clock):
        assert fake_clock() == 0.0
    """
    run_pytest(autoload=True, test_it=test).check(passed=1)
    run_pytest("-p", "no:overdrive", autoload=True, test_it=test).check(error=1)


def test_loading_it_loads_nothing_else() -> None:
    output = python("""
        import sys
        import overdrive, pytest
        before = set(sys.modules)
        import overdrive.testing.plugin
        print(*sorted(set(sys.modules) - before))
    """)
    assert output.split() == ["overdrive.testing", "overdrive.testing.plugin"]


def test_kit_needs_no_pytest() -> None:
    output = python("""
        import sys
        sys.modules["pytest"] = sys.modules["_pytest"] = None
        import overdrive
        assert "overdrive.testing" not in sys.modules
        from overdrive.testing import *
        clear_all()
        print(stampede(len, "ab", callers=3).results, FakeClock(), assert_loads, astampede)
    """)
    assert output.startswith("[2, 2, 2] FakeClock(0.0) <function assert_loads")


def test_names_are_found_when_they_are_needed() -> None:
    output = python("""
        import overdrive.testing as testing
        assert set(testing.__all__) <= set(dir(testing))
        assert not set(testing.__all__) & set(vars(testing))
        testing.FakeClock
        print(*(name for name in testing.__all__ if name in vars(testing)))
        try:
            testing.fake_clock
        except AttributeError as error:
            print(error)
    """)
    assert output.splitlines() == ["FakeClock", "module 'overdrive.testing' has no attribute 'fake_clock'"]


# --- the documentation ------------------------------------------------------------------------


def test_examples_of_the_documentation_hold(run_pytest: RunPytest) -> None:
    page = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    source = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    (config,) = re.findall(r"```ini\n\[pytest\]\n(.*?)```", page, re.DOTALL)
    tests = len(re.findall(r"^def test_", source, re.MULTILINE))
    assert tests > 5
    run_pytest(config=config, test_page=source).check(passed=tests)
