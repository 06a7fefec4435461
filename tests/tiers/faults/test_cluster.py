"""A cluster of three, of which the node goes away that has our slot."""

from __future__ import annotations

from collections.abc import Callable

from tests.tiers.faults.calls import FIRST_CALLS, Calls, LogLines, Origin
from tests.tiers.servers import Cluster, eventually


def test_node_of_a_cluster_is_killed_and_comes_back(
    make_cache: Callable[..., Calls], origin: Origin, log: LogLines, cluster: Cluster
) -> None:
    calls, other = (make_cache(cluster.url, way=way).until_coherent() for way in ("blocking", "tasks"))
    assert [calls.load("key", origin), other.load("key", origin)] == ["key:0", "key:0"]
    assert origin.loads["key"] == 1
    (owner,) = [node for node in cluster.nodes if node.command("DBSIZE")]
    owner.kill()
    eventually(lambda: not calls.cache.health().coherent, "it knows that it hears nothing")
    for index in range(20):
        _, seconds = calls.timed(calls.load, f"key{index}", origin)
        assert seconds <= FIRST_CALLS
    origin.change("key")
    calls.invalidate("key")
    assert calls.load("key", origin) == "key:1"
    assert calls.cache.health().pending_invalidations == 1
    assert len(log.of("unavailable")) >= 1
    owner.start()
    for each in (calls, other):
        each.until_healed(origin)
    eventually(lambda: other.load("key", origin) == "key:1", "the other one is told")
