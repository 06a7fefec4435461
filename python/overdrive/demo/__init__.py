"""Replay real requests against a small shop: without a cache, with cachetools and with overdrive.

A recorded sequence of requests for product pages is served from an SQLite database that is made in a
temporary folder: one query and one rendered HTML page per request. All contenders serve the same
requests, in turns, and their pages are compared.

After that two processes serve the shop through a `TieredCache`, with a Redis of their own if redis-server is
installed, while prices change, one of the processes is killed, and Redis is: every page is compared with what the shop
shows, and must not be older than promised. Needs no network and about a minute.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from overdrive._progress import Progress
from overdrive.demo import instances, report
from overdrive.demo.contenders import Contender, contenders
from overdrive.demo.cost import cache_costs
from overdrive.demo.memory import ENTRIES, MemoryProbeError, bytes_per_entry
from overdrive.demo.options import add_arguments, cache_size, chosen_trace
from overdrive.demo.replay import Replay, clock_ns, replay_in_turns
from overdrive.demo.results import Place, Row, Run
from overdrive.demo.shop import Shop
from overdrive.demo.trace import Trace

__all__ = ("SUMMARY", "add_arguments", "run")

SUMMARY = "replay real requests: no cache, cachetools, overdrive; then two processes, while things fail"


def run(options: argparse.Namespace) -> int:
    """Replay, print what came out, and return the exit status: 1 if a page was wrong, or staler than promised.

    Raises:
        argparse.ArgumentError: if an argument does not fit the trace.
    """
    trace = chosen_trace(options)
    maxsize = cache_size(options, trace)
    progress = Progress(sys.stderr)
    document: dict[str, object] = {}
    is_right = True
    if not options.tiers_only:
        finished = _compare(trace, maxsize, progress, with_memory=not options.no_memory)
        is_right = not finished.differing_pages
        document = finished.document()
    if not options.no_tiers:
        if not options.tiers_only:
            print()
        outcome = instances.run(trace, maxsize, options.seconds, progress)
        is_right = is_right and outcome.is_right
        document["instances"] = outcome.document()
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")
    return 0 if is_right else 1


def _compare(trace: Trace, maxsize: int, progress: Progress, *, with_memory: bool) -> Run:
    place = Place.here()
    print(report.opening(place, trace, maxsize), flush=True)
    found = contenders()
    replayed = _replay(trace, found, maxsize, progress)
    costs = _costs(trace, found, replayed, progress, maxsize=maxsize)
    memory = _memory(found, progress) if with_memory else {}
    finished = Run(
        place=place,
        trace=trace.name,
        credit=trace.credit,
        requests=len(trace.requests),
        products=trace.products,
        cache_size=maxsize,
        clock_ns=clock_ns(),
        memory_entries=ENTRIES if memory else None,
        pages_sha256=replayed.digest,
        differing_pages={served.name: served.differing for served in replayed.served if served.differing},
        rows=[Row.of(served, costs.get(served.name), memory.get(served.name)) for served in replayed.served],
    )
    print(f"\n{report.closing(finished)}", flush=True)
    return finished


def _replay(trace: Trace, found: Sequence[Contender], maxsize: int, progress: Progress) -> Replay:
    with tempfile.TemporaryDirectory(prefix="overdrive-demo-") as folder:
        with progress.stage(f"Building a shop with {trace.products:,} products") as advance:
            shop = Shop(Path(folder) / "shop.sqlite", trace.products, advance=advance)
        with closing(shop):  # before the folder goes: Windows does not remove open files
            with progress.stage("Reading each page once, so that SQLite is warm") as advance:
                for product in range(trace.products):
                    shop.page(product)
                    advance(product / trace.products)
            title = f"Replaying {len(trace.requests):,} requests, {len(found)} contenders in turns"
            with progress.stage(title) as advance:
                return replay_in_turns(trace.requests, found, backend=shop, maxsize=maxsize, advance=advance)


def _costs(
    trace: Trace, found: Sequence[Contender], replayed: Replay, progress: Progress, *, maxsize: int
) -> Mapping[str, float]:
    miss_ratios = {served.name: served.miss_ratio for served in replayed.served}
    caches = [contender for contender in found if contender.package is not None]
    with progress.stage("Timing the caches alone") as advance:
        return cache_costs(trace.requests, caches, maxsize=maxsize, miss_ratios=miss_ratios, advance=advance)


def _memory(found: Sequence[Contender], progress: Progress) -> Mapping[str, float]:
    caches = [contender for contender in found if contender.package is not None]
    sizes = {}
    with progress.stage(f"Filling caches of {ENTRIES:,} in fresh processes") as advance:
        for done, contender in enumerate(caches):
            advance(done / len(caches))
            try:
                size = bytes_per_entry(contender, ENTRIES)
            except MemoryProbeError as error:
                print(f"\nmemory not measured: {error}", file=sys.stderr)
                continue
            if size is not None:
                sizes[contender.name] = size
    return sizes
