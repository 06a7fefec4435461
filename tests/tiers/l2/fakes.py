"""Stand-ins of the memory tier's side of the backplane, and what a listener needs to be built."""

from __future__ import annotations

import math
import threading
from time import monotonic
from typing import Any
from zlib import crc32

from overdrive._tiers.l2.delivery import Hooks
from overdrive._tiers.l2.epochs import TagEpochs
from overdrive._tiers.l2.link import connector
from overdrive._tiers.l2.listener import Listener
from overdrive._tiers.l2.route import Route
from overdrive._tiers.l2.scripts import Steps
from overdrive._tiers.l2.step import Step
from overdrive._tiers.l2.tracking import Tracking
from overdrive._tiers.l2.url import Address, Target, parse_url

STALENESS = 0.4


class RecordingCoherence:
    """Coherence by one slot per name, which remembers what it was told."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.clock = 0
        self.slots: dict[bytes, int] = {}
        self.all = 0
        self.trusted_until = -math.inf

    def stamp(self) -> int:
        return self.clock

    def bump(self, *names: bytes) -> None:
        with self.lock:
            self.clock += 1
            self.slots.update(dict.fromkeys(names, self.clock))

    def bump_all(self) -> None:
        with self.lock:
            self.clock += 1
            self.all = self.clock

    def is_current(self, stamp: int, names: tuple[bytes, ...]) -> bool:
        return self.all <= stamp and all(self.slots.get(name, 0) <= stamp for name in names)

    def trust(self, until: float, /) -> None:
        self.trusted_until = until

    @property
    def is_trusted(self) -> bool:
        return monotonic() < self.trusted_until


class Recorder:
    """Hooks that remember what they were told."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.tags: list[bytes] = []
        self.clears = 0
        self.suspicions: list[str] = []
        self.probes: list[bytes] = []

    def cleared(self) -> None:
        self.clears += 1

    @property
    def hooks(self) -> Hooks:
        return Hooks(self.keys.extend, self.tags.extend, self.cleared, self.suspicions.append, self.probes.append)


def make_listener(
    server: int | str,
    coherence: Any,
    *,
    hooks: Hooks | None = None,
    epochs: TagEpochs | None = None,
    max_staleness: float = STALENESS,
    tracking: Tracking | None = None,
    origin: bytes = b"",
) -> Listener:
    """Build a listener of the namespace `t` of a server, by its port or its URL."""
    target = Target("single", (Address("127.0.0.1", server),)) if isinstance(server, int) else parse_url(server)
    route = Route(target, b"{t}:", 1.0)
    return Listener(
        connector(route, reports=tracking is not None),
        b"{t}:",
        coherence,
        epochs=TagEpochs() if epochs is None else epochs,
        hash_tag=crc32,
        max_staleness=max_staleness,
        hooks=hooks or Hooks(),
        tracking=tracking,
        origin=origin,
    )


STEPS = Steps("t", origin=b"other")


def perform(client: Any, step: Step[Any]) -> Any:
    """Do a step with redis-py."""
    if step.script is None:
        return step.parse(client.execute_command(*step.command))
    return step.parse(client.eval(step.script.source, len(step.keys), *step.keys, *step.args))
