"""Invalidations that fail are kept and delivered, over outages, restarts and forks."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from overdrive._tiers.l2.journal import Journal
from overdrive._tiers.l2.reasons import RedisUnavailable
from overdrive._tiers.l2.recovery import Recovery
from overdrive._tiers.l2.scripts import Steps
from overdrive._tiers.l2.step import Step
from overdrive._tiers.l2.tier import RedisTier
from tests.tiers.servers import Server, eventually

STEPS = Steps("app", origin=b"me")
OUTAGE = RedisUnavailable("refused", "away")


class Recorded(RedisTier):
    """A tier that does what it is told with each step, and needs no server."""

    def __init__(self) -> None:
        super().__init__("redis://127.0.0.1:1", namespace="app")
        self.steps: list[Step[Any]] = []
        self.away = True
        self.during: Callable[[], None] = lambda: None

    def call(self, step: Step[Any]) -> Any:
        if self.away:
            raise OUTAGE
        during, self.during = self.during, lambda: None
        during()
        self.steps.append(step)
        return b"1-1"

    def delivered(self) -> list[tuple[str, tuple[Any, ...]]]:
        first = {"invalidate": 3, "invalidate_tags": 4, "clear": 5}
        return [(step.name, step.args[first[step.name] :]) for step in self.steps]


@pytest.fixture
def tier() -> Iterator[Recorded]:
    made = Recorded()
    yield made
    made.close()


@pytest.fixture
def make(tier: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Recovery]]:
    """Make queues whose thread does nothing: tests drain by themselves."""
    monkeypatch.setattr(Recovery, "_start", lambda self: None)
    made: list[Recovery] = []

    def make(**options: Any) -> Recovery:
        made.append(Recovery(tier, STEPS, **options))
        return made[-1]

    yield make
    for recovery in made:
        recovery.close()


def test_items_are_delivered_oldest_first_and_once(make: Callable[..., Recovery], tier: Recorded) -> None:
    recovery = make()
    recovery.add_keys([b"a", b"b"])
    recovery.add_tags([b"t"])
    recovery.add_keys([b"a", b"c"])
    assert recovery.pending == 4
    assert not recovery.drain()
    assert recovery.pending == 4
    tier.away = False
    assert recovery.drain()
    assert tier.delivered() == [("invalidate", (b"b",)), ("invalidate_tags", (b"t",)), ("invalidate", (b"a", b"c"))]
    assert recovery.stats() == (0, 5, 4, 0)


def test_batches_are_bounded(make: Callable[..., Recovery], tier: Recorded) -> None:
    recovery = make()
    recovery.add_keys([b"%d" % number for number in range(1200)])
    tier.away = False
    assert recovery.drain()
    assert [len(names) for _, names in tier.delivered()] == [500, 500, 200]


def test_everything_covers_what_is_older_only(make: Callable[..., Recovery], tier: Recorded) -> None:
    recovery = make()
    recovery.add_keys([b"a"])
    recovery.add_tags([b"t"])
    recovery.add_clear()
    recovery.add_keys([b"b"])
    tier.away = False
    assert recovery.drain()
    assert tier.delivered() == [("clear", ()), ("invalidate", (b"b",))]


def test_too_many_become_everything(make: Callable[..., Recovery], tier: Recorded) -> None:
    recovery = make(limit=100)
    for number in range(1001):
        recovery.add_keys([b"%d" % number])
    assert recovery.pending <= 100
    assert recovery.stats().collapsed == 10
    tier.away = False
    assert recovery.drain()
    assert tier.delivered()[0] == ("clear", ())


def test_what_is_added_again_while_it_is_delivered_stays(make: Callable[..., Recovery], tier: Recorded) -> None:
    recovery = make()
    recovery.add_keys([b"a", b"b"])
    tier.away = False
    tier.during = lambda: recovery.add_keys([b"a"])
    assert recovery.drain()
    assert tier.delivered() == [("invalidate", (b"a", b"b")), ("invalidate", (b"a",))]


def test_what_was_done_otherwise_is_dropped(make: Callable[..., Recovery], tier: Recorded) -> None:
    recovery = make()
    recovery.discard_keys([b"x"])
    recovery.add_keys([b"a", b"b"])
    recovery.discard_keys([b"a"])
    tier.away = False
    assert recovery.drain()
    assert tier.delivered() == [("invalidate", (b"b",))]


def test_one_drains_at_a_time(make: Callable[..., Recovery], tier: Recorded) -> None:
    recovery = make()
    recovery.add_keys([b"a"])
    tier.away = False
    outcomes: list[bool] = []
    tier.during = lambda: outcomes.append(recovery.drain())
    assert recovery.drain()
    assert outcomes == [False]
    assert len(tier.steps) == 1


def test_a_journal_survives_its_process(make: Callable[..., Recovery], tier: Recorded, tmp_path: Path) -> None:
    directory = tmp_path / "j"
    code = (
        "import os, sys; from pathlib import Path\n"
        "from overdrive._tiers.l2.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]), 'app')\n"
        "journal.append([('k', b'a\\n'), ('t', b't')])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(directory)], check=False)
    (left,) = directory.iterdir()
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    recovery = make(journal=Journal(directory, "app"))
    assert recovery.pending == 2
    assert not left.exists()
    tier.away = False
    assert recovery.drain()
    assert tier.delivered() == [("invalidate", (b"a\n",)), ("invalidate_tags", (b"t",))]
    recovery.close()
    assert list(directory.iterdir()) == []


def test_the_journal_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    lives = Journal(tmp_path, "app")
    lives.append([("k", b"a")])
    other = Journal(tmp_path, "app")
    assert other.adopt() == []
    assert Journal(tmp_path, "ap").adopt() == []
    lives.close()
    assert Journal(tmp_path, "other").adopt() == []
    assert other.adopt() == [("k", b"a")]
    assert other.adopt() == []


def test_a_forked_process_has_a_journal_of_its_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "app")
    journal.append([("k", b"parent")])
    pid = os.fork()
    if not pid:
        journal.append([("k", b"child")])
        os._exit(0)
    os.waitpid(pid, 0)
    assert Journal(tmp_path, "app").adopt() == [("k", b"child")]
    journal.close()
    assert Journal(tmp_path, "app").adopt() == [("k", b"parent")]


@pytest.mark.parametrize(
    ("content", "items"),
    [
        (b"", []),
        (b"k 61\nk 6", [("k", b"a")]),
        (b"k 61\nx 62\n", [("c", b"")]),
        (b"k 6\n", [("c", b"")]),
        (b"\xff\x00\n", [("c", b"")]),
    ],
)
def test_what_cannot_be_read_may_have_been_anything(tmp_path: Path, content: bytes, items: list[Any]) -> None:
    (tmp_path / "app~1").write_bytes(content)
    assert Journal(tmp_path, "app").adopt() == items


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"k 61\n")
    (tmp_path / "app~1").symlink_to(target)
    assert Journal(tmp_path, "app").adopt() == []
    assert target.read_bytes() == b"k 61\n"


def test_a_disk_that_takes_nothing_is_one_line(
    make: Callable[..., Recovery], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    recovery = make(journal=Journal(tmp_path / "file" / "j", "app"))
    with caplog.at_level(logging.WARNING, "overdrive"):
        recovery.add_keys([b"a"])
        recovery.add_keys([b"b"])
    assert recovery.pending == 2
    assert len(caplog.records) == 1


def test_everything_replaces_what_the_journal_had(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "app")
    journal.append([("k", b"a")])
    journal.append([("c", b"")])
    journal.append([("k", b"b")])
    journal.close()
    assert Journal(tmp_path, "app").adopt() == [("c", b""), ("k", b"b")]


def test_an_outage_loses_no_invalidation(server: Server) -> None:
    tier = RedisTier(server.url, namespace="app")
    recovery = Recovery(tier, STEPS)
    tier.call(STEPS.write(b"k", b"old", 0))
    server.stop()
    while tier.breaker.state == "closed":
        with pytest.raises(RedisUnavailable):
            tier.call(STEPS.invalidate([b"k"]))
        recovery.add_keys([b"k"])
    server.resume()
    eventually(lambda: recovery.pending == 0, "it is delivered, without another call")
    assert tier.call(STEPS.get(b"k")) is None
    assert recovery.stats().delivered >= 1
    eventually(lambda: not [t for t in threading.enumerate() if t.name == "overdrive-recovery"], "the thread ends")
    recovery.close()
    tier.close()


def test_a_forked_process_delivers_its_own(redis_server: Server) -> None:
    tier = RedisTier(redis_server.url, namespace="app", budget=1)
    recovery = Recovery(tier, STEPS)
    tier.call(STEPS.write(b"k", b"old", 0))
    pid = os.fork()
    if not pid:
        code = 1
        try:
            recovery.add_keys([b"k"])
            eventually(lambda: recovery.pending == 0, "it is delivered")
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert tier.call(STEPS.get(b"k")) is None
    recovery.close()
    tier.close()
