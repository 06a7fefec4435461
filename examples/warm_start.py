"""A service that starts warm: what was in its cache when it stopped is there when it starts again."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from overdrive import MemoryCache, SnapshotError


def price_of(product: str) -> int:
    """Ask a slow database."""
    time.sleep(0.001)
    return len(product) * 100


def serve(snapshot: Path) -> None:
    """Start, answer requests, and stop."""
    prices: MemoryCache[str, int] = MemoryCache(10_000, ttl=3600, jitter=0.1)
    try:
        print(f"started with {prices.load(snapshot).items} items")
    except FileNotFoundError:
        print("started without a snapshot")
    except SnapshotError as error:
        print(f"started cold: {error}")
    for number in range(500):
        prices.get_or_load(f"product {number % 100}", price_of, tags="prices")
    stats = prices.stats()
    print(f"hit ratio {stats.hit_ratio:.0%}, {stats.loads} loads, {stats.load_seconds:.2f} s spent loading")
    prices.save(snapshot)


def main() -> None:
    """Start twice."""
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            serve(Path(folder, "prices.snapshot"))


if __name__ == "__main__":
    main()
