"""A process that forks while it listens: `fork_scenario PORT`."""

from __future__ import annotations

import os
import sys

import redis

from overdrive._tiers.l2.positions import StreamId
from tests.tiers.l2.fakes import STEPS, RecordingCoherence, make_listener, perform
from tests.tiers.servers import eventually


def hears(port: int, coherence: RecordingCoherence, listener: object, key: bytes) -> None:
    """Check that an invalidation is heard."""
    eventually(lambda: coherence.is_trusted, "trusted")
    stamp = coherence.stamp()
    with redis.Redis(port=port, protocol=2) as client:
        stream_id = StreamId.parse(perform(client, STEPS.invalidate([key])))
    assert listener.wait_applied(stream_id, 5)  # type: ignore[attr-defined]
    assert not coherence.is_current(stamp, (b"k" + key,))


def main(port: int) -> None:
    """Listen in the parent, then in the child, then in the parent again."""
    coherence = RecordingCoherence()
    listener = make_listener(port, coherence)
    listener.start()
    hears(port, coherence, listener, b"before")
    attach_id = listener.attach_id
    child = os.fork()
    if child == 0:
        assert not coherence.is_trusted
        assert listener.attach_id == b""
        listener.start()
        hears(port, coherence, listener, b"child")
        assert listener.attach_id != attach_id
        os.write(1, b"child listens; ")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    hears(port, coherence, listener, b"parent")
    assert listener.attach_id == attach_id  # the child did not cut it off
    os.write(1, b"parent listens\n")


main(int(sys.argv[1]))
