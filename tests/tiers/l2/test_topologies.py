"""Clusters and sentinels: the server of a namespace is found, and found again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from overdrive import ConfigError
from overdrive._tiers.l2.connections import key_slot
from overdrive._tiers.l2.reasons import RedisUnavailable
from overdrive._tiers.l2.scripts import Steps
from overdrive._tiers.l2.step import Step
from overdrive._tiers.l2.tier import RedisTier
from overdrive._tiers.l2.url import Address
from tests.tiers.servers import Cluster, Sentinels, Server, eventually, free_port


def call(tier: RedisTier, step: Step[Any]) -> Any:
    return tier.call(step)


def acall(tier: RedisTier, step: Step[Any]) -> Any:
    async def acall() -> Any:
        return await tier.acall(step)

    return asyncio.run(acall())


@pytest.fixture(params=[call, acall], ids=["call", "acall"])
def how(request: pytest.FixtureRequest) -> Callable[[RedisTier, Step[Any]], Any]:
    return request.param  # type: ignore[no-any-return]


def succeeds(how: Callable[..., Any], tier: RedisTier, step: Step[Any]) -> bool:
    try:
        how(tier, step)
    except RedisUnavailable:
        return False
    return True


def slot(namespace: str) -> int:
    return key_slot(Steps(namespace).stream)


def owner(cluster: Cluster, namespace: str) -> int:
    return next(index for index, end in enumerate((5461, 10923, 16384)) if slot(namespace) < end)


@pytest.fixture
def namespaces(cluster: Cluster) -> list[str]:
    """One namespace on each node."""
    found: dict[int, str] = {}
    for number in range(100):
        found.setdefault(owner(cluster, f"app{number}"), f"app{number}")
    return [found[index] for index in range(3)]


def test_every_namespace_is_on_its_node(cluster: Cluster, namespaces: list[str]) -> None:
    for node, namespace, how in zip(cluster.nodes, namespaces, (call, acall, call), strict=True):
        tier, steps = RedisTier(cluster.url, namespace=namespace, budget=2), Steps(namespace, limit=10)
        how(tier, steps.write(b"k", b"v", 0))
        assert how(tier, steps.get(b"k")) == b"v"
        assert how(tier, steps.lease(b"l", b"t", 1000)).state == "granted"
        how(tier, steps.invalidate_tags([b"t"]))
        with node.client() as client:
            assert client.get(steps.values + b"k") == b"v"
        assert tier.check().state == "ok"
        tier.close()


def test_a_slot_that_moves(cluster: Cluster, namespaces: list[str], how: Callable[..., Any]) -> None:
    namespace = namespaces[0]
    tier, steps = RedisTier(cluster.url, namespace=namespace, budget=2), Steps(namespace)
    how(tier, steps.write(b"old", b"1", 0))
    source, target = cluster.nodes[0], cluster.nodes[1]
    ids = [node.command("CLUSTER", "MYID").decode() for node in cluster.nodes]
    target.command("CLUSTER", "SETSLOT", slot(namespace), "IMPORTING", ids[0])
    source.command("CLUSTER", "SETSLOT", slot(namespace), "MIGRATING", ids[1])
    assert how(tier, steps.get(b"old")) == b"1", "still where it was"
    assert how(tier, steps.get(b"new")) is None, "asked for at the other node"
    how(tier, steps.release(b"new", b"t"))
    keys = source.command("CLUSTER", "GETKEYSINSLOT", slot(namespace), 100)
    source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    assert how(tier, steps.get(b"old")) == b"1", "asked for at the other node"
    for node in (target, source, cluster.nodes[2]):
        node.command("CLUSTER", "SETSLOT", slot(namespace), "NODE", ids[1])
    assert how(tier, steps.get(b"old")) == b"1"
    how(tier, steps.write(b"new", b"2", 0))
    assert tier.route.address is not None
    assert tier.route.address.port == target.port
    assert tier.stats().errors == {}
    tier.close()


def test_a_cluster_that_is_partly_down(cluster: Cluster, namespaces: list[str]) -> None:
    namespace = namespaces[1]
    steps = Steps(namespace)
    cluster.nodes[0].kill()
    tier = RedisTier(cluster.url, namespace=namespace, budget=2)
    eventually(lambda: b"cluster_state:fail" in cluster.nodes[1].command("CLUSTER", "INFO"), "it is noticed")
    for how in (call, acall):
        with pytest.raises(RedisUnavailable) as caught:
            how(tier, steps.get(b"k"))
        assert caught.value.reason == "clusterdown"
    assert tier.breaker.state == "closed"
    cluster.nodes[1].command("CONFIG", "SET", "cluster-require-full-coverage", "no")
    eventually(lambda: succeeds(call, tier, steps.write(b"k", b"v", 0)), "the rest serves")
    tier.close()


def test_a_server_that_is_no_cluster(redis_server: Server, how: Callable[..., Any]) -> None:
    tier = RedisTier(f"redis+cluster://127.0.0.1:{redis_server.port}", namespace="app", budget=1)
    with pytest.raises(RedisUnavailable, match="cluster support disabled"):
        how(tier, Steps("app").get(b"k"))
    tier.close()


def test_the_primary_of_sentinels_before_and_after_a_failover(sentinels: Sentinels) -> None:
    steps = Steps("app")
    tier = RedisTier(sentinels.url, namespace="app", budget=0.5)
    tier.call(steps.write(b"k", b"v", 0))
    assert tier.route.address is not None
    assert tier.route.address.port == sentinels.primary.port

    async def scenario() -> None:
        await tier.acall(steps.write(b"k", b"v2", 0))
        eventually(lambda: sentinels.replica.command("GET", "{app}:v:k") == b"v2", "replicated")
        sentinels.primary.kill()
        while True:
            try:
                await tier.acall(steps.write(b"l", b"v3", 0))
                break
            except RedisUnavailable:
                await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert tier.call(steps.get(b"k")) == b"v2"
    assert tier.call(steps.get(b"l")) == b"v3"
    assert tier.route.address.port == sentinels.replica.port
    tier.close()


def test_sentinels_that_refuse_that_are_away_and_that_are_silent(sentinels: Sentinels) -> None:
    steps = Steps("app")

    async def ask(url: str, **options: Any) -> None:
        """Find the server in blocking code, then from a loop by a tier that knows nothing yet."""
        for looping in (False, True):
            tier = RedisTier(url, **{"namespace": "app", "budget": 0.6, **options})
            try:
                if looping:
                    await tier.acall(steps.write(b"k", b"v", 0))
                else:
                    tier.call(steps.write(b"k", b"v", 0))
            finally:
                await tier.aclose()

    with pytest.raises(RedisUnavailable, match="knows no service 'other'"):
        asyncio.run(ask(sentinels.url.replace("/main", "/other")))
    first, second, third = sentinels.sentinels
    first.kill()
    second.stop()
    asyncio.run(ask(sentinels.url))
    third.command("ACL", "SETUSER", "default", ">pw")
    with pytest.raises(RedisUnavailable, match="NOAUTH"):
        asyncio.run(ask(sentinels.url))
    asyncio.run(ask(sentinels.url + "?sentinel_password=pw"))
    second.resume()


def test_what_is_no_primary_any_more_is_not_used(sentinels: Sentinels) -> None:
    steps = Steps("app")
    tier = RedisTier(sentinels.url, namespace="app", budget=0.5)
    tier.route.moved(Address("127.0.0.1", sentinels.replica.port))
    for way in (call, acall):
        with pytest.raises(RedisUnavailable, match="no primary any more"):
            way(tier, steps.get(b"k"))
        way(tier, steps.write(b"k", b"v", 0))
        tier.route.moved(Address("127.0.0.1", sentinels.replica.port))
    tier.close()


def test_no_sentinel_at_all(how: Callable[..., Any]) -> None:
    tier = RedisTier(f"redis+sentinel://127.0.0.1:{free_port()}/main", namespace="app")
    with pytest.raises(RedisUnavailable, match="no primary was found"):
        how(tier, Steps("app").get(b"k"))
    assert tier.check().state == "ok", "one failure is no outage, and no error of the configuration"
    tier.close()


def test_a_database_of_a_cluster_is_refused() -> None:
    with pytest.raises(ConfigError, match="a cluster has only 0"):
        RedisTier("redis+cluster://h/2", namespace="app")
