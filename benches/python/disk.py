"""What an operation on disk costs: the disk tier, bare apsw, and diskcache, turn by turn.

Bare apsw is one connection, one table of keys and blobs, one statement each: what SQLite itself costs, without expiry,
versions, limits, shards, or a thought about errors.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import apsw

from cli import listed, positive
from machine import headline, surroundings
from overdrive._tiers.l3.tier import DiskTier

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

SIZES = {"100 B": 100, "1 kB": 1000, "10 kB": 10_000, "100 kB": 100_000}
KEYS = 2000
MIX_OPERATIONS = 300_000


class Disk(Protocol):
    """What is measured."""

    def get(self, key: bytes) -> object:
        """Read."""

    def put(self, key: bytes, blob: bytes) -> object:
        """Write."""


class Bare:
    """SQLite alone."""

    def __init__(self, path: Path) -> None:
        path.mkdir(exist_ok=True)
        connection = apsw.Connection(str(path / "bare.db"))
        connection.set_busy_timeout(5000)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE IF NOT EXISTS entry(key BLOB PRIMARY KEY, blob BLOB)")
        self._execute = connection.cursor().execute

    def get(self, key: bytes) -> object:
        """Read."""
        return self._execute("SELECT blob FROM entry WHERE key = ?", (key,)).fetchall()

    def put(self, key: bytes, blob: bytes) -> object:
        """Write."""
        sql = "INSERT INTO entry VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET blob = excluded.blob"
        return self._execute(sql, (key, blob))


class Peer:
    """diskcache, as its documentation uses it."""

    def __init__(self, path: Path) -> None:
        cache: Any = importlib.import_module("diskcache").Cache(str(path))
        self.get = cache.get
        self.put = cache.set


MAKERS: dict[str, Callable[[Path], Disk]] = {
    "overdrive": lambda path: DiskTier(path, engine="apsw", busy_timeout=5),
    "overdrive-sqlite3": lambda path: DiskTier(path, engine="sqlite3", busy_timeout=5),
    "apsw": Bare,
    "diskcache": Peer,
}


class Figure(NamedTuple):
    """Microseconds per operation, one figure per round."""

    operation: str
    size: str
    contender: str
    micros: list[float]

    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.micros)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    names = [name for name in options.contenders if name != "diskcache" or _has_diskcache()]
    place = surroundings()
    print(headline(place))
    print(f"microseconds per operation, median of {options.rounds} turns; in brackets: the ratio to bare apsw")
    print(f"{'':22}" + "".join(f"{name:>24}" for name in names))
    figures: list[Figure] = []
    for size in options.sizes:
        for operation, found in _sized(names, size, options.rounds).items():
            figures += found
            _print(f"{operation} {size}", found)
    for processes in (1, 2):
        found = _mixed(names, processes, max(3, options.rounds // 4))
        figures += found
        _print(found[0].operation, found)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"machine": place, "figures": [figure._asdict() for figure in figures]}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return _judge(figures) if options.check else 0


def _sized(names: Sequence[str], size: str, rounds: int) -> dict[str, list[Figure]]:
    """Measure writes of new keys, writes over old ones, and reads."""
    chance = random.Random(1)
    blobs = [os.urandom(SIZES[size]) for _ in range(64)]
    keys = [b"user:%d" % number for number in range(KEYS if SIZES[size] < 50_000 else KEYS // 10)]
    figures = {operation: [Figure(operation, size, name, []) for name in names] for operation in ("new", "set", "get")}
    with tempfile.TemporaryDirectory() as folder:
        disks = [MAKERS[name](Path(folder) / name) for name in names]
        for disk in disks:
            for key in keys:
                disk.put(key, blobs[0])
        fresh = 0
        for turn in range(rounds):
            count = max(20, len(keys) // 4)
            chosen = chance.sample(keys, count)
            added = [b"new:%d" % number for number in range(fresh, fresh + count)]
            fresh += count
            for position, disk in enumerate(disks):
                figures["new"][position].micros.append(_time_puts(disk, added, blobs, turn))
                figures["set"][position].micros.append(_time_puts(disk, chosen, blobs, turn + 1))
                figures["get"][position].micros.append(_time_gets(disk, chosen))
        for disk in disks:
            if isinstance(disk, DiskTier):
                disk.close()
    return figures


def _time_puts(disk: Disk, keys: Sequence[bytes], blobs: Sequence[bytes], turn: int) -> float:
    put = disk.put
    start = perf_counter()
    for number, key in enumerate(keys, turn):
        put(key, blobs[number & 63])
    return (perf_counter() - start) / len(keys) * 1e6


def _time_gets(disk: Disk, keys: Sequence[bytes]) -> float:
    get = disk.get
    start = perf_counter()
    for key in keys:
        get(key)
    return (perf_counter() - start) / len(keys) * 1e6


def _mixed(names: Sequence[str], processes: int, rounds: int) -> list[Figure]:
    """Nine reads to one write of 1 kB, by so many processes at once on one directory."""
    label = f"90/10, {processes} proc."
    figures = [Figure(label, "1 kB", name, []) for name in names]
    context = multiprocessing.get_context("spawn")
    for turn in range(rounds):
        for position, name in enumerate(names):
            with tempfile.TemporaryDirectory() as folder:
                disk = MAKERS[name](Path(folder) / name)
                for number in range(KEYS):
                    disk.put(b"user:%d" % number, b"v" * 1000)
                barrier, results = context.Barrier(processes), context.Queue()
                workers = [
                    context.Process(target=_mix, args=(name, folder, turn * 10 + worker, barrier, results))
                    for worker in range(processes)
                ]
                for worker in workers:
                    worker.start()
                seconds = max(results.get(timeout=120) for _ in workers)
                for worker in workers:
                    worker.join(60)
                figures[position].micros.append(seconds / (MIX_OPERATIONS * processes) * 1e6)
                if isinstance(disk, DiskTier):
                    disk.close()
    return figures


def _mix(name: str, folder: str, seed: int, barrier: Barrier, results: Queue[float]) -> None:
    disk = MAKERS[name](Path(folder) / name)
    chance = random.Random(seed)
    requests = [(b"user:%d" % chance.randrange(KEYS), chance.random() < 0.1) for _ in range(MIX_OPERATIONS)]
    blobs = [os.urandom(1000) for _ in range(64)]
    disk.get(requests[0][0])
    barrier.wait(60)
    start = perf_counter()
    for number, (key, writes) in enumerate(requests):
        if writes:
            disk.put(key, blobs[number & 63])
        else:
            disk.get(key)
    results.put(perf_counter() - start)


def _print(label: str, figures: Sequence[Figure]) -> None:
    medians = {figure.contender: figure.median() for figure in figures}
    base = medians.get("apsw")
    cells = (
        f"{median:10.2f}" + (f" ({median / base:5.2f})" if base is not None else "") for median in medians.values()
    )
    print(f"{label:22}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


def _judge(figures: Sequence[Figure]) -> int:
    medians = {(figure.operation, figure.size, figure.contender): figure.median() for figure in figures}
    verdicts = []
    for operation in ("new", "set", "get"):
        ours, base = (medians.get((operation, "1 kB", name)) for name in ("overdrive", "apsw"))
        if ours is not None and base is not None:
            verdicts.append((f"{operation} 1 kB at most twice bare apsw", ours / base, ours <= 2 * base))
    for operation in sorted({figure.operation for figure in figures if figure.operation.startswith("90")}):
        ours, peer = (medians.get((operation, "1 kB", name)) for name in ("overdrive", "diskcache"))
        if ours is not None and peer is not None:
            verdicts.append((f"{operation} three times as fast as diskcache", peer / ours, peer >= 3 * ours))
    for text, ratio, good in verdicts:
        print(f"{'ok  ' if good else 'MISS'} {text}: {ratio:.2f}")
    return 0 if all(good for _, _, good in verdicts) else 1


def _has_diskcache() -> bool:
    try:
        importlib.import_module("diskcache")
    except ImportError:
        print("not installed, left out: diskcache", file=sys.stderr)
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--contenders", type=listed, default=list(MAKERS), help="comma-separated names")
    parser.add_argument("--sizes", type=listed, default=list(SIZES), help="comma-separated, of: " + ", ".join(SIZES))
    parser.add_argument("--rounds", type=positive, default=20, help="turns of each contender (default: 20)")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--check", action="store_true", help="judge the bars; exit 1 if one is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
