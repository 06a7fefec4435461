"""Thousands of requests for three prices, and what a slow backend sees of them.

Everything runs in one event loop and takes about a second: minutes pass when the program says so.
"""

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle, islice

from overdrive import memoize

PRICES = {"apple": 120, "banana": 35, "cherry": 890}  # in cents
BACKEND_SECONDS = 0.05


class Backend:
    """What knows the prices: slow, and down now and then."""

    is_down = False

    async def price(self, product: str) -> int:
        """Look a price up."""
        await asyncio.sleep(BACKEND_SECONDS)
        if self.is_down:
            raise ConnectionError("the backend does not answer")
        return PRICES[product]


class Clock:
    """Seconds that pass at once. A real service has no need of it."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


backend = Backend()
clock = Clock()


@memoize(
    maxsize=10_000,
    ttl=60,  # for a minute a price is right
    jitter=0.1,  # prices that were loaded together do not expire together
    stale=30,  # then the old one is returned while it is loaded again
    stale_if_error=3600,  # or, for an hour, if it cannot be loaded
    exceptions={KeyError: 5},  # what does not exist is not looked up each time
    clock=clock,
)
async def price(product: str) -> int:
    """Return the price of a product in cents."""
    return await backend.price(product)


async def serve(what: str, products: Sequence[str], *, cancel: int = 0) -> None:
    """Ask for all products at once, cancel the first few of these requests, and print what it came to."""
    before, started = price.cache_info(), time.perf_counter()
    requests = [asyncio.create_task(price(product)) for product in products]
    await asyncio.sleep(0)  # all have begun
    for request in requests[:cancel]:
        request.cancel()
    answers = await asyncio.gather(*requests, return_exceptions=True)
    milliseconds = 1000 * (time.perf_counter() - started)
    in_background = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*in_background)
    after = price.cache_info()
    answered = sum(isinstance(answer, int) for answer in answers)
    loads, errors = after.loads - before.loads, after.errors - before.errors
    print(f"{what:<40}{len(products):>9,}{answered:>10,}{loads:>7}{errors:>8}{milliseconds:>8.0f}")


async def main() -> None:
    """Let the service live through a few minutes."""
    thousand = list(islice(cycle(PRICES), 1000))
    print(f"{'':<40}{'requests':>9}{'answered':>10}{'loads':>7}{'errors':>8}{'ms':>8}")
    await serve("nothing is cached, one is cancelled", thousand, cancel=1)
    await serve("the same again", thousand)
    await serve("a product that does not exist", ["durian"] * 1000)
    clock.now += 70
    await serve("after 70 s: old prices, while loading", thousand)
    await serve("and then the new ones", thousand)
    clock.now += 300
    backend.is_down = True
    await serve("after 300 s: the backend is down", thousand)
    backend.is_down = False
    await serve("it is back", thousand)

    info = price.cache_info()
    print(f"\n{info.hits:,} hits, {info.misses} runs of the function, {info.load_seconds:.2f} s in those that returned")


if __name__ == "__main__":
    asyncio.run(main())
