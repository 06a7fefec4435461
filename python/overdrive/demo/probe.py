"""A fresh process of memory.py: fills one contender's cache and prints its growth in bytes per entry."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from overdrive.demo.contenders import Contender, contenders
from overdrive.demo.memory import resident

__all__ = ("growth", "main")

PAGE = b"a page"


def main(arguments: Sequence[str]) -> None:
    """Print the figure for the contender and the number of entries that are named."""
    name, entries = arguments
    contender = next(contender for contender in contenders() if contender.name == name)
    print(growth(contender, int(entries)))


def growth(contender: Contender, entries: int) -> float:
    """Bytes per entry by which this process grows when it fills a cache of `entries` pages.

    Keys are made before, and there is one page only, so that neither is counted.
    """
    keys = list(range(1_000_000, 1_000_000 + entries))
    gc.collect()
    before = resident()
    handler = contender.build(lambda _: PAGE, entries)
    handler.replay(keys)
    gc.collect()
    after = resident()
    if before is None or after is None:
        raise OSError("this system does not tell the size of a process")
    return (after - before) / entries


if __name__ == "__main__":
    main(sys.argv[1:])
