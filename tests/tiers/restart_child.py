"""A process that reads as its requests come, and is killed: `restart_child FOLDER SEED COUNT`."""

from __future__ import annotations

import random
import sys
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from overdrive import TieredCache

KEYS = 5_000
IN_MEMORY = 500


def requests(seed: int, count: int) -> Iterator[str]:
    """Give keys as popularity has them: Zipf's law, exponent 1."""
    chance = random.Random(seed)
    sums = list(accumulate(1 / rank for rank in range(1, KEYS + 1)))
    for _ in range(count):
        yield f"key{bisect(sums, chance.random() * sums[-1])}"


def value_of(key: str) -> str:
    """Return the value of a key."""
    return f"value of {key} " * 20


def make(folder: Path | str) -> TieredCache:
    """Make the cache of both processes: memory of a tenth of the keys, and disk."""
    return TieredCache(IN_MEMORY, l3=folder, jitter=0)


def replay(cache: TieredCache, seed: int, count: int) -> float:
    """Return which part of requests was answered without a load."""
    loads = 0

    def load(key: str) -> str:
        nonlocal loads
        loads += 1
        return value_of(key)

    for key in requests(seed, count):
        assert cache.get_or_load(key, load) == value_of(key)
    return 1 - loads / count


def main() -> None:
    """Replay, say what the hit ratio is once warm, and wait to be killed."""
    folder, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    cache = make(folder)
    replay(cache, seed, count)
    print(cache.flush(), flush=True)
    while True:  # it is killed in the middle of this
        replay(cache, seed, count)


if __name__ == "__main__":
    main()
