"""Write-behind: bounded, in batches, and never over a delete."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import pytest

from overdrive._tiers.l3.tier import DiskTier
from overdrive._tiers.l3.writer import Job, Writer


def job(key: bytes, blob: bytes = b"v", is_current: Callable[[], bool] | None = None) -> Job:
    return Job(key, blob, 1e18, 0, b"", (), is_current)


class Gate:
    """A commit that waits until it may go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.may_go = threading.Event()
        self.batches: list[list[Job]] = []

    def __call__(self, jobs: Sequence[Job]) -> int:
        self.entered.set()
        assert self.may_go.wait(20)
        wanted = [each for each in jobs if each.is_wanted()]
        self.batches.append(wanted)
        return len(wanted)

    def committed(self) -> list[bytes]:
        return [each.key for batch in self.batches for each in batch]


@pytest.fixture
def gate() -> Gate:
    return Gate()


def writer_of(gate: Gate, max_jobs: int = 1000, max_bytes: int = 1000) -> Writer:
    return Writer(gate, lambda: None, max_jobs, max_bytes)


def test_flush_means_durable(tier: DiskTier) -> None:
    for number in range(500):
        assert tier.put_later(b"%d" % number, b"v")
    assert tier.flush()
    assert tier.stats().entries == 500
    assert (tier.stats().queued, tier.stats().writes) == (0, 500)


def test_a_full_queue_drops_and_counts(gate: Gate) -> None:
    writer = writer_of(gate, max_jobs=2)
    writer.put(job(b"first"))
    assert gate.entered.wait(20)
    assert [writer.put(job(key)) for key in (b"a", b"b", b"c")] == [True, True, False]
    assert writer.dropped == 1
    gate.may_go.set()
    assert writer.flush(20)
    assert gate.committed() == [b"first", b"a", b"b"]
    assert writer.close(20)


def test_the_queue_is_bounded_in_bytes(gate: Gate) -> None:
    writer = writer_of(gate, max_bytes=10)
    writer.put(job(b"first", b""))
    assert gate.entered.wait(20)
    assert writer.put(job(b"a", b"x" * 8))
    assert not writer.put(job(b"b", b"x" * 3))
    assert writer.put(job(b"a", b"x" * 10))
    gate.may_go.set()
    assert writer.close(20)


def test_a_dropped_write_takes_the_queued_one_before_it_along(gate: Gate) -> None:
    writer = writer_of(gate, max_bytes=10)
    writer.put(job(b"first", b""))
    assert gate.entered.wait(20)
    writer.put(job(b"a", b"old"))
    assert not writer.put(job(b"a", b"x" * 11))
    gate.may_go.set()
    assert writer.close(20)
    assert gate.committed() == [b"first"]


def test_the_last_write_of_a_key_wins(gate: Gate) -> None:
    writer = writer_of(gate)
    writer.put(job(b"first"))
    assert gate.entered.wait(20)
    writer.put(job(b"a", b"1"))
    writer.put(job(b"a", b"2"))
    gate.may_go.set()
    assert writer.close(20)
    assert [each.blob for batch in gate.batches for each in batch if each.key == b"a"] == [b"2"]


def test_a_delete_wins_over_a_queued_write(gate: Gate) -> None:
    writer = writer_of(gate)
    writer.put(job(b"in flight"))
    assert gate.entered.wait(20)
    writer.put(job(b"queued"))
    writer.put(job(b"other"))
    writer.cancel((b"in flight", b"queued"))
    gate.may_go.set()
    assert writer.flush(20)
    assert gate.committed() == [b"other"]
    assert writer.failed == 0
    writer.close(20)


def test_a_deleted_entry_does_not_come_back(tier: DiskTier) -> None:
    for number in range(50):
        tier.put_later(b"%d" % number, b"v", tags=(number % 2,))
        if number % 3 == 0:
            tier.delete(b"%d" % number)
    tier.delete_tags((1,))
    assert tier.flush()
    assert set(tier.keys()) == {b"%d" % number for number in range(50) if number % 3 and not number % 2}


def test_a_write_asks_whether_it_is_current(tier: DiskTier) -> None:
    tier.put(b"kept", b"old")
    tier.put_later(b"kept", b"new", is_current=lambda: False)
    tier.put_later(b"written", b"new", is_current=lambda: True)
    assert tier.flush()
    assert {key: row.blob for key, row in tier.iterate()} == {b"kept": b"old", b"written": b"new"}


def test_a_write_whose_question_fails_is_left_out(tier: DiskTier, caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> bool:
        raise LookupError("no such stamp")

    with caplog.at_level(logging.ERROR):
        tier.put_later(b"k", b"v", is_current=fails)
        assert tier.flush()
    assert tier.get(b"k") is None
    assert "no such stamp" in caplog.text


def test_a_question_may_read_the_tier(tier: DiskTier) -> None:
    tier.put_later(b"k", b"v", is_current=lambda: tier.get(b"k") is None)
    assert tier.flush(20)
    assert tier.get(b"k") is not None


def test_large_values_go_through_the_queue(tier: DiskTier) -> None:
    tier.put_later(b"a", b"x" * 100_000)
    tier.put_later(b"b", b"x" * 100_000, is_current=lambda: False)
    assert tier.flush()
    assert [key for key, _ in tier.iterate()] == [b"a"]
    assert len([path for path in (tier._directory.root / "blob").rglob("*") if path.is_file()]) == 1


def test_an_error_in_a_batch_does_not_end_the_writer(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def commit(jobs: Sequence[Job]) -> int:
        calls.append(len(jobs))
        if len(calls) == 1:
            raise RuntimeError("a mistake")
        return len(jobs)

    writer = Writer(commit, lambda: None, 10, 1000)
    with caplog.at_level(logging.ERROR):
        writer.put(job(b"a"))
        assert not writer.flush(20) or writer.failed == 1
        writer.put(job(b"b"))
        assert writer.flush(20)
    assert (writer.failed, writer.committed) == (1, 1)
    assert writer.close(20)
    assert not writer.put(job(b"c"))


def test_who_queues_faster_than_the_thread_writes_helps(gate: Gate) -> None:
    writer = writer_of(gate)
    writer.put(job(b"first"))
    assert gate.entered.wait(20)  # the thread is stuck in its batch
    keys = [b"%d" % number for number in range(256)]
    for key in keys:
        assert writer.put(job(key))
    assert writer.is_behind
    gate.may_go.set()
    assert writer.put(job(b"last"))
    assert writer.queued < 256
    assert writer.flush(20)
    assert sorted(gate.committed()) == sorted([b"first", *keys, b"last"])
    assert (writer.committed, writer.failed) == (258, 0)


def test_a_delete_reaches_the_batch_of_a_helper(gate: Gate) -> None:
    writer = writer_of(gate)
    writer.put(job(b"first"))
    assert gate.entered.wait(20)
    for number in range(256):
        writer.put(job(b"%d" % number))
    gate.entered.clear()
    helper = threading.Thread(target=writer.put, args=(job(b"last"),))
    helper.start()
    assert gate.entered.wait(20)
    writer.cancel([b"0"])  # the oldest, which the helper has
    gate.may_go.set()
    helper.join(20)
    assert writer.flush(20)
    assert b"0" not in gate.committed()
