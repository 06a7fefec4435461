"""The life of the child process that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.child import end_worker


@pytest.fixture(scope="module", autouse=True)
def child_ends_cleanly() -> Iterator[None]:
    """After the last test of a module its child process exits normally, with nothing on stderr."""
    end_worker()
    yield
    end_worker().assert_clean()
