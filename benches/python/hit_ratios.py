"""Which cache hits most often, and what does a request cost? All replay the same requests, in turns.

    python benches/python/hit_ratios.py [--traces DIR] [--requests N] [--rounds N] [--json FILE] [--check]

A request is `get`, and `set` if that finds nothing. A policy of ours without a class would be replayed
by `overdrive.simulate`, which gives its hits but no time.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import geometric_mean, mean
from typing import Protocol

import overdrive
from cli import listed, matches, positive
from loops import fresh
from machine import headline, surroundings
from overdrive import _core
from overdrive._simulate.objects import from_buffer
from workloads import TRACES, Workload, workloads

OURS = "overdrive"
SUBJECT = f"{OURS} adaptive"
LEAST_KEYS = 100  # smaller caches are not judged: moka-py holds more than its limit there
WORST = 1.5  # points below the best of the others in any cell that is judged
CLASSES = {"fifo": "FIFOCache", "lru": "LRUCache", "lfu": "LFUCache", "random": "RRCache"}
OUR_CLASSES = {
    **CLASSES,
    "sieve": "SieveCache",
    "2q": "TwoQCache",
    "s3fifo": "S3FIFOCache",
    "arc": "ARCCache",
    "lirs": "LIRSCache",
    "wtinylfu": "WTinyLFUCache",
    "adaptive": "AdaptiveCache",
}


class Mapping(Protocol):
    """A cache that stores by subscription."""

    def get(self, key: int, /) -> object: ...  # noqa: D102
    def __setitem__(self, key: int, value: bool, /) -> None: ...


class Methods(Protocol):
    """A cache that stores by a method."""

    def get(self, key: int, /) -> object: ...  # noqa: D102
    def set(self, key: int, value: bool, /) -> object: ...  # noqa: D102


class Pairs(Protocol):
    """A cache that gives a value and whether it was there."""

    def get(self, key: int, /) -> tuple[object, bool]: ...  # noqa: D102
    def set(self, key: int, value: bool, /) -> object: ...  # noqa: D102


def through_mapping(cache: Mapping, keys: Sequence[int]) -> int:
    """Count hits."""
    hits = 0
    get = cache.get
    for key in keys:
        if get(key) is None:
            cache[key] = True
        else:
            hits += 1
    return hits


def through_methods(cache: Methods, keys: Sequence[int]) -> int:
    """Count hits."""
    hits = 0
    get, put = cache.get, cache.set
    for key in keys:
        if get(key) is None:
            put(key, True)
        else:
            hits += 1
    return hits


def through_pairs(cache: Pairs, keys: Sequence[int]) -> int:
    """Count hits."""
    hits = 0
    get, put = cache.get, cache.set
    for key in keys:
        if get(key)[1]:
            hits += 1
        else:
            put(key, True)
    return hits


@dataclass(slots=True)
class Entrant:
    """A policy of a library, and what it did in each cell."""

    name: str
    make: Callable[[int], object] | None
    replay: Callable[..., int] = through_mapping
    hit_ratios: dict[tuple[str, int], float] = field(default_factory=dict)
    times: dict[tuple[str, int], float] = field(default_factory=dict)

    @property
    def library(self) -> str:
        """The part of the name that is the library's."""
        return self.name.partition(" ")[0]


def entrants() -> tuple[list[Entrant], list[str]]:
    """All policies of all libraries that are installed, and which libraries are not."""
    found, missing = [*_ours()], []
    for library, load in {
        "cachetools": _cachetools,
        "cachebox": _cachebox,
        "theine": _theine,
        "moka-py": _moka,
    }.items():
        try:
            found += load()
        except ModuleNotFoundError:
            missing.append(library)
    return found, missing


def _ours() -> list[Entrant]:
    modern = getattr(overdrive, "MemoryCache", None)

    def maker(policy: str) -> Callable[[int], object] | None:
        if modern is not None:
            return lambda size: modern(size, policy=policy)
        return getattr(overdrive, OUR_CLASSES[policy]) if policy in OUR_CLASSES else None

    return [Entrant(f"{OURS} {policy}", maker(policy)) for policy in _core.policies() if policy != "opt"]


def _cachetools() -> list[Entrant]:
    cachetools = importlib.import_module("cachetools")
    return [Entrant(f"cachetools {policy}", getattr(cachetools, name)) for policy, name in CLASSES.items()]


def _cachebox() -> list[Entrant]:
    cachebox = importlib.import_module("cachebox")
    return [Entrant(f"cachebox {policy}", getattr(cachebox, name)) for policy, name in CLASSES.items()]


def _theine() -> list[Entrant]:
    theine = importlib.import_module("theine")
    return [Entrant("theine", theine.Cache, through_pairs)]


def _moka() -> list[Entrant]:
    moka_py = importlib.import_module("moka_py")

    def maker(policy: str) -> Callable[[int], object]:
        return lambda size: moka_py.Moka(size, policy=policy)

    return [Entrant(f"moka-py {policy}", maker(policy), through_methods) for policy in ("lru", "tiny_lfu")]


