"""A process that uses folders that were damaged: `corruption_child ENTRIES SECRET FOLDER...`; prints what it found."""

from __future__ import annotations

import json
import sys
from collections import Counter

from overdrive import TieredCache


def value_of(index: int) -> str:
    """Return the value of a key; some are in files of their own."""
    return f"value {index} " * (10_000 if index % 20 == 0 else 30)


def make(folder: str, secret: str) -> TieredCache:
    """Make the cache of the test."""
    return TieredCache(5, l3=folder, jitter=0, secret=secret or None, compression=None)


def main() -> None:
    """Read all, load what is missing, read it again."""
    entries, secret, folders = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    found: Counter[str] = Counter()
    for folder in folders:
        with make(folder, secret) as cache:
            for index in range(entries):
                value = cache.get(f"key{index}")
                found["missing" if value is None else "right" if value == value_of(index) else "wrong"] += 1
            for index in range(entries):
                value = cache.get_or_load(f"key{index}", lambda _, index=index: value_of(index))
                found["loaded right" if value == value_of(index) else "loaded wrong"] += 1
            cache.invalidate_tags("tag1")
            cache.flush(2)
            found["opened"] += 1
    print(json.dumps(found))


if __name__ == "__main__":
    main()
