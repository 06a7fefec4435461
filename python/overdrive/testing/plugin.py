"""Fixtures for pytest: fresh caches, a fake clock, counted loads, stampedes.

pytest loads this module in each of its runs on a machine that has this package, unless told `-p no:overdrive`. So it
costs no more than `import overdrive` does, and changes nothing until it is asked to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from overdrive.testing.clock import FakeClock
    from overdrive.testing.loads import Counted, LoadCount
    from overdrive.testing.report import StampedeReport

__all__: tuple[str, ...] = ()

_OPTION = "overdrive_fresh_caches"
_MARKER = "keep_caches"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that empties caches for all tests."""
    parser.addini(_OPTION, f"use fresh_caches in all tests but those marked {_MARKER}", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; and the fixture that all tests use, if they are to."""
    config.addinivalue_line(
        "markers", f"{_MARKER}: do not clear memoized functions, where {_OPTION} has all tests do so"
    )
    if config.getini(_OPTION):
        config.pluginmanager.register(_Always(), _OPTION)


class _Always:
    """What is a plugin only where the option is set, so that tests elsewhere do not set up a fixture for nothing."""

    @pytest.fixture(autouse=True)
    def _overdrive_fresh_caches(self, request: pytest.FixtureRequest) -> None:
        if request.node.get_closest_marker(_MARKER) is None:
            request.getfixturevalue("fresh_caches")


@pytest.fixture
def fresh_caches() -> Iterator[None]:
    """Clear all functions decorated with `overdrive.memoize`, before the test and after it."""
    from overdrive.testing.clearing import clear_all

    clear_all()
    yield
    clear_all()


@pytest.fixture
def fake_clock() -> FakeClock:
    """Return a clock that begins at 0.0, and moves only when told to: `fake_clock.advance(60)`."""
    from overdrive.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def assert_loads() -> Callable[[Counted, int], LoadCount]:
    """Return `overdrive.testing.assert_loads`: fails unless a cached function runs so often in a block."""
    from overdrive.testing.loads import assert_loads

    return assert_loads


@pytest.fixture
def stampede() -> Callable[..., StampedeReport[object]]:
    """Return `overdrive.testing.stampede`: calls a function many times at once, from several threads."""
    from overdrive.testing.threads import stampede

    return stampede
