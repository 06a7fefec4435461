"""A service whose cache outlives it, without any server: memory, and a disk tier that the processes of a host share."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from overdrive import TieredCache


def serve(folder: Path) -> None:
    """Start, answer requests, change something, and stop."""
    loads = 0
    with TieredCache(10_000, l3=folder, namespace="shop", ttl="1h") as cache:

        @cache.cached(key="price:{product}", tags="prices")
        def price(product: str) -> dict[str, object]:
            """Ask a slow database."""
            nonlocal loads
            loads += 1
            time.sleep(0.001)
            return {"product": product, "cents": len(product) * 100}

        for number in range(500):
            price(f"product {number % 100}")
        stats = cache.stats()
        print(f"{stats.l1.hits} hits in memory, {stats.l3.hits} on the disk, {loads} loads")

        cache.invalidate("price:product 7")  # its price has changed
        print("product 7 came from", price.result("product 7").tier)
        cache.flush()


def main() -> None:
    """Start twice."""
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            serve(Path(folder))


if __name__ == "__main__":
    main()
