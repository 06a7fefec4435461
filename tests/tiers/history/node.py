"""A node built of the parts of the tiers alone: memory and Redis, with the steps and the listener.

What it does is the protocol and nothing else: a token before each read, a lease before each load, compare-and-fill.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, NamedTuple, Protocol
from zlib import crc32

from overdrive import TieredCache
from overdrive._core import Coherence
from overdrive._tiers.l2.epochs import TagEpochs
from overdrive._tiers.l2.link import connector
from overdrive._tiers.l2.listener import Listener
from overdrive._tiers.l2.scripts import GRANTED, Steps
from overdrive._tiers.l2.step import Step
from overdrive._tiers.l2.tier import RedisTier
from overdrive.exceptions import TierUnavailable

LEASE_MS = 400
TTL_MS = 60_000

Loader = Callable[[], bytes]


class Node(Protocol):
    """What is tested: one node of a cache that several share."""

    def get_or_load(self, key: str, loader: Loader) -> bytes:
        """Return what is cached, or what `loader` returns."""
        ...

    def invalidate(self, key: str) -> None:
        """Invalidate on all nodes; raise if that cannot be known to have happened."""
        ...

    def statistics(self) -> dict[str, Any]:
        """Return what happened, for whoever reads why a test failed."""
        ...

    def close(self) -> None:
        """End."""
        ...


class Held(NamedTuple):
    """An entry of memory: valid as long as nothing was invalidated since its stamp."""

    value: bytes
    stamp: int


class PartsNode:
    """A `Node` of `Steps`, `Listener` and `Coherence`."""

    def __init__(self, url: str, namespace: str, max_staleness: float) -> None:
        self._tier = RedisTier(url, namespace=namespace)
        self._steps = Steps(namespace, origin=b"%d" % os.getpid())
        self._memory: dict[bytes, Held] = {}
        self._coherence = Coherence()
        self._listener = Listener(
            connector(self._tier.route),
            b"{%s}:" % namespace.encode(),
            self._coherence,
            epochs=TagEpochs(),
            hash_tag=crc32,
            max_staleness=max_staleness,
        )
        self._listener.start()
        self._counts = {"memory": 0, "redis": 0, "loads": 0, "bypasses": 0, "fills refused": 0}

    def get_or_load(self, key: str, loader: Loader) -> bytes:
        name = key.encode()
        held = self._memory.get(name)
        if held is not None and monotonic() < self._coherence.trusted_until and self._is_current(name, held.stamp):
            self._counts["memory"] += 1
            return held.value
        token = os.urandom(8)
        give_up = monotonic() + LEASE_MS / 1000
        while monotonic() < give_up:
            stamp = self._coherence.stamp()
            try:
                lease = self._tier.call(self._steps.lease(name, token, LEASE_MS))
                if lease.value is not None:
                    self._counts["redis"] += 1
                    return self._keep(name, lease.value, stamp)
                if lease.state == GRANTED:
                    self._counts["loads"] += 1
                    value = loader()
                    if self._tier.call(self._steps.fill(name, token, value, TTL_MS)):
                        return self._keep(name, value, stamp)
                    self._counts["fills refused"] += 1
                    return value
            except TierUnavailable:
                break
            sleep(0.004)
        self._counts["bypasses"] += 1
        return loader()

    def invalidate(self, key: str) -> None:
        name = key.encode()
        self._coherence.bump(b"k" + name)
        try:
            self._tier.call(self._steps.invalidate((name,)))
        finally:
            # Whatever was read from Redis until now may be older than the invalidation.
            self._coherence.bump(b"k" + name)

    def statistics(self) -> dict[str, Any]:
        return {**self._counts, "listener": self._listener.health()._asdict() | {"attach_id": ""}}

    def close(self) -> None:
        self._listener.close()
        self._tier.close()

    def _is_current(self, name: bytes, stamp: int) -> bool:
        return self._coherence.is_current(stamp, (b"k" + name,))

    def _keep(self, name: bytes, value: bytes, stamp: int) -> bytes:
        # One that is outdated already must not replace one that is not: not for correctness, for the hit.
        if self._is_current(name, stamp):
            self._memory[name] = Held(value, stamp)
        return value


class NaiveNode(PartsNode):
    """What is usually built: no token, no lease, and whatever is in memory is trusted."""

    def get_or_load(self, key: str, loader: Loader) -> bytes:
        name = key.encode()
        held = self._memory.get(name)
        if held is not None and self._is_current(name, held.stamp):
            return held.value
        value = self._tier.call(self._steps.get(name))
        if value is None:
            value = loader()
            self._tier.call(Step("set", bool, ("SET", self._steps.values + name, value, "PX", TTL_MS)))
        return self._keep(name, value, self._coherence.stamp())


class TieredNode:
    """A `Node` that is a `TieredCache`.

    An invalidation that Redis did not take is queued by the cache, and counts as acknowledged when it was delivered.
    Until then the write of this node waits: there would be no telling which of two was delivered.
    """

    def __init__(self, url: str, namespace: str, max_staleness: float) -> None:
        self._cache = TieredCache(
            l2=url, namespace=namespace, max_staleness=max_staleness, lease=LEASE_MS / 1000, ttl=TTL_MS / 1000, jitter=0
        )

    def get_or_load(self, key: str, loader: Loader) -> bytes:
        return self._cache.get_or_load(key, lambda _: loader())

    def invalidate(self, key: str) -> None:
        self._cache.invalidate(key)
        while self._cache.health().pending_invalidations:
            sleep(0.002)

    def statistics(self) -> dict[str, Any]:
        stats = self._cache.stats()
        backplane = self._cache._tiers.backplane
        assert backplane is not None
        return {
            "l1": stats.l1.as_dict(),
            "l2": stats.l2.as_dict(),
            "loads": stats.loads,
            "lease_waits": stats.lease_waits,
            "revalidations": stats.revalidations,
            "dropped_fills": stats.dropped_fills,
            "recovery": backplane.recovery.stats()._asdict(),
            "listener": backplane.listener.health()._asdict() | {"attach_id": ""},
        }

    def close(self) -> None:
        self._cache.close()


NODES: dict[str, Callable[[str, str, float], Node]] = {
    "parts": PartsNode,
    "naive": NaiveNode,
    "tiered": TieredNode,
}


def make_node(kind: str, url: str, namespace: str, max_staleness: float) -> Node:
    """Build the node that histories are recorded of."""
    return NODES[kind](url, namespace, max_staleness)
