"""A process of the service: product pages over HTTP, from the shop, through a `TieredCache`.

    GET /products/17                        the page, with what is known of where it came from
    PUT /products/17?version=3&cents=995    changes the price, and invalidates the page everywhere

It prints the port that it listens on, and ends when its standard input does, so also when its parent is gone.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import closing
from pathlib import Path
from time import perf_counter_ns
from typing import Any
from urllib.parse import parse_qs, urlsplit

from overdrive import TieredCache
from overdrive.demo.instances.settings import Settings
from overdrive.demo.instances.store import PricedShop
from overdrive.demo.instances.wire import read_head, response

__all__ = ("main",)


class _Service:
    """Answers requests."""

    def __init__(self, cache: TieredCache, shop: PricedShop) -> None:
        self._shop = shop

        @cache.cached(name="page")
        async def page(product: int) -> bytes:
            return shop.page(product)

        self._page: Any = page

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                first, _ = await read_head(reader)
                writer.write(await self._answer(*first.split()[:2]))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # that was all
        finally:
            writer.close()

    async def _answer(self, method: str, target: str) -> bytes:
        where = urlsplit(target)
        *_, number = where.path.rpartition("/")
        if not where.path.startswith("/products/") or not number.isdigit():
            return response(404, b"", {})
        if method == "GET":
            return await self._show(int(number))
        if method == "PUT":
            query = parse_qs(where.query)
            return await self._change(int(number), int(query["version"][0]), int(query["cents"][0]))
        return response(400, b"", {})

    async def _show(self, product: int) -> bytes:
        began = perf_counter_ns()
        result = await self._page.result(product)
        spent = perf_counter_ns() - began
        return response(200, result.value, {"Tier": result.tier, "Spent-Ns": spent, "Loads": self._shop.loads})

    async def _change(self, product: int, version: int, cents: int) -> bytes:
        self._shop.change_price(product, version, cents)
        await self._page.invalidate(product)
        return response(200, b"", {})


async def _serve(settings: Settings) -> None:
    with closing(PricedShop(Path(settings.database))) as shop:
        async with TieredCache(
            settings.pages,
            l2=settings.redis,
            l3=settings.disk,
            namespace="shop",
            max_staleness=settings.max_staleness,
        ) as cache:
            service = _Service(cache, shop)
            server = await asyncio.start_server(service.connected, "127.0.0.1", 0)
            print(server.sockets[0].getsockname()[1], flush=True)
            await asyncio.to_thread(sys.stdin.read)
            server.close()


def main(arguments: list[str]) -> None:
    """Serve with the settings that are given as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    asyncio.run(_serve(Settings(**json.loads(arguments[0]))))


if __name__ == "__main__":
    main(sys.argv[1:])
