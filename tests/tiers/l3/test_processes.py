"""Several processes at once, forks, and locks that are held too long."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import threading
import time
from collections.abc import Callable
from multiprocessing.context import BaseContext
from pathlib import Path
from zlib import crc32

import pytest

from overdrive._tiers.l3.tier import DiskTier
from overdrive.testing import FakeClock

from . import child


def in_child(work: Callable[[], bool]) -> bool:
    """Fork, and return what `work` returns there; false if the child takes more than 20 seconds."""
    pid = os.fork()
    if pid == 0:
        good = False
        try:
            good = work()
        finally:
            os._exit(0 if good else 1)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


def test_two_processes_write_at_once(open_tier: Callable[..., DiskTier], tmp_path: Path, engine: str) -> None:
    tier = open_tier()
    children = [
        subprocess.Popen(
            child.command("write", tmp_path / "cache", engine, prefix, 300), cwd=child.ROOT, stdout=subprocess.PIPE
        )
        for prefix in ("a", "b")
    ]
    assert [process.communicate(timeout=60)[0] for process in children] == [b"300\n", b"300\n"]
    assert tier.stats().entries == 600
    for key, row in tier.iterate():
        assert child.is_whole(key, row.blob)


def test_a_delete_here_is_seen_there(open_tier: Callable[..., DiskTier]) -> None:
    first, second = open_tier(), open_tier()
    first.put(b"k", b"v")
    assert second.get(b"k") is not None
    second.delete(b"k")
    assert first.get(b"k") is None


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_reads_and_writes(tier: DiskTier) -> None:
    tier.put(b"k", b"v")
    tier.put_later(b"queued", b"v")

    def work() -> bool:
        good = tier.get(b"k") is not None and tier.put(b"child", b"v") and tier.put_later(b"later", b"v")
        return bool(good and tier.flush(10) and not tier.close())

    assert in_child(work)
    assert tier.flush()
    assert tier.keys() == [b"child", b"k", b"later", b"queued"]
    assert tier.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forks_while_threads_are_busy(tier: DiskTier) -> None:
    stop = threading.Event()
    wrong: list[bytes] = []

    def work() -> None:
        while not stop.is_set():
            tier.put(b"k", b"v" * 100)
            row = tier.get(b"k")
            if row is not None and row.blob != b"v" * 100:
                wrong.append(row.blob)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        results = [in_child(lambda: tier.put(b"child", b"v") and tier.get(b"child") is not None) for _ in range(5)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert results == [True] * 5
    assert not wrong
    assert tier.health().state == "ok"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_threads_fork_at_once(open_tier: Callable[..., DiskTier]) -> None:
    tiers = [open_tier() for _ in range(3)]
    results: list[bool] = []

    def work() -> None:
        results.extend(in_child(lambda: all(tier.put(b"child", b"v") for tier in tiers)) for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 6


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_in_the_middle_of_an_operation_leaves_the_child_without_the_tier(tier: DiskTier) -> None:
    tier.put(b"k", b"v")
    inside, go_on = threading.Event(), threading.Event()

    def block() -> bool:
        inside.set()
        return go_on.wait(20)

    tier.put_later(b"slow", b"v", is_current=block)
    assert inside.wait(20)
    try:
        assert in_child(lambda: tier.get(b"k") is None and tier.health().state == "off")
    finally:
        go_on.set()
    assert tier.flush(20)
    assert tier.get(b"slow") is not None


def set_aside(tier: DiskTier, key: bytes) -> None:
    """Replace the file that an entry is in, as if it were damaged."""
    shard = tier._shards[crc32(key) % 8]
    assert shard.set_aside(shard.generation)


def test_what_is_written_goes_where_others_find_it_soon_after_they_replaced_a_file(
    open_tier: Callable[..., DiskTier], clock: FakeClock
) -> None:
    here, there = open_tier(), open_tier()
    assert here.put(b"k", b"v")
    assert here.get(b"k") is not None
    set_aside(there, b"k")
    clock.advance(0.3)
    assert here.put(b"k", b"new")
    row = there.get(b"k")
    assert row is not None
    assert row.blob == b"new"


def test_a_miss_is_looked_for_in_the_new_file_soon_after_others_replaced_it(
    open_tier: Callable[..., DiskTier], clock: FakeClock
) -> None:
    here, there = open_tier(), open_tier()
    assert here.put(b"other", b"v")
    assert here.get(b"k") is None
    set_aside(there, b"k")
    assert there.put(b"k", b"new")
    clock.advance(0.3)
    assert here.get(b"k") is not None


@pytest.mark.parametrize(
    "delete",
    [
        lambda tier: tier.delete(b"k"),
        lambda tier: tier.delete_many([b"k", b"j"]),
        lambda tier: tier.delete_tags([7]),
        lambda tier: tier.clear(),
    ],
    ids=["delete", "delete_many", "delete_tags", "clear"],
)
def test_a_delete_is_done_in_the_file_that_others_put_in_place(
    open_tier: Callable[..., DiskTier], delete: Callable[[DiskTier], object]
) -> None:
    here, there = open_tier(), open_tier()
    assert here.put(b"k", b"v", tags=(7,))
    set_aside(there, b"k")
    assert there.put(b"k", b"v", tags=(7,))
    delete(here)
    assert there.get(b"k") is None


def count_in(directory: str, engine: str, results: object) -> None:
    with DiskTier(directory, engine=engine) as tier:
        results.put(len(tier.keys()))  # type: ignore[attr-defined]


def test_a_spawned_child_opens_its_own(tier: DiskTier, tmp_path: Path, engine: str) -> None:
    tier.put(b"k", b"v")
    context: BaseContext = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=count_in, args=(str(tmp_path / "cache"), engine, results))  # type: ignore[attr-defined]
    process.start()
    assert results.get(timeout=60) == 1
    process.join(60)
    assert process.exitcode == 0


def test_a_lock_held_too_long_is_skipped_and_counted(open_tier: Callable[..., DiskTier], tmp_path: Path) -> None:
    tier = open_tier(busy_timeout=0.02)
    tier.put(b"k", b"v")
    shard = tmp_path / f"cache/v1/shard-{crc32(b'k') % 8:02d}.db"
    other = tier._engine.connect(str(shard), 0)
    other.run("BEGIN IMMEDIATE")
    before = time.perf_counter()
    assert not tier.put(b"k", b"w")
    assert time.perf_counter() - before < 1
    assert tier.get_many((b"k",))[b"k"].blob == b"v"
    assert tier.health().state == "ok"
    assert not tier.delete(b"k")
    assert tier.get(b"k") is None
    assert tier.stats().pending_deletes == 1
    other.run("ROLLBACK")
    other.close()
    assert tier.put(b"k", b"x")
    assert tier.stats().pending_deletes == 0
    assert tier.stats().events["fault_busy"] >= 2


def test_a_shard_that_another_process_replaced_is_noticed(
    open_tier: Callable[..., DiskTier], clock: Callable[[], float]
) -> None:
    first, second = open_tier(), open_tier()
    first.put(b"k", b"v")
    assert second.get(b"k") is not None
    index = crc32(b"k") % 8
    assert first._set_aside(index, first._shards[index].generation)
    assert first.get(b"k") is None
    clock.advance(1)  # type: ignore[attr-defined]
    second.get(b"k")
    assert second.get(b"k") is None
    assert second.put(b"k", b"new")
    assert first.get(b"k") is not None
