"""Finalizers, signal handlers and callbacks use the tier in the middle of an operation of the same thread."""

from __future__ import annotations

import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from overdrive._tiers.l3 import exits
from overdrive._tiers.l3.condition import State
from overdrive._tiers.l3.doomed import Doomed
from overdrive._tiers.l3.sessions import Session
from overdrive._tiers.l3.tier import DiskTier
from overdrive._tiers.l3.writer import Job, Writer
from tests.tiers.servers import eventually

KEPT = 200


def same_shard(key: bytes, tier: DiskTier) -> bytes:
    """Return another key in the shard of one."""
    return next(
        other for other in map(b"other-%d".__mod__, range(1000)) if crc32(other) % tier._count == crc32(key) % 8
    )


@pytest.fixture
def filled(open_tier: Callable[..., DiskTier]) -> DiskTier:
    tier = open_tier(busy_timeout=20)
    for number in range(KEPT):
        assert tier.put(b"kept-%d" % number, b"v")
    return tier


def meanwhile(tier: DiskTier, work: Callable[[], Any]) -> Any:
    """Return what `work` returns in the middle of a transaction that writes `k`."""
    results: list[Any] = []

    def is_current() -> bool:
        results.append(work())
        return True

    assert tier.put(b"k", b"outer", is_current=is_current)
    return results[0]


def in_the_statement(tier: DiskTier, work: Callable[[], Any]) -> Callable[[], Any]:
    """Have `work` run in the next statement of the quick way; returns what says what it returned."""
    results: list[Any] = []
    session = tier._sessions.mine()
    index = crc32(b"k") % tier._count
    handle = session.handle(index)
    execute: Any = handle.execute

    def interrupted(sql: str, arguments: Any) -> Any:
        handle.execute = execute
        cursor = execute(sql, arguments)
        results.append(work())
        return cursor

    handle.execute = interrupted
    return results.pop


def nothing_is_lost(tier: DiskTier) -> bool:
    events = tier.stats().events
    kept = all(tier.get(b"kept-%d" % number) is not None for number in range(KEPT))
    return kept and not {"shards_set_aside", "shards_dropped", "fault_corrupt"} & set(events)


Work = Callable[[DiskTier, bytes], object]
WORKS: dict[str, Work] = {
    "get": lambda tier, key: tier.get(key),
    "get_many": lambda tier, key: tier.get_many([key, b"kept-1", b"kept-2"]),
    "header": lambda tier, key: tier.header(key),
    "keys": lambda tier, key: tier.keys(),
    "iterate": lambda tier, key: list(tier.iterate()),
    "put": lambda tier, key: tier.put(key, b"inner"),
    "put with tags": lambda tier, key: tier.put(key, b"inner", tags=(1,)),
    "put with an int": lambda tier, key: tier.put(key, b"inner", expires=2**40),
    "put a large one": lambda tier, key: tier.put(key, b"inner" * 20_000),
    "put_later": lambda tier, key: tier.put_later(key, b"inner"),
    "delete": lambda tier, key: tier.delete(key),
    "delete_many": lambda tier, key: tier.delete_many([key, b"none"]),
    "delete_tags": lambda tier, key: tier.delete_tags([7]),
    "stats": lambda tier, key: tier.stats(),
    "cleanup": lambda tier, key: tier.cleanup(),
}


@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
@pytest.mark.parametrize("outer", ["put", "put_later", "get", "set"])
def test_nothing_is_lost_whatever_is_done_in_the_middle(filled: DiskTier, outer: str, work: Work) -> None:
    other = same_shard(b"k", filled)
    assert filled.put(b"k", b"before")
    assert filled.put(other, b"other")
    if outer == "put":
        meanwhile(filled, lambda: work(filled, other))
    elif outer == "put_later":
        called: list[object] = []

        def is_current() -> bool:
            called.append(work(filled, other))
            return True

        assert filled.put_later(b"k", b"outer", is_current=is_current)
        filled.flush(20)
        assert called
    else:
        ran = in_the_statement(filled, lambda: work(filled, other) or True)
        if outer == "get":
            row = filled.get(b"k")
            assert row is not None
            assert row.blob == b"before"
        else:
            assert filled.put(b"k", b"outer")
        assert ran()
    row = filled.get(b"k")
    assert row is not None
    assert row.blob == (b"before" if outer == "get" else b"outer")
    filled.flush(20)
    assert nothing_is_lost(filled)
    assert not filled._sessions.mine().in_use


