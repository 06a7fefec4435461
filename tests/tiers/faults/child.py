"""A process that uses a cache and is killed: `child SCENARIO URL FOLDER`. It says what it has done, line by line."""

from __future__ import annotations

import sys
import time
from typing import Any

from overdrive import TieredCache


def say(*words: object) -> None:
    """Tell the test."""
    print(*words, flush=True)


def make(url: str, folder: str, **options: Any) -> TieredCache:
    """Make a cache as the test has it; `-` is none."""
    tiers = {"l2": None if url == "-" else url, "l3": None if folder == "-" else folder}
    return TieredCache(**{**tiers, "max_staleness": 0.5, "jitter": 0.0, "lease": 1.0, **options})


def hang_in_loader(url: str, folder: str) -> None:
    """Take the lease of a key, and hold it."""

    def load(_key: object) -> str:
        say("loading")
        time.sleep(60)
        return "never"

    make(url, folder).get_or_load("key", load)


def invalidate(url: str, folder: str) -> None:
    """Invalidate without Redis, which is away, and live on."""
    cache = make(url, folder)
    cache.invalidate("key")
    cache.invalidate_tags("tag")
    say("pending", cache.health().pending_invalidations)
    time.sleep(60)


def fill(url: str, folder: str) -> None:
    """Set values, wait until they are on the disk, and go on setting others."""
    cache = make(url, folder, l1=50)
    for index in range(500):
        cache.set(f"key{index}", f"value{index}")
    say("flushed", cache.flush())
    for index in range(10**6):
        cache.set(f"later{index}", f"later{index}")


def main() -> None:
    """Run a scenario."""
    scenario, url, folder = sys.argv[1:]
    {"hang_in_loader": hang_in_loader, "invalidate": invalidate, "fill": fill}[scenario](url, folder)


if __name__ == "__main__":
    main()
