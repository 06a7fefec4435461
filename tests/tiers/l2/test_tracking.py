"""Changes by programs that write no notice, reported by real servers."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from overdrive._tiers.l2.listener import Listener
from overdrive._tiers.l2.positions import StreamId
from overdrive._tiers.l2.tracking import Tracking
from tests.tiers.l2.fakes import STEPS, Recorder, RecordingCoherence, make_listener, perform
from tests.tiers.servers import Server, eventually


def envelope(version: int) -> bytes:
    return b"\xf5T" + bytes(14) + struct.pack("<Q", version) + bytes(32) + b"value"


def version_of(header: bytes) -> int | None:
    version: int = struct.unpack_from("<Q", header, 16)[0]
    return version if header.startswith(b"\xf5T") else None


class Tracked:
    def __init__(self, server: Server, client: Any) -> None:
        self.server = server
        self.client = client
        self.coherence = RecordingCoherence()
        self.recorder = Recorder()
        self.tracking = Tracking(version_of)
        self.listener: Listener = make_listener(
            server.port, self.coherence, hooks=self.recorder.hooks, tracking=self.tracking
        )
        self.listener.start()
        eventually(lambda: self.coherence.is_trusted, "trusted")

    def reported(self, key: bytes, stamp: int) -> bool:
        """Whether what was loaded at `stamp` is outdated after all reports so far have been applied."""
        marker = StreamId.parse(perform(self.client, STEPS.probe(b"marker")))
        assert self.listener.wait_applied(marker, 5)
        return not self.coherence.is_current(stamp, (b"k" + key,))


@pytest.fixture
def tracked(server: Server) -> Iterator[Tracked]:
    with server.client() as client:
        tracked = Tracked(server, client)
        yield tracked
        tracked.listener.close()


def test_foreign_set_delete_and_expiry_outdate_the_key(tracked: Tracked) -> None:
    client, coherence = tracked.client, tracked.coherence

    def expire() -> None:
        client.set("{t}:v:a", b"x", px=20)
        eventually(lambda: not client.exists("{t}:v:a"), "expired")

    changes: tuple[Callable[[], Any], ...] = (
        lambda: client.set("{t}:v:a", b"foreign"),
        lambda: client.delete("{t}:v:a"),
        expire,
    )
    for change in changes:
        stamp = coherence.stamp()
        change()
        assert tracked.reported(b"a", stamp)
    stamp = coherence.stamp()
    client.set("{t}:v:b", 1)
    assert tracked.reported(b"b", stamp)
    assert not tracked.reported(b"a", stamp)
    assert set(tracked.recorder.keys) == {b"a", b"b"}


def test_flush_suspects_everything(tracked: Tracked) -> None:
    stamp = tracked.coherence.stamp()
    tracked.client.flushdb()
    eventually(lambda: not tracked.coherence.is_current(stamp, ()), "suspected")
    eventually(lambda: len(tracked.recorder.suspicions) >= 2, "told")
    eventually(lambda: tracked.coherence.is_trusted, "trusted again")


def test_own_fill_is_kept(tracked: Tracked) -> None:
    stamp = tracked.coherence.stamp()
    tracked.tracking.writing(b"a", 7)
    tracked.client.set("{t}:v:a", envelope(7))
    assert not tracked.reported(b"a", stamp)
    assert tracked.tracking.own == 1


def test_own_fill_that_was_overwritten_at_once_is_not_kept(tracked: Tracked) -> None:
    stamp = tracked.coherence.stamp()
    tracked.tracking.writing(b"a", 7)
    pipeline = tracked.client.pipeline()  # one report for both
    pipeline.set("{t}:v:a", envelope(7))
    pipeline.set("{t}:v:a", envelope(8))
    pipeline.execute()
    assert tracked.reported(b"a", stamp)


def test_own_fill_that_was_deleted_at_once_is_not_kept(tracked: Tracked) -> None:
    stamp = tracked.coherence.stamp()
    tracked.tracking.writing(b"a", 7)
    pipeline = tracked.client.pipeline()
    pipeline.set("{t}:v:a", envelope(7))
    pipeline.delete("{t}:v:a")
    pipeline.execute()
    assert tracked.reported(b"a", stamp)


def test_foreign_change_after_an_own_fill_is_seen(tracked: Tracked) -> None:
    tracked.tracking.writing(b"a", 7)
    tracked.client.set("{t}:v:a", envelope(7))
    stamp = tracked.coherence.stamp()
    assert not tracked.reported(b"a", stamp)
    tracked.client.set("{t}:v:a", envelope(7))  # even with the same version: whoever wrote it, it was not us
    assert tracked.reported(b"a", stamp)


def test_every_new_connection_suspects_everything(tracked: Tracked) -> None:
    stamp = tracked.coherence.stamp()
    tracked.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    eventually(lambda: not tracked.coherence.is_current(stamp, ()), "suspected")
    assert "reports" in tracked.recorder.suspicions[-1]
    eventually(lambda: tracked.coherence.is_trusted, "trusted again")


def test_writes_beyond_the_capacity_are_taken_for_foreign_ones() -> None:
    tracking = Tracking(version_of, capacity=2)
    for version, key in enumerate((b"a", b"b", b"c")):
        tracking.writing(key, version)

    def ask(*commands: tuple[Any, ...]) -> list[bytes]:
        return [envelope({b"{t}:v:b": 1, b"{t}:v:c": 2}[command[1]]) for command in commands]

    reported = [b"{t}:v:a", b"{t}:v:b", b"{t}:v:c", b"{t}:other"]
    assert tracking.foreign(reported, b"{t}:", ask) == [b"a"]
    assert tracking.foreign(reported, b"{t}:", ask) == [b"a", b"b", b"c"]  # each write is excused once


def test_child_of_a_fork_has_written_nothing_and_waits_for_no_lock() -> None:
    tracking = Tracking(version_of)
    tracking.writing(b"a", 1)
    tracking._lock.acquire()  # by a thread that a fork leaves behind
    tracking.after_fork()
    assert tracking.foreign([b"{t}:v:a"], b"{t}:", lambda *commands: [envelope(1)]) == [b"a"]


def test_header_that_cannot_be_read_is_taken_for_a_change() -> None:
    tracking = Tracking(version_of)
    tracking.writing(b"a", 1)
    assert tracking.foreign([b"{t}:v:a"], b"{t}:", lambda *commands: [b""]) == [b"a"]