def test_what_is_read_in_the_middle_of_a_transaction_is_what_was_there_before(filled: DiskTier) -> None:
    filled.put(b"k", b"before")
    row = meanwhile(filled, lambda: filled.get(b"k"))
    assert row is not None
    assert row.blob == b"before"
    assert filled.get_many([b"k"])[b"k"].blob == b"outer"


def test_a_delete_in_the_middle_of_a_transaction_is_remembered_and_done(filled: DiskTier) -> None:
    other = same_shard(b"k", filled)
    filled.put(other, b"other")
    meanwhile(filled, lambda: filled.delete(other))
    assert filled.get(other) is None
    assert filled.put(b"later", b"v")
    assert filled.stats().pending_deletes == 0
    assert filled.get(other) is None


def test_a_tier_that_is_closed_in_the_middle_of_an_operation_ends_it(filled: DiskTier) -> None:
    meanwhile(filled, filled.close)
    assert not [handle for session in filled._sessions._all for handle in session.handles if handle is not None]
    with pytest.raises(ValueError, match="is closed"):
        filled.get(b"k")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_in_the_middle_of_an_operation_ends_it_without_the_disk(filled: DiskTier) -> None:
    parent = os.getpid()
    children: list[int] = []
    done = None

    def is_current() -> bool:
        children.append(os.fork())
        return True

    try:
        done = filled.put(b"k", b"outer", is_current=is_current)
    finally:
        if os.getpid() != parent:
            os._exit(0 if done is False and filled.get(b"k") is None else 1)
    assert done
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    row = filled.get(b"k")
    assert row is not None
    assert row.blob == b"outer"
    assert nothing_is_lost(filled)


def test_others_wait_for_the_end_of_an_operation_before_they_close_what_it_uses(filled: DiskTier) -> None:
    filled.put(b"k", b"v")
    filled.get(b"k")
    closer = threading.Thread(target=filled._sessions.close)

    def close_elsewhere() -> bool:
        closer.start()
        closer.join(0.05)
        return closer.is_alive()

    waits = in_the_statement(filled, close_elsewhere)
    assert filled.get(b"k") is not None
    assert waits()
    closer.join(20)
    assert not closer.is_alive()
    assert filled._sessions.mine().handles == [None] * 8
    assert filled.get(b"k") is not None


def test_while_others_close_what_it_uses_a_thread_waits(filled: DiskTier) -> None:
    filled.get(b"kept-1")
    session = filled._sessions.mine()
    seized, goes_on, found = threading.Event(), threading.Event(), threading.Event()

    def close() -> None:
        assert session.seize()
        seized.set()
        goes_on.wait(20)
        assert not found.is_set()
        session.close()
        session.let_go()

    closer = threading.Thread(target=close)
    closer.start()
    assert seized.wait(20)
    threading.Timer(0.05, goes_on.set).start()
    assert filled.get(b"kept-1") is not None
    found.set()
    closer.join(20)


def test_a_session_that_could_not_be_seized_is_let_go() -> None:
    class Interrupted(Session):
        def bar(self, timeout: float) -> bool:
            super().bar(timeout)
            raise KeyboardInterrupt

    session = Interrupted([], ())
    with pytest.raises(KeyboardInterrupt):
        session.seize()
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(session.lock.acquire(timeout=0)))
    thread.start()
    thread.join(20)
    assert taken == [True]


def test_a_session_that_is_seized_twice_stays_seized_until_it_is_let_go_twice(filled: DiskTier) -> None:
    filled.get(b"kept-1")
    session = filled._sessions.mine()
    index = crc32(b"kept-1") % 8
    handle = session.handle(index)
    used: list[str] = []
    execute: Any = handle.execute

    def spying(sql: str, arguments: Any) -> Any:
        used.append(sql)
        return execute(sql, arguments)

    handle.execute = spying
    assert session.seize()
    assert session.seize()
    session.let_go()
    assert filled.get(b"kept-1") is not None  # in the careful way, whose lock this thread holds
    assert used == []
    session.let_go()
    assert filled.get(b"kept-1") is not None
    assert len(used) == 1


