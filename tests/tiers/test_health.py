"""Which tiers answer, and since when."""

from __future__ import annotations

import doctest
import json
from typing import Any, NamedTuple

import pytest

from overdrive import Health, TierHealth
from overdrive._tiers import health as module
from overdrive._tiers.health import TierWatch
from overdrive.testing import FakeClock

UP = TierHealth("up")
OFF = TierHealth("off")
DEGRADED = TierHealth("degraded", "disk is full")
DOWN = TierHealth("down", "timeout")


class Reported(NamedTuple):
    state: str
    reason: str = ""


@pytest.mark.parametrize(
    ("tiers", "state"),
    [
        ((UP, UP, UP), "up"),
        ((UP, OFF, OFF), "up"),
        ((UP, OFF, DEGRADED), "degraded"),
        ((UP, DOWN, DEGRADED), "down"),
        ((UP, DOWN, OFF), "down"),
    ],
)
def test_the_state_is_that_of_the_worst_tier(tiers: tuple[TierHealth, TierHealth, TierHealth], state: str) -> None:
    assert Health(*tiers).state == state


def test_what_others_do_not_know_yet_degrades() -> None:
    assert Health(UP, UP, OFF, pending_invalidations=1).state == "degraded"
    assert Health(UP, UP, OFF, coherent=False).state == "degraded"
    assert Health(UP, DOWN, OFF, pending_invalidations=1).state == "down"


def test_health_as_a_dictionary_can_be_written_as_json() -> None:
    shown = json.loads(
        json.dumps(Health(UP, TierHealth("down", "timeout", 5.0), OFF, pending_invalidations=2).as_dict())
    )
    assert shown == {
        "state": "down",
        "l1": {"state": "up", "reason": "", "since": 0.0},
        "l2": {"state": "down", "reason": "timeout", "since": 5.0},
        "l3": {"state": "off", "reason": "", "since": 0.0},
        "pending_invalidations": 2,
        "coherent": True,
    }


def test_a_state_has_a_beginning() -> None:
    clock = FakeClock(100.0)
    watch = TierWatch("up", clock)
    assert watch.health == TierHealth("up", since=100.0)
    clock.advance(5)
    assert watch.hear("up") == TierHealth("up", since=100.0)
    assert watch.hear("down", "timeout") == TierHealth("down", "timeout", 105.0)
    clock.advance(5)
    assert watch.hear("down", "refused") == TierHealth("down", "refused", 105.0)
    assert watch.hear("up") == TierHealth("up", since=110.0) == watch.health


@pytest.mark.parametrize(
    ("reported", "state"),
    [("ok", "up"), ("full", "degraded"), ("degraded", "down"), ("denied", "down"), ("off", "down")],
)
def test_states_of_redis_and_the_disk_are_understood(reported: str, state: Any) -> None:
    heard = TierWatch("up").hear_of(Reported(reported, "why"))
    assert (heard.state, heard.reason) == (state, "why")


def test_examples_in_docstrings_hold() -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(Health, module=False, globs=vars(module))
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
