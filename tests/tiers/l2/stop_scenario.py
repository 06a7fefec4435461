"""A process that is stopped from outside for longer than the bound: `stop_scenario PORT`, ids on the standard input."""

from __future__ import annotations

import sys
from time import monotonic

from overdrive._tiers.l2.positions import StreamId
from tests.tiers.l2.fakes import STALENESS, RecordingCoherence, make_listener
from tests.tiers.servers import eventually


class Watching(RecordingCoherence):
    """Remembers where the listener was when memory was trusted for the first time after a stop."""

    def __init__(self) -> None:
        super().__init__()
        self.told = monotonic()
        self.was_stopped = False
        self.trusted_at: list[StreamId] = []

    def trust(self, until: float, /) -> None:
        now = monotonic()
        self.was_stopped |= now - self.told > 1.5 * STALENESS
        self.told = now
        super().trust(until)
        if self.was_stopped and until > now:
            position = listener.arrivals.position
            assert position is not None
            self.trusted_at.append(position)
            self.was_stopped = False


coherence = Watching()
listener = make_listener(int(sys.argv[1]), coherence)
listener.start()
eventually(lambda: coherence.is_trusted, "trusted")
coherence.trusted_at.clear()
print("trusted", flush=True)
for line in sys.stdin:
    stream_id = StreamId.parse(line.strip())
    eventually(lambda: coherence.trusted_at, "trusted again")
    print("applied before trusted" if coherence.trusted_at.pop() >= stream_id else "trusted too early", flush=True)
