"""Count the processor's instructions per hit of overdrive.memoize and functools.lru_cache, under valgrind.

Counts do not depend on the load of the machine, and hardly on the machine: they tell a change of one per cent from
none, where times do not. They are blind to what an instruction costs; decorators.py is the one to quote speed from.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import loops
import workload
from cli import listed, matches
from loops import Function
from machine import headline, surroundings
from shapes import SHAPES

ENTRIES = 1_000
# Passes over the entries. Start-up, filling and warming up are the same in both runs, so their difference is calls.
FEW, MANY = 20, 120
COUNTED = ("none", "int", "str", "pair", "keyword")
MEMOIZE, LRU_CACHE, EMPTY = "memoize", "lru_cache", "empty"
# The bar: instructions of a hit of memoize divided by those of lru_cache, without the loop.
LIMIT = 0.6

COLLECTED = re.compile(r"Collected : (\d+)")
# What else is in the environment moves the stack and the start-up; these are needed to find the libraries.
KEPT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "SYSTEMROOT")


class Figure(NamedTuple):
    """Instructions per call of one shape, with the loop around the call and in it."""

    shape: str
    memoize: float
    lru_cache: float
    loop: float

    @property
    def ratio(self) -> float:
        """Of the calls alone."""
        return (self.memoize - self.loop) / (self.lru_cache - self.loop)

    @property
    def ratio_with_loop(self) -> float:
        """Of what a timer would see."""
        return self.memoize / self.lru_cache


class CountingError(Exception):
    """A child did not do its work; the message is what it printed."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.child is not None:
        contender, shape, passes = options.child
        work(contender, shape, int(passes))
        return 0
    if shutil.which("valgrind") is None:
        print("needs valgrind (Debian, Ubuntu: `apt install valgrind`)", file=sys.stderr)
        return 2
    place = surroundings()
    print(headline(place))
    print("Instructions per hit: of the call alone, and with the loop around it.\n")
    print(f"{'':10}" + "".join(f"{title:>11}" for title in (MEMOIZE, LRU_CACHE, "ratio", "+ loop", "+ loop", "ratio")))
    figures = []
    try:
        loop = count(EMPTY, COUNTED[0])
        for shape in COUNTED:
            if matches(shape, options.only):
                figures.append(Figure(shape, count(MEMOIZE, shape), count(LRU_CACHE, shape), loop))
                print(_line(figures[-1]), flush=True)
    except CountingError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"\nThe loop alone: {loop:.1f}.")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"machine": place, "figures": [figure._asdict() for figure in figures]}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return _check(figures) if options.check else 0


def count(contender: str, shape: str) -> float:
    """Instructions per call, with the loop."""
    few, many = (_in_child(contender, shape, passes) for passes in (FEW, MANY))
    return (many - few) / ((MANY - FEW) * ENTRIES)


def work(contender: str, shape: str, passes: int) -> None:
    """What a child does: calls of one shape, all of them hits."""
    loop, function, kind = SHAPES[shape]
    if contender == EMPTY:
        loop = loops.nothing
    else:
        function = _decorated(contender, function)
    keys = workload.resident_keys(kind, ENTRIES)
    # By now the loop's bytecode is specialised, too.
    for _ in range(FEW):
        loop(function, keys)
    misses = _misses(function)
    gc.disable()
    for _ in range(passes):
        loop(function, keys)
    if _misses(function) != misses:
        sys.exit(f"{contender} does not keep {ENTRIES} results")


def _decorated(contender: str, function: Function) -> Function:
    if contender == LRU_CACHE:
        return functools.lru_cache(ENTRIES)(function)
    return cast("Function", importlib.import_module("overdrive").memoize(ENTRIES)(function))


def _misses(function: Function) -> int | None:
    info = getattr(function, "cache_info", None)
    return info().misses if callable(info) else None


def _in_child(contender: str, shape: str, passes: int) -> int:
    child = [sys.executable, "-s", __file__, "--child", contender, shape, str(passes)]
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    # A str's hash decides how many slots of a table are looked at.
    environment |= {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}"]
        done = subprocess.run([*valgrind, *child], env=environment, capture_output=True, text=True, check=False)
        collected = COLLECTED.search(log.read_text()) if log.exists() else None
    if done.returncode != 0 or collected is None:
        raise CountingError(f"{contender} {shape} failed under valgrind:\n{done.stderr.strip()}")
    return int(collected[1])


def _line(figure: Figure) -> str:
    counts = (
        f"{figure.memoize - figure.loop:>11.1f}{figure.lru_cache - figure.loop:>11.1f}{figure.ratio:>11.3f}",
        f"{figure.memoize:>11.1f}{figure.lru_cache:>11.1f}{figure.ratio_with_loop:>11.3f}",
    )
    return f"{figure.shape:10}" + "".join(counts)


def _check(figures: Sequence[Figure]) -> int:
    print()
    for figure in figures:
        word = "PASS" if figure.ratio <= LIMIT else "FAIL"
        print(f"{word}  {figure.shape} <= {LIMIT:.2f} x {LRU_CACHE}: {figure.ratio:.3f}")
    return 0 if all(figure.ratio <= LIMIT for figure in figures) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--only",
        type=listed,
        default=["*"],
        help=f"patterns, comma-separated, of:\n{', '.join(COUNTED)}",
        metavar="SHAPES",
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--check", action="store_true", help="exit 1 if the bar is missed")
    parser.add_argument("--child", nargs=3, metavar=("CONTENDER", "SHAPE", "PASSES"), help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
