"""What does a simulated request cost? Requests per second of every policy, in turns, in one process.

python benches/python/simulate.py [--traces DIR] [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from array import array
from pathlib import Path
from statistics import geometric_mean

from cli import positive
from machine import headline, surroundings
from overdrive import _core
from overdrive._simulate.objects import from_buffer
from workloads import TRACES, workloads


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--traces", type=Path, metavar="DIR", help=TRACES)
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    place = surroundings()
    print(headline(place))
    print("Million requests a second, the best of the rounds: fastest and slowest size of each trace.\n")
    policies = _core.policies()
    print(f"{'trace':<12}{'numbering':>11}" + "".join(f"{policy:>13}" for policy in policies))
    best: dict[str, list[float]] = {policy: [] for policy in policies}
    for workload in workloads(options.traces, None):
        keys = array("Q", workload.keys)
        began = time.perf_counter()
        trace = from_buffer(memoryview(keys))
        numbering = len(trace) / (time.perf_counter() - began) / 1e6
        rates: dict[str, dict[int, float]] = {policy: {} for policy in policies}
        for _ in range(options.rounds):
            for size in workload.sizes:
                for policy in policies:
                    _, _, nanoseconds = trace.replay(policy, size, 0)
                    rate = len(trace) / max(1, nanoseconds) * 1e3
                    rates[policy][size] = max(rate, rates[policy].get(size, 0.0))
        for policy in policies:
            best[policy] += rates[policy].values()
        cells = [f"{max(row.values()):.0f} - {min(row.values()):.0f}" for row in rates.values()]
        print(f"{workload.name:<12}{numbering:>11.0f}" + "".join(f"{cell:>13}" for cell in cells), flush=True)
    print(f"{'mean':<23}" + "".join(f"{geometric_mean(best[policy]):>13.0f}" for policy in policies))
    if options.json is not None:
        means = {policy: geometric_mean(rates) for policy, rates in best.items()}
        document = {"place": place, "millions_per_second": means}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
