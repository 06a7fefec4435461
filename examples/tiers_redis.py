"""Two instances of a service that share a Redis: one loads for both, and what one changes the other forgets.

    python examples/tiers_redis.py redis://localhost:6379/0

Without a URL nothing is connected to.
"""

from __future__ import annotations

import asyncio
import sys

from overdrive import TieredCache

SECRET = "sixteen bytes or more, from where secrets are kept"


async def main(url: str) -> None:
    """Be two instances; in a service each is a process of its own, and they are on several hosts."""
    prices = {"tent": 19_900}
    loads = 0

    async def price_of(product: str) -> int:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.01)  # a slow database
        return prices[product]

    async with (
        TieredCache(l2=url, namespace="overdrive-example", secret=SECRET) as one,
        TieredCache(l2=url, namespace="overdrive-example", secret=SECRET) as other,
    ):
        await one.aclear()
        await other.abarrier()

        callers = [cache.aget_or_load("tent", price_of) for cache in (one, other) for _ in range(50)]
        assert set(await asyncio.gather(*callers)) == {19_900}
        print(f"100 callers of two instances, {loads} load")

        prices["tent"] = 14_900
        await one.ainvalidate("tent")
        await other.abarrier()  # not needed but to read here at once what was written there
        result = await other.aget_result("tent", price_of)
        assert result is not None
        print(f"the other instance shows {result.value} cents, from {result.tier}")

        health = one.health()
        print(f"memory {health.l1.state}, Redis {health.l2.state}")
        await one.aclear()


if __name__ == "__main__":
    if len(sys.argv) == 2:
        asyncio.run(main(sys.argv[1]))
    else:
        print("no server given: python examples/tiers_redis.py redis://localhost:6379/0")
