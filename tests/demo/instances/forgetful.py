"""A server of the demo that changes prices and invalidates nothing."""

from __future__ import annotations

import sys
from typing import Any

from overdrive.demo.instances import server
from overdrive.demo.instances.wire import response


async def change(self: Any, product: int, version: int, cents: int) -> bytes:
    self._shop.change_price(product, version, cents)
    return response(200, b"", {})


if __name__ == "__main__":
    server._Service._change = change  # type: ignore[method-assign]
    server.main(sys.argv[1:])
