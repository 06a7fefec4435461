"""Three processes of 200 callers each ask for the same key at the same time: how often it is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any, Self

import pytest

from tests.tiers.servers import Server, eventually

PROCESSES, CALLERS = 3, 200
LEASE = 1.0


class Child:
    """A process of callers."""

    def __init__(self, url: str, loads: Path, options: dict[str, Any]) -> None:
        cache = {"l2": url, "lease": LEASE, "jitter": 0, **options}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.tiers.stampede_child", json.dumps({"cache": cache, "loads": str(loads)})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def order(self, **order: Any) -> None:
        """Have it call."""
        assert self.process.stdin is not None
        print(json.dumps(order), file=self.process.stdin, flush=True)

    def answer(self) -> Any:
        """Return what came of it."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process died"
        return json.loads(line)


class Crowd:
    """The processes, and the file where each load leaves a line."""

    def __init__(self, children: list[Child], loads: Path) -> None:
        self.children = children
        self._loads = loads

    def loads(self) -> list[int]:
        """Return which processes have loaded, in order."""
        return [int(line) for line in self._loads.read_text().split()] if self._loads.exists() else []

    def call(
        self, key: str, *, seconds: float, tasks: tuple[bool, ...], count: int = CALLERS, **terms: Any
    ) -> list[Any]:
        """Have all call at once; return what each answered."""
        self.order(key, seconds=seconds, tasks=tasks, count=count, **terms)
        return [child.answer() for child in self.children]

    def order(self, key: str, *, seconds: float, tasks: tuple[bool, ...], count: int = CALLERS, **terms: Any) -> None:
        """Have all call at once."""
        for child, in_tasks in zip(self.children, tasks, strict=True):
            child.order(key=key, seconds=seconds, tasks=in_tasks, count=count, terms=terms)


@pytest.fixture
def make_crowd(tmp_path: Path) -> Iterator[Callable[..., Crowd]]:
    """Start processes."""
    with ExitStack() as stack:

        def make(server: Server, **options: Any) -> Crowd:
            loads = tmp_path / "loads"
            children = [stack.enter_context(Child(server.url, loads, options)) for _ in range(PROCESSES)]
            for child in children:
                assert child.answer() == "ready"
            return Crowd(children, loads)

        yield make


@pytest.mark.parametrize(
    "tasks",
    [(True, True, True), (False, False, False), (True, False, True)],
    ids=["tasks", "threads", "both"],
)
def test_cold_key_is_loaded_once(
    make_crowd: Callable[..., Crowd], redis_server: Server, tasks: tuple[bool, ...]
) -> None:
    crowd = make_crowd(redis_server)
    for turn in range(2):
        answers = crowd.call(f"key{turn}", seconds=0.1, tasks=tasks)
        assert [answer["count"] for answer in answers] == [CALLERS] * PROCESSES
        loads = crowd.loads()
        assert len(loads) == turn + 1
        assert {value for answer in answers for value in answer["values"]} == {f"by {loads[-1]}"}


def test_cold_key_is_loaded_once_on_valkey(
    make_crowd: Callable[..., Crowd], start_server: Callable[..., Server]
) -> None:
    crowd = make_crowd(start_server("valkey"))
    crowd.call("key", seconds=0.1, tasks=(True, False, True))
    assert len(crowd.loads()) == 1


def test_load_that_takes_longer_than_its_lease_is_the_only_one(
    make_crowd: Callable[..., Crowd], redis_server: Server
) -> None:
    crowd = make_crowd(redis_server, lease=0.3)
    answers = crowd.call("key", seconds=1.0, tasks=(True, False, True), count=50)
    assert len(crowd.loads()) == 1
    assert all(len(answer["values"]) == 1 for answer in answers)


def test_leader_that_is_killed_is_followed_by_one_other(make_crowd: Callable[..., Crowd], redis_server: Server) -> None:
    crowd = make_crowd(redis_server)
    crowd.order("key", seconds=1.5, tasks=(True, False, True))
    (leader,) = eventually(crowd.loads, "one loads")
    survivors = [child for child in crowd.children if child.process.pid != leader]
    (dead,) = [child for child in crowd.children if child.process.pid == leader]
    dead.process.kill()
    killed = monotonic()
    loads = eventually(lambda: (found := crowd.loads())[1:] and found, "another one loads")
    assert monotonic() - killed <= LEASE + 0.4
    answers = [child.answer() for child in survivors]
    assert crowd.loads() == loads
    assert len(loads) == 2
    assert {value for answer in answers for value in answer["values"]} == {f"by {loads[1]}"}


def test_stale_value_is_refreshed_by_one_while_all_others_have_it(
    make_crowd: Callable[..., Crowd], redis_server: Server
) -> None:
    crowd = make_crowd(redis_server)
    terms: dict[str, Any] = {"ttl": 0.3, "stale": 60.0}
    first = crowd.call("key", seconds=0.01, tasks=(True, False, True), count=1, **terms)
    value = first[0]["values"][0]
    began = monotonic()
    eventually(lambda: monotonic() > began + 0.4, "it is out of date")
    answers = crowd.call("key", seconds=0.5, tasks=(True, False, True), **terms)
    for answer in answers:
        assert answer["values"][0] == value or value in answer["values"]
    eventually(lambda: len(crowd.loads()) == 2, "it is loaded anew")
    # Nobody but who loads has waited for it.
    assert sum(answer["seconds"] < 0.45 for answer in answers) >= PROCESSES - 1
    assert len(crowd.loads()) == 2


def test_early_refresh_is_by_one_as_well(make_crowd: Callable[..., Crowd], redis_server: Server) -> None:
    crowd = make_crowd(redis_server)
    terms: dict[str, Any] = {"ttl": 1.0, "early": 1.0}
    began = monotonic()
    periods = 2
    while monotonic() < began + periods:
        crowd.call("key", seconds=0.03, tasks=(True, False, True), count=10, **terms)
    # One a period, and those that were early; without the lease it would be some for each period and process.
    assert periods <= len(crowd.loads()) <= 2 * periods + 1
