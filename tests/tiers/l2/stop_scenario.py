"""A process that is stopped from outside for longer than the bound: `stop_scenario PORT`, ids on the standard input."""

from __future__ import annotations

import sys
from time import monotonic

from overdrive._tiers.l2.positions import StreamId
from tests.tiers.l2.fakes import RecordingCoherence, make_listener
from tests.tiers.servers import eventually


class Watching(RecordingCoherence):
    """Remembers trust that was given late, and where the listener was when it was."""

    def trust(self, until: float, /) -> None:
        super().trust(until)
        if until > monotonic():
            trusted_at.append(listener.arrivals.position)


trusted_at: list[StreamId | None] = []
coherence = Watching()
listener = make_listener(int(sys.argv[1]), coherence)
listener.start()
eventually(lambda: coherence.is_trusted, "trusted")
print("trusted", flush=True)
trusted_at.clear()
for line in sys.stdin:
    stream_id = StreamId.parse(line.strip())
    eventually(lambda: coherence.is_trusted, "trusted again")
    position = listener.arrivals.position
    assert position is not None
    print("applied before trusted" if position >= stream_id else "trusted too early", flush=True)
