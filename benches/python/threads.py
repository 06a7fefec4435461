"""Operations per second of all threads together on one shared cache.

cachetools is not thread-safe, so it runs as its documentation says: with a lock around each access.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import loops
import workload
from contenders import CLASSES, DEFAULT, Contender, load
from feeds import FILLERS
from loops import Cache, Loop
from machine import headline, surroundings
from operations import SMALL
from workload import Keys

# What one turn should last: many times the 5 ms after which CPython hands over the GIL.
TURN_SECONDS = 0.15
WORKLOADS = ("hits", "zipf")


class Shared(NamedTuple):
    """One cache and the work that every thread does on it."""

    name: str
    work: Callable[[Keys], None]
    orders: Sequence[Keys]
    passes: int


class Figure(NamedTuple):
    """Millions of operations per second, one figure per round."""

    workload: str
    contender: str
    threads: int
    mops: list[float]


def getitem_locked(cache: Cache, lock: threading.Lock, keys: Keys) -> None:
    for key in keys:
        with lock:
            cache[key]


def get_or_set_locked(cache: Cache, lock: threading.Lock, keys: Keys) -> None:
    for key in keys:
        with lock:
            value = cache.get(key)
        if value is None:
            with lock:
                cache[key] = key


PLAIN: dict[str, dict[str, Loop]] = {
    "hits": {"mapping": loops.getitem, "call": loops.call},
    "zipf": {"mapping": loops.get_or_set, "call": loops.call},
}
LOCKED: dict[str, Loop] = {"hits": getitem_locked, "zipf": get_or_set_locked}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    contenders, missing = load(options.contenders)
    for name in missing:
        print(f"not installed, left out: {name}", file=sys.stderr)
    place = surroundings()
    print(headline(place))
    print(f"{options.policy}, {SMALL} entries, Mops/s of all threads together: median of {options.rounds}")
    figures = []
    for name in options.workloads:
        subjects = [_share(one, options.policy, name) for one in contenders if options.policy in one.recipes]
        figures += _measure(name, subjects, options.threads, options.rounds)
        _print_table(name, [figure for figure in figures if figure.workload == name], options.threads)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"machine": place, "figures": [figure._asdict() for figure in figures]}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _share(contender: Contender, policy: str, name: str) -> Shared:
    """Build the cache, and find out how many passes fill a turn."""
    cache = contender.build(policy, SMALL)
    if name == "hits":
        orders = workload.shuffled_orders("int", SMALL)
        FILLERS[contender.form](cache, orders[0])
    else:
        orders = workload.zipf_sequences("int", SMALL)
    work = _work(contender, cache, name)
    work(orders[0])
    start = perf_counter()
    for keys in orders:
        work(keys)
    seconds = (perf_counter() - start) / len(orders)
    label = "cachetools+Lock" if contender.name == "cachetools" else contender.name
    return Shared(label, work, orders, max(1, round(TURN_SECONDS / seconds)))


def _work(contender: Contender, cache: object, name: str) -> Callable[[Keys], None]:
    if contender.name == "cachetools":
        locked, lock = loops.fresh(LOCKED[name]), threading.Lock()
        return lambda keys: locked(cache, lock, keys)
    loop = loops.fresh(PLAIN[name][contender.form])
    return lambda keys: loop(cache, keys)


def _measure(name: str, subjects: Sequence[Shared], counts: Sequence[int], rounds: int) -> list[Figure]:
    figures = [Figure(name, shared.name, count, []) for shared in subjects for count in counts]
    by_key = {(figure.contender, figure.threads): figure for figure in figures}
    for _ in range(rounds):
        for count in counts:
            for shared in subjects:
                by_key[shared.name, count].mops.append(_turn(shared, count))
    return figures


def _turn(shared: Shared, threads: int) -> float:
    """Let the threads share the passes of one turn; return millions of operations per second."""
    passes = max(1, shared.passes // threads)
    barrier = threading.Barrier(threads)
    starts, ends = [0.0] * threads, [0.0] * threads

    def run(number: int) -> None:
        # Each thread asks in its own order, or they would meet at the same key all the time.
        keys = shared.orders[number % len(shared.orders)]
        work = shared.work
        barrier.wait()
        starts[number] = perf_counter()
        for _ in range(passes):
            work(keys)
        ends[number] = perf_counter()

    workers = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return threads * passes * len(shared.orders[0]) / (max(ends) - min(starts)) / 1e6


def _print_table(name: str, figures: Sequence[Figure], counts: Sequence[int]) -> None:
    title = "hits: c[k]" if name == "hits" else "zipf: get, set if absent"
    print(f"\n{title:28}" + "".join(f"{f'{count} thr.':>12}" for count in counts))
    for contender in dict.fromkeys(figure.contender for figure in figures):
        mine = {figure.threads: figure.mops for figure in figures if figure.contender == contender}
        print(f"{contender:28}" + "".join(f"{statistics.median(mine[count]):>12.2f}" for count in counts))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = (*DEFAULT, "lru-dict")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--policy", choices=CLASSES, default="LRU", help="the class that is shared")
    parser.add_argument("--contenders", nargs="+", choices=names, default=list(DEFAULT))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
