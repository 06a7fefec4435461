"""Traces for the hit ratio benches: those in a folder, or generated ones of the same families."""

from __future__ import annotations

import bisect
import itertools
import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ("TRACES", "Workload", "workloads")

TRACES = "a folder of .npz (default: that of OVERDRIVE_TRACES, or else generated ones)"

# Of the different keys: what a trace is replayed at, unless a reference.json beside it says otherwise.
SHARES = (0.005, 0.02, 0.08, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class Workload:
    """A sequence of requests and the sizes to replay it at."""

    name: str
    keys: list[int]
    sizes: list[int]


def workloads(folder: Path | None, limit: int | None) -> Iterator[Workload]:
    """Each workload in turn, cut to its first `limit` requests.

    Raises:
        FileNotFoundError: if a folder is named that has no .npz in it.
    """
    source = os.environ.get("OVERDRIVE_TRACES") if folder is None else folder
    made = _generated() if source is None else _recorded(Path(source))
    for name, keys, sizes in made:
        cut = keys[:limit]
        yield Workload(name, cut, sizes or _sizes(cut))


def _sizes(keys: Sequence[int]) -> list[int]:
    different = len(set(keys))
    return sorted({max(1, round(different * share)) for share in SHARES})


def _recorded(folder: Path) -> Iterator[tuple[str, list[int], list[int]]]:
    import numpy as np

    files = sorted(folder.glob("*.npz"))
    if not files:
        raise FileNotFoundError(f"{folder} has no .npz")
    reference = folder / "reference.json"
    known = json.loads(reference.read_text())["traces"] if reference.exists() else {}
    for file in files:
        sizes = [int(size) for size in known.get(file.stem, {}).get("sizes", ())]
        yield file.stem, np.load(file)["keys"].tolist(), sizes


def _generated() -> Iterator[tuple[str, list[int], list[int]]]:
    draw = random.Random(42)
    zipf = _zipf(draw, 50_000, 0.9)
    scan = itertools.count(1_000_000)
    yield "zipf", [next(zipf) for _ in range(300_000)], []
    yield "zipf_scan", [next(scan) if at % 20_000 < 4000 else next(zipf) for at in range(300_000)], []
    yield "loop", [at % 5000 for at in range(150_000)], []
    # Each key twice, soon after one another, and then never again.
    yield "recency", [at // 2 + (at % 2) * draw.randrange(40) for at in range(150_000)], []
    phases = [next(zipf) if at // 50_000 % 2 else 2_000_000 + at % 4000 for at in range(300_000)]
    yield "phases", phases, []
    yield "drift", [next(zipf) // 10 + at // 20 for at in range(300_000)], []


def _zipf(draw: random.Random, keys: int, exponent: float) -> Iterator[int]:
    """Keys in no order, the n-th most popular requested in proportion to n ** -exponent."""
    names = list(range(keys))
    draw.shuffle(names)
    sums = list(itertools.accumulate(rank**-exponent for rank in range(1, keys + 1)))
    while True:
        yield names[bisect.bisect(sums, draw.random() * sums[-1])]
