"""What the tests of the tiers share."""

from __future__ import annotations

from tests.tiers.servers import cluster, family, redis_server, sentinels, server, start_server

__all__ = ("cluster", "family", "redis_server", "sentinels", "server", "start_server")
