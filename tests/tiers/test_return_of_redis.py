"""When Redis is back, what was pending is delivered as soon as it is heard, not when the breaker's pause is over."""

from __future__ import annotations

from collections.abc import Callable

from overdrive import TieredCache
from tests.tiers.servers import Server, eventually


def test_pending_invalidations_do_not_wait_for_the_breaker(start_server: Callable[..., Server]) -> None:
    server = start_server("redis")
    with TieredCache(100, l2=server.url, max_staleness=0.2, budget=0.05) as cache:
        backplane = cache._tiers.backplane
        assert backplane is not None
        breaker = backplane.redis.breaker
        eventually(lambda: cache.barrier(), "attached")
        server.kill()
        while breaker.state != "open":
            cache.invalidate("key")
        breaker._until += 3600.0  # as after a long outage, only longer
        cache.invalidate("key")
        assert cache.health().pending_invalidations
        assert breaker.retry_in > 60.0

        server.start()

        eventually(lambda: not cache.health().pending_invalidations, "delivered")