def test_a_job_is_always_where_a_delete_looks_for_it() -> None:
    """At every change of the queue, and so in between, the job can be cancelled, and the queue is not idle."""
    seen: list[bool] = []

    class Spying(OrderedDict[bytes, Job]):
        def pop(self, key: bytes, *default: Any) -> Any:
            job = super().pop(key, *default)
            seen.append(writer.is_idle)
            writer.cancel([key])
            seen.append(job.cancelled)
            return job

    writer = Writer(lambda jobs: sum(job.is_wanted() for job in jobs), lambda: None, 10, 1000)
    writer._waiting = Spying()
    assert writer.put(Job(b"k", b"v", 1.0, 0, b"", ()))
    assert writer.flush(20)
    writer.close()
    assert seen == [False, True]
    assert writer.is_idle


def test_a_delete_that_is_remembered_is_done_before_the_tier_is_clean(
    filled: DiskTier, open_tier: Callable[..., DiskTier]
) -> None:
    other = same_shard(b"k", filled)
    filled.put(other, b"other")
    meanwhile(filled, lambda: filled.delete(other))
    assert filled.close()
    assert open_tier().get(other) is None


def test_a_delete_that_is_remembered_is_done_soon(filled: DiskTier, open_tier: Callable[..., DiskTier]) -> None:
    there = open_tier()
    other = same_shard(b"k", filled)
    filled.put(other, b"other")
    meanwhile(filled, lambda: filled.delete(other))
    eventually(lambda: there.get(other) is None, "others do not find it, though nobody writes")


def test_nothing_is_written_that_a_remembered_delete_could_remove(
    filled: DiskTier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filled, "_delete_doomed", lambda: None)
    filled._doomed.add_keys(crc32(b"x") % 8, [b"x"])
    filled._look_after_deletes()
    assert not filled.put(b"x", b"new")
    assert not filled.put(b"x", b"new", tags=(1,))
    monkeypatch.undo()
    assert filled.put(b"x", b"new")
    assert filled.get(b"x") is not None


def test_a_directory_that_is_made_again_in_the_middle_of_an_operation_is_used_afterwards(
    filled: DiskTier, open_tier: Callable[..., DiskTier], tmp_path: Path
) -> None:
    def remake() -> bool:
        shutil.rmtree(tmp_path / "cache")
        filled._worsen(State.OFF, "it is gone")
        filled._condition.probe_now()
        filled.get(b"none")
        return filled.health().state == "ok"

    filled.put(b"k", b"outer", is_current=remake)
    assert filled.health().state == "ok"
    assert filled.put(b"x", b"new")
    there = open_tier()
    assert there.get(b"x") is not None
    assert there.put(b"y", b"v")
    assert filled.delete(b"y")
    assert there.get(b"y") is None


def test_a_shard_that_is_made_in_the_middle_of_making_it_keeps_what_is_written(
    tier: DiskTier, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = tier._shards[crc32(b"k") % 8]
    create = shard._create
    stored: list[bool] = []

    def interrupted(connection: Any) -> None:
        monkeypatch.undo()
        stored.append(tier.put(b"k", b"inner"))
        create(connection)

    shard.set_aside(shard.generation)
    monkeypatch.setattr(shard, "_create", interrupted)
    assert tier.get(b"k") is not None
    assert stored == [True]
    assert "fault_corrupt" not in tier.stats().events


def test_a_look_that_is_taken_in_the_middle_of_another_one_counts(tier: DiskTier) -> None:
    class Interrupted(Doomed):
        def __len__(self) -> int:
            before = super().__len__()
            if not before:
                self.add_keys(0, [b"k"])
                tier._look()
            return before

    tier._doomed = Interrupted()
    tier._look()
    assert tier._attention
    assert tier._shedding
    tier._doomed = Doomed()


def test_what_is_doomed_in_the_middle_of_dooming_is_doomed() -> None:
    doomed = Doomed()

    def keys() -> Iterator[bytes]:
        doomed.add_keys(0, [b"inner"])
        yield b"outer"

    def add(wanted: Iterable[bytes]) -> None:
        doomed.add_keys(0, wanted)

    thread = threading.Thread(target=add, args=(keys(),), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert doomed.of_shard(0)[0] == {b"inner", b"outer"}


def test_all_tiers_are_closed_at_exit_though_one_cannot_be(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class One:
        def __init__(self, *, fails: bool) -> None:
            self.fails, self.closed = fails, False

        def close(self) -> None:
            self.closed = True
            if self.fails:
                raise OverflowError("an odd clock")

    tiers = [One(fails=True), One(fails=False), One(fails=True)]
    monkeypatch.setattr(exits, "_open", tiers)
    exits._close_all()
    assert all(tier.closed for tier in tiers)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
