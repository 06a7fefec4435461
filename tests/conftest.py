"""Fixtures that every suite shares, and the hypothesis profiles."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.contracts", "tests.equivalence", "tests.hostile")

from tests.contracts.kinds import KINDS, TIMED_KINDS, UNTIMED_KINDS, Kind  # noqa: E402 - rewritten on import

CI = "CI" in os.environ
COMMON: dict[str, Any] = {
    "deadline": None,  # two shared cores: the time of one example says nothing
    "derandomize": CI,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("fast", max_examples=40, stateful_step_count=50, **COMMON)
settings.register_profile("slow", max_examples=1500, stateful_step_count=80, **COMMON)
settings.load_profile(os.environ.get("OVERDRIVE_HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(params=KINDS, ids=repr)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each cache class in turn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=TIMED_KINDS, ids=repr)
def timed_kind(request: pytest.FixtureRequest) -> Kind:
    """Each cache class whose items expire, in turn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=UNTIMED_KINDS, ids=repr)
def untimed_kind(request: pytest.FixtureRequest) -> Kind:
    """Each cache class whose items do not expire, in turn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def checked() -> Iterator[Callable[[Any], Any]]:
    """Return its argument; the invariants of every cache that went through it hold after the test."""
    caches: list[Any] = []

    def remember(cache: Any) -> Any:
        caches.append(cache)
        return cache

    yield remember
    for cache in caches:
        cache._check()


@pytest.fixture
def make_cache(kind: Kind, checked: Callable[[Any], Any]) -> Callable[..., Any]:
    """Build caches of the class under test; their invariants are verified after the test."""
    return lambda *args, **arguments: checked(kind.make(*args, **arguments))


@pytest.fixture
def make_short_lived(timed_kind: Kind, checked: Callable[[Any], Any]) -> Callable[..., Any]:
    """Build timed caches on a fake clock; their invariants are verified after the test."""
    return lambda *args, **arguments: checked(timed_kind.make_short_lived(*args, **arguments))
