"""Memory per entry: the growth of a fresh process that fills one cache.

The child makes keys and values first and reads its resident memory then, so what is counted is the
cache alone. A process per figure, because an allocator that was used before hides growth.
"""

from __future__ import annotations

import argparse
import gc
import json
import operator
import os
import subprocess
import sys
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import loops
from contenders import CLASSES, DEFAULT, LOADERS, OURS, Contender, load
from machine import headline, surroundings

STATM = Path("/proc/self/statm")
KINDS = ("int", "str")
# The bar: bytes per entry of our LRUCache at 1,000,000 int -> int entries.
LRU_LIMIT = 64.0


class Figure(NamedTuple):
    """Bytes per entry of one class of one contender."""

    kind: str
    policy: str
    contender: str
    bytes_per_entry: float


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not STATM.exists():
        print("reads /proc/self/statm, which this system does not have", file=sys.stderr)
        return 2
    if options.child is not None:
        name, policy, kind = options.child
        print(bytes_per_entry(name, policy, kind, options.entries))
        return 0
    contenders, missing = load(options.contenders)
    for name in missing:
        print(f"not installed, left out: {name}", file=sys.stderr)
    place = surroundings()
    print(headline(place))
    print(f"Bytes per entry at {options.entries:,} entries; x: relative to {options.subject}.")
    figures = []
    for kind in options.kinds:
        figures += _measure(kind, contenders, options)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "machine": place,
            "entries": options.entries,
            "figures": [figure._asdict() for figure in figures],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return _check(figures, options.subject) if options.check else 0


def bytes_per_entry(name: str, policy: str, kind: str, entries: int) -> float:
    """Fill one cache in this process and return its growth per entry."""
    (contender,), _ = load([name])
    keys, values = _contents(kind, entries)
    store = _store(contender, contender.build(policy, entries))
    gc.collect()
    before = _resident()
    for key, value in zip(keys, values, strict=True):
        store(key, value)
    gc.collect()
    return (_resident() - before) / entries


def _contents(kind: str, entries: int) -> tuple[list[Hashable], list[object]]:
    numbers = range(entries, 2 * entries)
    if kind == "int":
        return list(numbers), list(range(entries))
    return [f"user:{number}" for number in numbers], [b"value of %d" % number for number in numbers]


def _store(contender: Contender, cache: object) -> Callable[[Hashable, object], object]:
    if contender.form == "mapping":
        return partial(operator.setitem, cast("loops.Cache", cache))
    if contender.form == "methods":
        return cast("loops.MethodCache", cache).set
    call = cast("loops.Function", cache)
    return lambda key, _: call(key)


def _resident() -> int:
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _measure(kind: str, contenders: Sequence[Contender], options: argparse.Namespace) -> list[Figure]:
    figures = []
    print(f"\n{kind + (' -> int' if kind == 'int' else ' -> bytes'):16}", end="")
    print("".join(f"{contender.name:>20}" for contender in contenders))
    for policy in options.classes:
        row = {
            contender.name: _in_child(contender.name, policy, kind, options.entries)
            for contender in contenders
            if policy in contender.recipes
        }
        figures += [Figure(kind, policy, name, size) for name, size in row.items()]
        ours = row.get(options.subject)
        cells = [_cell(row.get(contender.name), ours) for contender in contenders]
        print(f"{policy:16}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
    return figures


def _in_child(name: str, policy: str, kind: str, entries: int) -> float:
    command = [sys.executable, __file__, "--child", name, policy, kind, "--entries", str(entries)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _cell(size: float | None, ours: float | None) -> str:
    if size is None:
        return "-"
    return f"{size:.1f}" if not ours else f"{size:.1f} {size / ours:5.2f}x"


def _check(figures: Sequence[Figure], subject: str) -> int:
    size = next(
        (
            figure.bytes_per_entry
            for figure in figures
            if (figure.kind, figure.policy, figure.contender) == ("int", "LRU", subject)
        ),
        None,
    )
    if size is None:
        print(f"\nFAIL  {subject} LRU int -> int was not measured")
        return 1
    passed = size <= LRU_LIMIT
    print(f"\n{'PASS' if passed else 'FAIL'}  LRU int -> int <= {LRU_LIMIT:.0f} bytes per entry: {size:.1f}")
    return 0 if passed else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--classes", nargs="+", choices=CLASSES, default=list(CLASSES))
    parser.add_argument("--contenders", nargs="+", choices=list(LOADERS), default=list(DEFAULT))
    parser.add_argument("--subject", default=OURS, help="whom the ratios and the bar are about")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--check", action="store_true", help="exit 1 if the bar is missed")
    parser.add_argument("--child", nargs=3, metavar=("CONTENDER", "CLASS", "KIND"), help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