def replay(workload: Workload, size: int, taking_part: Sequence[Entrant], rounds: int) -> None:
    """Let all replay a workload, in an order that rotates from round to round."""
    cell = workload.name, size
    requests = from_buffer(memoryview(array("Q", workload.keys)))
    for entrant in taking_part:
        if entrant.make is None:
            hits, _, _ = requests.replay(entrant.name.partition(" ")[2], size, 0)
            entrant.hit_ratios[cell] = hits / len(requests) * 100
    timed = [entrant for entrant in taking_part if entrant.make is not None]
    for turn in range(rounds):
        first = turn % len(timed)
        for entrant in (*timed[first:], *timed[:first]):
            assert entrant.make is not None
            cache, run = entrant.make(size), fresh(entrant.replay)
            began = time.perf_counter_ns()
            hits = run(cache, workload.keys)
            taken = (time.perf_counter_ns() - began) / len(workload.keys)
            entrant.hit_ratios[cell] = hits / len(workload.keys) * 100
            entrant.times[cell] = min(taken, entrant.times.get(cell, taken))


def verdicts(found: Sequence[Entrant], subject: Entrant) -> list[tuple[bool, str]]:
    """Judge our policy against everyone else's: more hits, never far fewer, and faster."""
    others = [entrant for entrant in found if entrant.library != OURS]
    ours = mean(subject.hit_ratios.values())
    judged = []
    for other in others:
        theirs = mean(other.hit_ratios.values())
        judged.append((ours > theirs, f"mean hit ratio {ours:.2f} %, {other.name} {theirs:.2f} %"))
        if subject.times:
            ratio = geometric_mean(subject.times[cell] / other.times[cell] for cell in other.times)
            judged.append((ratio < 1, f"time / that of {other.name}: {ratio:.2f}"))
    gaps = {
        cell: max(other.hit_ratios[cell] for other in others) - mine
        for cell, mine in subject.hit_ratios.items()
        if cell[1] >= LEAST_KEYS
    }
    worst = max(gaps, key=lambda cell: gaps[cell])
    told = f"farthest below the best of the others: {gaps[worst]:.2f} points, {worst[0]} at {worst[1]}"
    judged.append((gaps[worst] <= WORST, told))
    return judged


def _summary(found: Sequence[Entrant]) -> str:
    lines = [f"{'':<22}{'mean hit ratio, %':>18}{'ns / request':>14}"]
    for entrant in sorted(found, key=lambda entrant: -mean(entrant.hit_ratios.values())):
        taken = f"{geometric_mean(entrant.times.values()):.0f}" if entrant.times else "-"
        lines.append(f"{entrant.name:<22}{mean(entrant.hit_ratios.values()):>18.2f}{taken:>14}")
    return "\n".join(lines)


def main() -> int:
    """Measure, print and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--traces", type=Path, metavar="DIR", help=TRACES)
    parser.add_argument("--requests", type=positive, metavar="N", help="only the first N of each trace")
    parser.add_argument("--rounds", type=positive, default=1)
    parser.add_argument("--only", type=listed, default=["*"], metavar="PATTERN,...", help="of the names of traces")
    parser.add_argument("--subject", default=SUBJECT, help=f"the policy that is judged (default: {SUBJECT})")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar is missed")
    options = parser.parse_args()

    found, missing = entrants()
    place = surroundings()
    print(headline(place))
    if missing:
        print(f"Not installed: {', '.join(missing)}")
    gc.disable()
    for workload in workloads(options.traces, options.requests):
        if not matches(workload.name, options.only):
            continue
        for size in workload.sizes:
            replay(workload, size, found, options.rounds)
            cell = workload.name, size
            best = sorted(found, key=lambda entrant: -entrant.hit_ratios[cell])[:3]
            told = ", ".join(f"{entrant.name} {entrant.hit_ratios[cell]:.2f}" for entrant in best)
            print(f"{workload.name}@{size}: {told}", flush=True)
    print(f"\n{_summary(found)}\n")

    subject = next((entrant for entrant in found if entrant.name == options.subject), None)
    judged = [] if subject is None else verdicts(found, subject)
    print(f"{options.subject}{' is not there' if subject is None else ':'}")
    for kept, told in judged:
        print(f"  {'kept  ' if kept else 'MISSED'} {told}")
    if options.json is not None:
        rows = [
            {
                "entrant": entrant.name,
                "trace": name,
                "size": size,
                "hit_ratio": ratio,
                "ns": entrant.times.get((name, size)),
            }
            for entrant in found
            for (name, size), ratio in entrant.hit_ratios.items()
        ]
        options.json.write_text(json.dumps({"place": place, "rows": rows}, indent=1) + "\n", encoding="ascii")
    return 1 if options.check and not (judged and all(kept for kept, _ in judged)) else 0


if __name__ == "__main__":
    sys.exit(main())
