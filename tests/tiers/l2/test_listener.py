"""The listener against real servers: every wait has a deadline."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any
from zlib import crc32

import pytest

from overdrive._tiers.l2.delivery import Hooks
from overdrive._tiers.l2.epochs import TagEpochs
from overdrive._tiers.l2.listener import Listener
from overdrive._tiers.l2.positions import StreamId
from overdrive._tiers.l2.tier import RedisTier
from tests.tiers.l2.fakes import STALENESS, STEPS, Recorder, RecordingCoherence, make_listener, perform
from tests.tiers.proxy import Mode, Proxy
from tests.tiers.servers import Cluster, Sentinels, Server, eventually

Listen = Callable[..., Listener]


@pytest.fixture
def coherence() -> RecordingCoherence:
    return RecordingCoherence()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def listen(coherence: RecordingCoherence, recorder: Recorder) -> Iterator[Listen]:
    """Start listeners, closed at the end."""
    listeners: list[Listener] = []

    def start(server: int | str, **options: Any) -> Listener:
        listener = make_listener(server, coherence, **{"hooks": recorder.hooks, **options})
        listeners.append(listener)
        listener.start()
        return listener

    yield start
    for listener in listeners:
        listener.close()
        assert not coherence.is_trusted


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with server.client() as client:
        yield client


def invalidate(client: Any, *keys: bytes) -> StreamId:
    return StreamId.parse(perform(client, STEPS.invalidate(keys)))


def test_memory_is_suspected_and_then_trusted(server: Server, coherence: RecordingCoherence, listen: Listen) -> None:
    before = coherence.stamp()
    listener = listen(server.port)
    eventually(lambda: coherence.is_trusted, "trusted")
    assert not coherence.is_current(before, ())
    assert listener.health().state == "attached"
    assert len(listener.attach_id) == 16


def test_trust_is_renewed_without_any_notice(server: Server, coherence: RecordingCoherence, listen: Listen) -> None:
    listen(server.port)
    eventually(lambda: coherence.is_trusted, "trusted")
    first = coherence.trusted_until
    eventually(lambda: coherence.trusted_until > first + STALENESS, "trusted for longer")
    assert coherence.trusted_until <= monotonic() + STALENESS


def test_what_others_invalidate_is_outdated_here(
    server: Server, client: Any, coherence: RecordingCoherence, recorder: Recorder, listen: Listen
) -> None:
    epochs = TagEpochs()
    listener = listen(server.port, epochs=epochs)
    eventually(lambda: coherence.is_trusted, "trusted")
    stamp = coherence.stamp()

    invalidate(client, b"a", b"b")
    change = perform(client, STEPS.invalidate_tags([b"team"]))

    assert listener.wait_applied(StreamId.parse(change.position), 5)
    assert not coherence.is_current(stamp, (b"ka",))
    assert not coherence.is_current(stamp, (b"kb",))
    assert not coherence.is_current(stamp, (b"tteam",))
    assert coherence.is_current(stamp, (b"kc",))
    assert (recorder.keys, recorder.tags) == ([b"a", b"b"], [b"team"])
    assert epochs.judge(change.clock - 1, [crc32(b"team")]).dead
    assert not epochs.judge(change.clock, [crc32(b"team")]).dead


def test_clear_outdates_everything(
    server: Server, client: Any, coherence: RecordingCoherence, recorder: Recorder, listen: Listen
) -> None:
    listener = listen(server.port)
    eventually(lambda: coherence.is_trusted, "trusted")
    stamp = coherence.stamp()
    change = perform(client, STEPS.clear())
    assert listener.wait_applied(StreamId.parse(change.position), 5)
    assert not coherence.is_current(stamp, ())
    assert recorder.clears == 1


def test_own_entry_is_not_applied(
    server: Server, client: Any, coherence: RecordingCoherence, recorder: Recorder, listen: Listen
) -> None:
    listen(server.port, origin=b"me")
    eventually(lambda: coherence.is_trusted, "trusted")
    client.xadd("{t}:inv", {"kind": "k", "origin": "me", "clock": "0", "name": "mine"})
    invalidate(client, b"theirs")
    eventually(lambda: b"theirs" in recorder.keys, "the next one applied")
    assert recorder.keys == [b"theirs"]


def test_hook_that_raises_is_logged_and_the_rest_is_told(
    server: Server, client: Any, coherence: RecordingCoherence, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(keys: tuple[bytes, ...]) -> None:
        raise OSError("disk")

    listener = listen(server.port, hooks=Hooks(on_keys=fail))
    eventually(lambda: coherence.is_trusted, "trusted")
    stamp = coherence.stamp()
    assert listener.wait_applied(invalidate(client, b"a"), 5)
    assert listener.wait_applied(invalidate(client, b"b"), 5)
    assert not coherence.is_current(stamp, (b"kb",))
    assert listener.health().hook_errors == 2
    assert listener.health().state == "attached"
    assert "raised an exception" in caplog.text


def test_barrier_of_tasks(server: Server, client: Any, coherence: RecordingCoherence, listen: Listen) -> None:
    listener = listen(server.port)
    eventually(lambda: coherence.is_trusted, "trusted")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for index in range(20):
            stamp = coherence.stamp()
            stream_id = await loop.run_in_executor(None, invalidate, client, b"%d" % index)
            assert await listener.wait_applied_async(stream_id, 5)
            assert not coherence.is_current(stamp, (b"k%d" % index,))
        assert not await listener.wait_applied_async(StreamId(2**60, 0), 0.01)

    asyncio.run(main())


def test_barrier_gives_up_after_its_timeout(server: Server, coherence: RecordingCoherence, listen: Listen) -> None:
    listener = listen(server.port)
    eventually(lambda: coherence.is_trusted, "trusted")
    assert not listener.wait_applied(StreamId(2**60, 0), 0.02)


@pytest.mark.parametrize("how", ["flush", "restart", "trim", "delete"])
def test_everything_is_suspected_when_notices_may_be_missing(
    how: str, server: Server, coherence: RecordingCoherence, recorder: Recorder, listen: Listen
) -> None:
    listener = listen(server.port)
    eventually(lambda: coherence.is_trusted, "trusted")
    with server.client() as client:
        assert listener.wait_applied(invalidate(client, b"x"), 5)
    stamp, attach_id = coherence.stamp(), listener.attach_id
    if how == "flush":
        server.command("FLUSHALL")
    elif how == "restart":
        server.restart()
    elif how == "delete":
        server.command("DEL", "{t}:inv")
    else:
        with server.client() as client:  # at once, so that no poll comes between
            pipeline = client.pipeline()
            for index in range(5):
                pipeline.xadd("{t}:inv", {"kind": "k", "origin": "", "clock": "0", "name": f"{index}"})
            pipeline.xtrim("{t}:inv", maxlen=1, approximate=False)
            pipeline.execute()
    eventually(lambda: not coherence.is_current(stamp, ()), "suspected")
    eventually(lambda: listener.attach_id != attach_id, "a new attach id")
    eventually(lambda: coherence.is_trusted, "trusted again")
    assert len(recorder.suspicions) == 2
    with server.client() as client:
        assert listener.wait_applied(invalidate(client, b"after"), 5)
    assert b"after" in recorder.keys


def test_stream_whose_ids_went_back_is_another(
    server: Server, client: Any, coherence: RecordingCoherence, recorder: Recorder, listen: Listen
) -> None:
    client.xadd("{t}:inv", {"kind": "p", "origin": "", "clock": "0", "name": "x"}, id="99999999999999-0")
    listen(server.port)
    eventually(lambda: coherence.is_trusted, "trusted")
    pipeline = client.pipeline()
    pipeline.delete("{t}:inv")
    pipeline.xadd("{t}:inv", {"kind": "k", "origin": "", "clock": "0", "name": "x"}, id="5-0")
    pipeline.execute()
    eventually(lambda: len(recorder.suspicions) == 2, "suspected")
    assert "went back" in recorder.suspicions[1]


def test_server_that_is_frozen_is_not_trusted_beyond_the_bound(
    server: Server, coherence: RecordingCoherence, recorder: Recorder, listen: Listen
) -> None:
    listen(server.port)
    eventually(lambda: coherence.is_trusted, "trusted")
    server.stop()
    frozen = monotonic()
    eventually(lambda: not coherence.is_trusted, "not trusted")
    assert monotonic() - frozen < STALENESS + 0.1
    server.resume()
    eventually(lambda: coherence.is_trusted, "trusted again")
    assert len(recorder.suspicions) == 1  # nothing was missed


def test_hold_keeps_memory_untrusted_until_it_is_released(
    server: Server, coherence: RecordingCoherence, listen: Listen
) -> None:
    listener = listen(server.port)
    eventually(lambda: coherence.is_trusted, "trusted")
    listener.hold("a reason")
    assert not coherence.is_trusted
    with server.client() as client:
        assert listener.wait_applied(invalidate(client, b"x"), 5)
    assert not coherence.is_trusted
    assert listener.health().distrust == "a reason"
    stamp = coherence.stamp()
    listener.release("another reason")
    assert listener.health().distrust == "a reason"
    listener.release("a reason")
    eventually(lambda: coherence.is_trusted, "trusted again")
    assert not coherence.is_current(stamp, ())


def test_server_that_is_away_at_first_is_waited_for_with_one_log_line(
    server: Server, coherence: RecordingCoherence, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "overdrive")
    server.kill()
    listener = listen(server.port)
    eventually(lambda: listener.health().state == "lost", "lost")
    assert not coherence.is_trusted
    server.start()
    eventually(lambda: coherence.is_trusted, "trusted")
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_close_is_quick_and_may_be_repeated(server: Server, coherence: RecordingCoherence, listen: Listen) -> None:
    listener = listen(server.port, max_staleness=30.0)
    eventually(lambda: listener.health().state == "attached", "attached")
    thread = listener._thread
    assert thread is not None
    began = monotonic()
    listener.close()
    listener.close()
    assert monotonic() - began < 1.0
    assert not thread.is_alive()
    listener.start()
    assert listener.health().state == "closed"
    eventually(lambda: server.clients() == 0, "disconnected")


def test_without_a_thread_nothing_is_trusted_and_it_is_tried_again(
    server: Server, coherence: RecordingCoherence, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        listener = listen(server.port)
    assert listener.health().state == "lost"
    assert "can't start new thread" in listener.health().last_error
    listener.start()
    eventually(lambda: coherence.is_trusted, "trusted")


@pytest.mark.parametrize("bound", [0.0, 0.019, float("inf"), float("nan")])
def test_bound_that_cannot_be_kept_is_refused(bound: float, coherence: RecordingCoherence) -> None:
    with pytest.raises(ValueError, match="max_staleness must be at least 0.02 s"):
        make_listener(1, coherence, max_staleness=bound)


def test_listener_that_nobody_holds_ends(server: Server, coherence: RecordingCoherence) -> None:
    listener = make_listener(server.port, coherence)
    listener.start()
    eventually(lambda: coherence.is_trusted, "trusted")
    thread = listener._thread
    assert thread is not None
    del listener
    eventually(lambda: not thread.is_alive(), "ended")
    eventually(lambda: server.clients() == 0, "disconnected")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_child_of_a_fork_listens_for_itself(server: Server) -> None:
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.tiers.l2.fork_scenario", str(server.port)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (outcome.returncode, outcome.stdout) == (0, "child listens; parent listens\n"), outcome.stderr


def test_interpreter_exits_while_listening(server: Server) -> None:
    program = (
        "from tests.tiers.l2.fakes import *\n"
        "coherence = RecordingCoherence()\n"
        f"listener = make_listener({server.port}, coherence, max_staleness=60.0)\n"
        "assert listener.wait_applied((0, 0), 5)\n"
        "print('bye')"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "bye\n", "")


def test_process_that_was_stopped_does_not_trust_what_it_missed(server: Server, client: Any) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.tiers.l2.stop_scenario", str(server.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "trusted\n"
        for _ in range(3):
            process.send_signal(signal.SIGSTOP)
            stopped = monotonic()
            eventually(lambda since=stopped: monotonic() - since > 2 * STALENESS, "the bound has passed")  # type: ignore[misc]
            stream_id = invalidate(client, b"x")
            process.send_signal(signal.SIGCONT)
            print(stream_id, file=process.stdin, flush=True)
            assert process.stdout.readline() == "applied before trusted\n"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("mode", ["blackhole", "blackhole_down"])
def test_half_open_connection_is_not_trusted_beyond_the_bound(
    mode: Mode, server: Server, client: Any, coherence: RecordingCoherence, recorder: Recorder, listen: Listen
) -> None:
    with Proxy(server.port) as proxy:
        listener = listen(proxy.port)
        eventually(lambda: coherence.is_trusted, "trusted")
        stamp = coherence.stamp()
        proxy.mode = mode
        silent = monotonic()
        stream_id = invalidate(client, b"x")
        eventually(lambda: not coherence.is_trusted, "not trusted")
        assert monotonic() - silent < STALENESS + 0.1
        proxy.heal()
        proxy.reset_all()
        assert listener.wait_applied(stream_id, 5)
        assert not coherence.is_current(stamp, (b"kx",))
        eventually(lambda: coherence.is_trusted, "trusted again")
        assert len(recorder.suspicions) == 1
        listener.close()


def test_what_was_missed_during_a_cut_is_replayed_before_memory_is_trusted(
    server: Server,
    client: Any,
    coherence: RecordingCoherence,
    recorder: Recorder,
    listen: Listen,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "overdrive")
    with Proxy(server.port) as proxy:
        listener = listen(proxy.port)
        eventually(lambda: coherence.is_trusted, "trusted")
        stamp, attach_id = coherence.stamp(), listener.attach_id
        proxy.mode = "refuse"
        proxy.reset_all()
        eventually(lambda: not coherence.is_trusted, "not trusted")
        for index in range(2500):  # more than one poll returns
            client.xadd("{t}:inv", {"kind": "k", "origin": "", "clock": "0", "name": f"{index}"})
        proxy.heal()
        eventually(lambda: coherence.is_trusted, "trusted again")
        assert len(recorder.keys) == 2500
        assert not coherence.is_current(stamp, (b"k2499",))
        assert coherence.is_current(stamp, (b"kother",))
        assert listener.attach_id == attach_id
        assert listener.health().reconnects == 1
        assert "2500 entries replayed" in caplog.text
        listener.close()


def test_stream_of_a_cluster_is_followed_on_the_node_that_has_it(
    cluster: Cluster, coherence: RecordingCoherence, listen: Listen
) -> None:
    listener = listen(cluster.url, max_staleness=1.0)
    eventually(lambda: coherence.is_trusted, "trusted")
    stamp = coherence.stamp()
    tier = RedisTier(cluster.url, namespace="t", budget=5.0)
    assert listener.wait_applied(StreamId.parse(tier.call(STEPS.invalidate((b"x",)))), 5)
    tier.close()
    assert not coherence.is_current(stamp, (b"kx",))


def test_replica_that_became_the_primary_is_found_and_what_it_does_not_have_is_suspected(
    sentinels: Sentinels, coherence: RecordingCoherence, recorder: Recorder, listen: Listen
) -> None:
    listener = listen(sentinels.url, max_staleness=1.0)
    eventually(lambda: coherence.is_trusted, "trusted")
    with sentinels.primary.client() as client:
        sentinels.replica.command("CLIENT", "PAUSE", 3000, "WRITE")  # so that what comes now is lost with the primary
        assert listener.wait_applied(invalidate(client, b"lost"), 5)
    stamp = coherence.stamp()
    sentinels.primary.kill()
    eventually(lambda: not coherence.is_current(stamp, ()), "suspected", 40)
    eventually(lambda: coherence.is_trusted, "trusted again")
    assert "went back" in recorder.suspicions[-1]
    with sentinels.replica.client() as client:
        assert listener.wait_applied(invalidate(client, b"after"), 5)
    assert recorder.keys == [b"lost", b"after"]
