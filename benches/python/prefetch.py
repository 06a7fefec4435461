"""What prefetching gains and costs on traces: an LRU cache, items of size one, a cold start.

    python benches/python/prefetch.py --traces DIR [--only PATTERN,...] [--delays N,...] [--json FILE] [--check]

A prefetch with delay N is there N requests after it was made; with delay 1, at the next one. "used" is the
share of the prefetches whose entry was asked for before it left the cache; "late" were asked for before they had
come. Traces do not say who made a request: all are made by one context.

    python benches/python/prefetch.py --cost

measures a call of `Predictor.observe` instead.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cli import listed, matches
from machine import headline, surroundings
from overdrive._core import Predictor, RequestTrace
from overdrive._simulate.objects import from_buffer
from workloads import TRACES, Workload, workloads

# Any table of successors is nearly perfect on these, which says nothing.
LEFT_OUT = frozenset({"p3", "loop", "gli", "corda_loop"})
CONTROLS = frozenset({"corda", "web12", "zipf_scan"})
MOST_LOST = 0.5  # points of the hit ratio, on a control
MOST_ISSUED = 0.05  # prefetches per request, on a control
LEAST_USED = 0.5  # of the prefetches, with delay 1
# By trace, size and delay: the least hit ratio in percent.
LEAST_HITS = {
    ("w106", 850, 1): 88.0,
    ("orm_busy", 1071, 1): 86.0,
    ("w106", 850, 8): 84.0,
    ("orm_busy", 1071, 8): 82.0,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One replay, beside the same without prefetching; ratios in percent, the rest per request or prefetch."""

    trace: str
    size: int
    delay: int
    none: float
    hits: float
    issued: float
    used: float
    late: float
    ns: float

    def __str__(self) -> str:
        told = f"{self.trace:<10}{self.size:>7}{self.delay:>6}{self.none:>8.2f}{self.hits:>8.2f}{self.issued:>9.4f}"
        return f"{told}{self.used:>7.3f}{self.late:>7.3f}{self.ns:>6.0f}"

    def verdicts(self) -> Iterator[tuple[bool, str]]:
        """The bars of this cell: whether each is kept, and what it is."""
        name = f"{self.trace}@{self.size}, delay {self.delay}"
        least = LEAST_HITS.get((self.trace, self.size, self.delay))
        if least is not None:
            yield self.hits >= least, f"{name}: hits {self.hits:.2f} % (at least {least:.0f})"
            if self.delay == 1:
                yield self.used >= LEAST_USED, f"{name}: used {self.used:.3f} (at least {LEAST_USED})"
        if self.trace in CONTROLS:
            lost = self.none - self.hits
            yield lost <= MOST_LOST, f"{name}: loses {lost:.2f} points (at most {MOST_LOST})"
            yield self.issued <= MOST_ISSUED, f"{name}: prefetches {self.issued:.4f} (at most {MOST_ISSUED})"


def measure(workload: Workload, requests: RequestTrace, size: int, delay: int) -> Cell:
    """Replay without and with prefetching."""
    count = len(requests)
    plain, *_ = requests.prefetch(size, delay, ahead=False)
    began = time.perf_counter_ns()
    hits, issued, used, _, late = requests.prefetch(size, delay)
    ns = (time.perf_counter_ns() - began) / count
    made = max(issued, 1)
    return Cell(
        workload.name,
        size,
        delay,
        none=plain / count * 100,
        hits=hits / count * 100,
        issued=issued / count,
        used=used / made,
        late=late / made,
        ns=ns,
    )


def cost(calls: int = 300_000) -> float:
    """Nanoseconds for a call of `observe`, of 64 contexts that each follow a pattern."""
    predictor = Predictor()
    requests = [(at % 64, at // 64 % 500 * 64 + at % 64) for at in range(calls)]
    observe = predictor.observe
    began = time.perf_counter_ns()
    for context, key in requests:
        observe(context, key, True)
    return (time.perf_counter_ns() - began) / calls


def main() -> int:
    """Measure, print and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--traces", type=Path, metavar="DIR", help=TRACES)
    parser.add_argument("--only", type=listed, default=["*"], metavar="PATTERN,...", help="of the names of traces")
    parser.add_argument("--delays", type=listed, default=["1", "8"], metavar="N,...", help="requests a load takes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar is missed")
    parser.add_argument("--cost", action="store_true", help="measure a call instead")
    options = parser.parse_args()

    place = surroundings()
    print(headline(place))
    if options.cost:
        print(f"observe: {min(cost() for _ in range(5)):.0f} ns")
        return 0
    print(f"{'trace':<10}{'size':>7}{'delay':>6}{'none':>8}{'hits':>8}{'per req.':>9}{'used':>7}{'late':>7}{'ns':>6}")
    cells = []
    for workload in workloads(options.traces, None):
        if workload.name in LEFT_OUT or not matches(workload.name, options.only):
            continue
        requests = from_buffer(memoryview(array("Q", workload.keys)))
        for size in workload.sizes:
            for delay in map(int, options.delays):
                cells.append(measure(workload, requests, size, delay))
                print(cells[-1], flush=True)

    judged = [verdict for cell in cells for verdict in cell.verdicts()]
    for kept, told in judged:
        print(f"  {'kept  ' if kept else 'MISSED'} {told}")
    if options.json is not None:
        rows = [asdict(cell) for cell in cells]
        options.json.write_text(json.dumps({"place": place, "rows": rows}, indent=1) + "\n", encoding="ascii")
    return 1 if options.check and not (judged and all(kept for kept, _ in judged)) else 0


if __name__ == "__main__":
    sys.exit(main())
