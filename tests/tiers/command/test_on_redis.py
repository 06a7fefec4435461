"""`overdrive cache` on Redis and Valkey."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from overdrive import TieredCache
from tests.tiers.command.conftest import NAMESPACE, Done
from tests.tiers.servers import Cluster, Server, eventually, free_port

SECRET = "correct horse battery"
Run = Callable[..., Done]
Make = Callable[..., TieredCache]


def at(url: str) -> list[str]:
    """Where Redis is, for commands."""
    return ["--l2", url, "--namespace", NAMESPACE]


def fill(make: Make, url: str, **options: Any) -> TieredCache:
    """Return a cache that listens, with a few values in Redis and none on disk."""
    cache = make(**{"l2": url, "l3": None, "budget": 2.0} | options)
    eventually(lambda: cache.health().coherent, "it listens")
    cache.set("user:1", {"name": "Ada"}, tags=["users", "admins"])
    cache.set("user:2", {"name": "Grace"}, tags=["users"])
    cache.set(("p", 3), "x" * 5000)
    return cache


def connections(cache: TieredCache) -> int:
    """Return how many connections a cache has open for calls."""
    backplane = cache._tiers.backplane
    assert backplane is not None
    return backplane.redis.stats().connections


def test_status_tells_how_the_server_is(overdrive: Run, make: Make, server: Server) -> None:
    cache = fill(make, server.url, l2_max_entries=100)
    before = connections(cache)
    done = overdrive("status", *at(server.url), "--json")
    assert done.status == 0
    facts = done.document["l2"]
    assert facts["state"] == "up"
    assert facts["server"].startswith(f"{server.family} ")
    assert (facts["entries"], facts["last_clear"]) == (3, None)
    assert facts["notices"] >= 4  # of attaching, and one for each value
    assert facts["last_notice"] == server.command("XREVRANGE", "{shop}:inv", "+", "-", "COUNT", 1)[0][0].decode()
    # It may open another one at any time, as its threads ask at once, and closes none.
    assert 1 <= before <= facts["connections"] <= connections(cache)
    assert f"  address           127.0.0.1:{server.port}\n" in overdrive("status", *at(server.url)).out


def test_a_policy_that_evicts_what_must_stay_is_pointed_at(
    overdrive: Run, make: Make, start_server: Callable[..., Server]
) -> None:
    server = start_server(maxmemory="50mb", maxmemory_policy="allkeys-lru")
    fill(make, server.url)
    done = overdrive("status", *at(server.url))
    assert done.status == 0
    assert "maxmemory-policy allkeys-lru may evict what invalidated tags are known by" in done.out
    server.command("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    assert overdrive("status", *at(server.url), "--json").document["hints"] == []


def test_without_a_limit_entries_are_not_counted(overdrive: Run, make: Make, redis_server: Server) -> None:
    fill(make, redis_server.url)
    assert overdrive("status", *at(redis_server.url), "--json").document["l2"]["entries"] is None
    assert "entries           not counted" in overdrive("status", *at(redis_server.url)).out


def test_a_replica_is_degraded(
    overdrive: Run, make: Make, redis_server: Server, start_server: Callable[..., Server]
) -> None:
    fill(make, redis_server.url)
    replica = start_server(replicaof=f"127.0.0.1 {redis_server.port}", repl_diskless_sync_delay=0)
    eventually(lambda: replica.command("INFO", "replication")["master_link_status"] == "up", "it replicates")
    done = overdrive("status", *at(replica.url), "--json")
    assert (done.status, done.document["l2"]["state"]) == (1, "degraded")


def test_keys_are_those_of_the_namespace(overdrive: Run, make: Make, server: Server) -> None:
    fill(make, server.url)
    fill(make, server.url, namespace="other").set("user:3", 3)
    assert overdrive("keys", *at(server.url)).out == "l2  (s1:pi3;)\nl2  user:1\nl2  user:2\n"
    assert overdrive("keys", "user:", "--limit", 1, *at(server.url)).out.endswith("... and more: --limit is 1\n")


def test_what_has_a_meaning_in_patterns_has_none_in_prefixes(overdrive: Run, make: Make, redis_server: Server) -> None:
    cache = fill(make, redis_server.url)
    for key in ("a*[b]?", "aXb", "a\\^-"):
        cache.set(key, 1)
    assert overdrive("keys", "a*[", *at(redis_server.url)).out == "l2  a*[b]?\n"
    assert overdrive("keys", "a\\^-", *at(redis_server.url)).out == "l2  a\\^-\n"
    assert overdrive("keys", "*", *at(redis_server.url)).out == "no keys\n"


def test_keys_of_a_cluster_are_listed(overdrive: Run, make: Make, cluster: Cluster) -> None:
    fill(make, cluster.url)
    assert overdrive("keys", "user:", *at(cluster.url)).out == "l2  user:1\nl2  user:2\n"
    assert overdrive("verify", *at(cluster.url), "--json").document["l2"]["verdicts"] == {"fresh": 3}


def test_both_tiers_are_looked_at(overdrive: Run, make: Make, disk: list[str], redis_server: Server) -> None:
    cache = fill(make, redis_server.url, l3=disk[1])
    assert cache.flush()
    cache.set("private", 1, private=True)
    both = ["--l2", redis_server.url, *disk]
    assert "l2     private\nl2 l3  user:1\n" in overdrive("keys", *both).out
    document = overdrive("inspect", "user:1", *both, "--json").document
    assert document["l2"]["version"] == document["l3"]["version"]
    overdrive("purge", "user:1", *both)
    document = overdrive("inspect", "user:1", *both, "--json").document
    assert (document["l2"], document["l3"]) == (None, None)


def test_what_tags_have_ended_is_dead(overdrive: Run, make: Make, server: Server) -> None:
    cache = fill(make, server.url)
    cache.invalidate_tags("admins")
    assert overdrive("inspect", "user:1", *at(server.url), "--json").document["l2"]["verdict"] == "tag"
    assert overdrive("inspect", "user:2", *at(server.url), "--json").document["l2"]["verdict"] == "fresh"
    assert overdrive("verify", *at(server.url), "--json").document["l2"]["verdicts"] == {"fresh": 2, "tag": 1}
    cache.clear()
    done = overdrive("inspect", "user:2", *at(server.url))
    assert "dead: one of its tags, or everything, was invalidated" in done.out
    assert done.status == 0


def test_a_load_under_way_shows(overdrive: Run, make: Make, redis_server: Server) -> None:
    cache = fill(make, redis_server.url)
    seen: list[Done] = []

    def load(_key: object) -> int:
        seen.append(overdrive("inspect", "slow", *at(redis_server.url), "--json"))
        return 1

    cache.get_or_load("slow", load)
    assert (seen[0].status, seen[0].document["l2"]) == (1, None)
    assert "loading_for" in overdrive("inspect", "slow", *at(redis_server.url)).out


def test_bad_values_are_found_and_deleted(
    overdrive: Run, make: Make, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = fill(make, server.url, secret=SECRET)
    monkeypatch.setenv("OVERDRIVE_SECRET", SECRET)
    with server.client() as client:
        name = "{shop}:v:user:1"
        value: Any = client.get(name)
        client.set(name, value[:-1] + bytes((value[-1] ^ 1,)))
        client.set("{shop}:v:forged", b"hello")
        client.set("{shop}:v:user:9", client.get("{shop}:v:user:2"))
    done = overdrive("verify", *at(server.url), "--json")
    assert done.status == 1
    assert done.document["l2"]["verdicts"] == {"mac": 2, "fresh": 2, "magic": 1}
    assert overdrive("verify", *at(server.url), "--repair", "--json").document["l2"]["deleted"] == 3
    assert overdrive("verify", *at(server.url)).status == 0
    assert cache.get_or_load("user:1", lambda key: "loaded") == "loaded"


def test_encrypted_values_are_checked_with_the_secret_alone(
    overdrive: Run, make: Make, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(make, redis_server.url, secret=SECRET, encrypt=True, serializer="pickle")
    monkeypatch.setenv("OVERDRIVE_ENCRYPT", "true")
    monkeypatch.setenv("OVERDRIVE_SERIALIZER", "pickle")
    assert overdrive("verify", *at(redis_server.url), "--json").document["l2"]["verdicts"] == {"unchecked": 3}
    monkeypatch.setenv("OVERDRIVE_SECRET", SECRET)
    assert overdrive("verify", *at(redis_server.url), "--json").document["l2"]["verdicts"] == {"fresh": 3}


def test_instances_hear_of_a_purge(overdrive: Run, make: Make, server: Server) -> None:
    cache = fill(make, server.url)
    other = fill(make, server.url)
    done = overdrive("purge", "--tag", "admins", *at(server.url))
    assert (done.status, done.out) == (0, "removed from l2: 1 tag\n")
    for each in (cache, other):
        assert each.barrier(5)
        assert each.get("user:1") is None
        assert each.get("user:2") is not None
    assert overdrive("purge", "--all", "--yes", *at(server.url)).status == 0
    assert cache.barrier(5)
    assert cache.get("user:2") is None


def test_the_canary_is_heard(overdrive: Run, make: Make, server: Server) -> None:
    fill(make, server.url)
    done = overdrive("canary", "--count", 3, *at(server.url), "--json")
    assert done.status == 0
    assert (done.document["probes"], done.document["heard"]) == (3, 3)
    assert 0 < done.document["latency_ms"][0] < 1000
    assert overdrive("canary", *at(server.url)).out.startswith("5 of 5 probes were heard, in ")


def test_a_server_that_is_away_is_named(overdrive: Run) -> None:
    port = free_port()
    for action in (["status"], ["keys"], ["verify"], ["canary"], ["inspect", "k"], ["purge", "k"]):
        done = overdrive(*action, "--l2", f"redis://127.0.0.1:{port}", "--timeout", 1)
        assert (done.status, done.out) == (2, "")
        assert f"127.0.0.1:{port} cannot be reached" in done.err


def test_a_frozen_server_is_waited_for_as_long_as_was_said(overdrive: Run, make: Make, redis_server: Server) -> None:
    fill(make, redis_server.url).close()
    redis_server.stop()
    done = overdrive("status", *at(redis_server.url), "--timeout", 0.2)
    redis_server.resume()
    assert done.status == 2
    assert "did not answer within the budget" in done.err


def test_a_namespace_that_is_not_there_is_named(overdrive: Run, make: Make, redis_server: Server) -> None:
    fill(make, redis_server.url)
    done = overdrive("status", "--l2", redis_server.url, "--namespace", "shp")
    assert done.status == 2
    assert "has nothing of a namespace 'shp'" in done.err
    assert not redis_server.command("KEYS", "{shp}*")


def rights() -> tuple[list[str], list[str]]:
    """Return what docs/operations.md says that looking takes, and what purging, repairing and the canary do besides."""
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("## Rights in Redis")[2]
    command = section.partition("```\n")[2].partition("```")[0].split()
    return command[2:], re.findall(r"\+[a-z|]+", section.rpartition("```")[2])


def test_rights_are_those_that_the_page_names(overdrive: Run, make: Make, redis_server: Server) -> None:
    cache = fill(make, redis_server.url)
    looking, changing = rights()
    redis_server.command("ACL", "SETUSER", *looking)
    url = f"redis://operator:password@127.0.0.1:{redis_server.port}"
    before = connections(cache)
    facts = overdrive("status", *at(url), "--json").document["l2"]
    assert (facts["state"], facts["server"]) == ("up", f"redis {version(redis_server)}")
    assert 1 <= before <= facts["connections"] <= connections(cache)
    for action in (["keys"], ["inspect", "user:1"], ["verify"]):
        assert overdrive(*action, *at(url)).status == 0
    for action in (["purge", "user:1"], ["canary"]):
        done = overdrive(*action, *at(url))
        assert done.status == 2
        assert "right" in done.err or "NOPERM" in done.err
    redis_server.command("ACL", "SETUSER", "operator", *changing)
    for action in (["purge", "user:1", "--tag", "users"], ["canary"], ["purge", "--all", "--yes"]):
        assert overdrive(*action, *at(url)).status == 0


def version(server: Server) -> str:
    found: str = server.command("INFO", "server")["redis_version"]
    return found


def test_a_user_with_few_rights_still_sees_something(overdrive: Run, make: Make, redis_server: Server) -> None:
    fill(make, redis_server.url)
    redis_server.command("ACL", "SETUSER", "few", "on", ">pass", "~{shop}:*", "+@read", "+ping")
    url = f"redis://few:pass@127.0.0.1:{redis_server.port}"
    facts = overdrive("status", *at(url), "--json").document["l2"]
    assert (facts["state"], facts["server"], facts["connections"]) == ("up", None, None)
    done = overdrive("purge", "user:1", *at(url))
    assert done.status == 2
    assert "the user lacks a right" in done.err
    wrong = overdrive("status", *at(url.replace("pass", "wrong")))
    assert wrong.status == 2
    assert "does not let us in" in wrong.err
    assert "wrong@" not in wrong.err
