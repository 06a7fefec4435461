"""The replay: every contender serves the same requests, in turns, and must return the same pages."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from operator import ne
from time import perf_counter_ns
from typing import Protocol

from overdrive._progress import Advance
from overdrive.demo.contenders import Contender, Serve, shuffled

__all__ = ("Backend", "Replay", "Served", "clock_ns", "quantile", "replay_in_turns")

# Each with empty caches. The second halves the weight of a bad second on a busy machine.
PASSES = 2
# Requests per turn: long enough that a contender's data is back in the processor's caches for most of
# its turn, short enough that a noisy second hits all contenders alike.
TURN = 2_000


class Backend(Protocol):
    """What makes pages and counts them."""

    rendered: int

    def page(self, product: int) -> bytes:
        """The page of a product."""


@dataclass(slots=True)
class Served:
    """What one contender did."""

    name: str
    latencies_ns: array[int] = field(default_factory=lambda: array("Q"))
    misses: int = 0
    differing: int = 0

    @property
    def requests_per_second(self) -> float:
        """Requests served one after the other, per second of serving."""
        return len(self.latencies_ns) / sum(self.latencies_ns) * 1e9

    @property
    def hit_ratio(self) -> float:
        """The share of requests that the backend did not see."""
        return 1 - self.miss_ratio

    @property
    def miss_ratio(self) -> float:
        """The share of requests that the backend saw."""
        return self.misses / len(self.latencies_ns)


@dataclass(frozen=True, slots=True)
class Replay:
    """What all contenders did, and the digest of the pages that the first one returned."""

    served: list[Served]
    digest: str


def replay_in_turns(
    requests: Sequence[int],
    contenders: Sequence[Contender],
    *,
    backend: Backend,
    maxsize: int,
    advance: Advance = lambda _: None,
) -> Replay:
    """Let each contender serve all requests, in turns, once per pass.

    Args:
        requests: products, in the order in which they are asked for.
        contenders: who takes part; the pages of the first are what the others' are compared with.
        backend: makes the pages that are not in a contender's cache.
        maxsize: pages that each cache holds at most, > 0.
        advance: told after each turn what share is done.
    """
    served = {who.name: Served(who.name) for who in contenders}
    parts = [requests[start : start + TURN] for start in range(0, len(requests), TURN)]
    for number in range(PASSES):
        handlers = {who.name: who.build(backend.page, maxsize).serve for who in contenders}
        digest = hashlib.sha256()
        for turn, part in enumerate(parts, number * len(parts)):
            order = [who.name for who in shuffled(contenders, turn)]
            pages = {name: _turn(handlers[name], part, served[name], backend) for name in order}
            right = pages[contenders[0].name]
            for name, returned in pages.items():
                served[name].differing += sum(map(ne, returned, right))
            digest.update(b"".join(right))
            advance((turn + 1) / (PASSES * len(parts)))
    return Replay(list(served.values()), digest.hexdigest())


def _turn(serve: Serve, requests: Sequence[int], served: Served, backend: Backend) -> list[bytes]:
    """Let one contender serve some requests; the pages are returned, to be compared outside the timing."""
    rendered = backend.rendered
    pages = _serve(serve, requests, served.latencies_ns.append)
    served.misses += backend.rendered - rendered
    return pages


def _serve(serve: Serve, requests: Sequence[int], note: Callable[[int], None]) -> list[bytes]:
    pages: list[bytes] = []
    keep, now = pages.append, perf_counter_ns
    for product in requests:
        began = now()
        page = serve(product)
        note(now() - began)
        keep(page)
    return pages


def quantile(values: Sequence[int], share: float) -> int:
    """The least of the sorted `values` that at least `share` of them (0 to 1) do not exceed."""
    return values[max(0, ceil(share * len(values)) - 1)]


def clock_ns() -> int:
    """What reading the clock adds to a latency: the median of timing nothing."""
    times = array("Q")
    for _ in range(1001):
        began = perf_counter_ns()
        times.append(perf_counter_ns() - began)
    return quantile(sorted(times), 0.5)
