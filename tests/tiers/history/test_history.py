"""Three nodes in three processes: how stale their reads are, without faults and through them.

`OVERDRIVE_HISTORY_SEED` repeats the faults and the choices of a run that is printed with its seed, as far as the
scheduling of processes lets it. `OVERDRIVE_HISTORY_SECONDS` sets how long the slow ones take, each with each server.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiers.history.run import MAX_STALENESS, Outcome, record
from tests.tiers.servers import Server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals that stop processes")

SECONDS = 30.0
SECONDS_ALONE = 5.0
SLOW_SECONDS = float(os.environ.get("OVERDRIVE_HISTORY_SECONDS", "300"))
SLACK = 0.1


@pytest.fixture
def seed() -> int:
    """The seed of this run, printed so that a failure can be repeated."""
    seed = int(os.environ.get("OVERDRIVE_HISTORY_SEED", random.randrange(2**32)))
    print(f"OVERDRIVE_HISTORY_SEED={seed}")
    return seed


def check_without_faults(outcome: Outcome) -> None:
    findings = outcome.findings
    # A machine whose processors are all busy delivers later; what is left is the cache's own.
    assert len(outcome.unexplained) <= findings.reads / 1000
    assert max(outcome.unexplained, default=0.0) <= 0.02
    assert not findings.own_stale
    check_after_faults(outcome)


def check_after_faults(outcome: Outcome) -> None:
    findings = outcome.findings
    assert findings.worst <= MAX_STALENESS + SLACK
    assert not findings.left_over
    assert not outcome.left_in_redis
    assert not findings.unacknowledged
    assert not findings.invented


def test_without_faults(server: Server, tmp_path: Path, seed: int) -> None:
    outcome = record(tmp_path, server, seconds=SECONDS, faults=False, seed=seed, kind="tiered")
    print(outcome)
    assert outcome.findings.reads > 100 * SECONDS
    check_without_faults(outcome)


def test_through_faults(server: Server, tmp_path: Path, seed: int) -> None:
    outcome = record(tmp_path, server, seconds=SECONDS, faults=True, seed=seed, kind="tiered")
    print(outcome)
    check_after_faults(outcome)


@pytest.mark.parametrize("faults", [False, True], ids=["without_faults", "through_faults"])
def test_protocol_alone(redis_server: Server, tmp_path: Path, seed: int, *, faults: bool) -> None:
    outcome = record(tmp_path, redis_server, seconds=SECONDS_ALONE, faults=faults, seed=seed, kind="parts")
    print(outcome)
    (check_after_faults if faults else check_without_faults)(outcome)


def test_history_shows_what_a_naive_cache_does(redis_server: Server, tmp_path: Path, seed: int) -> None:
    outcome = record(tmp_path, redis_server, seconds=3.0, faults=False, seed=seed, kind="naive")
    print(outcome)
    assert max(outcome.unexplained) > 0.1
    with pytest.raises(AssertionError):
        check_without_faults(outcome)


@pytest.mark.slow
@pytest.mark.timeout(2 * SLOW_SECONDS)
@pytest.mark.parametrize("faults", [False, True], ids=["without_faults", "through_faults"])
def test_for_long(family: str, start_server: Callable[..., Server], tmp_path: Path, seed: int, *, faults: bool) -> None:
    outcome = record(tmp_path, start_server(family), seconds=SLOW_SECONDS, faults=faults, seed=seed, kind="tiered")
    print(outcome)
    (check_after_faults if faults else check_without_faults)(outcome)
