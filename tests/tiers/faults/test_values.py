"""Values that this program did not write, or not as it is now: misses that are counted, and never decoded too early."""

from __future__ import annotations

import logging
import pickle
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from overdrive import ConfigError, SerializationError
from overdrive._core import Sealer
from tests.tiers.faults.calls import Calls, Origin
from tests.tiers.servers import Server

SECRET = "a secret of at least sixteen bytes"


def stored(server: Server) -> dict[bytes, bytes]:
    """Return what Redis has, by key."""
    with server.client() as client:
        return {key: client.get(key) for key in client.keys("*:v:*")}


def replace(server: Server, values: dict[bytes, bytes]) -> None:
    """Put something else in the place of values."""
    with server.client() as client:
        for key, value in values.items():
            client.set(key, value)


def test_two_versions_of_the_code_live_side_by_side(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server
) -> None:
    old = make_cache(redis_server.url, way=way, version=1).until_coherent()
    new = make_cache(redis_server.url, way=way, version=2).until_coherent()
    assert old.load("key", origin) == "key:0"
    assert new.load("key", origin) == "key:0"
    assert origin.loads["key"] == 2
    assert new.cache.stats().l2.misses_by_reason == {"schema": 1}
    # Neither hangs, raises, or returns what the other one wrote, however they take turns.
    for turn in range(6):
        origin.change("key")
        (old if turn % 2 else new).invalidate("key")
        assert old.cache.barrier()
        assert new.cache.barrier()
        assert (old.load("key", origin), new.load("key", origin)) == (origin.value("key"),) * 2


def test_format_of_a_later_release_is_a_miss(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url, way=way, l1=1).until_coherent()
    calls.load("key", origin)
    ((key, value),) = stored(redis_server).items()
    for foreign in (b"TC9" + value[3:], b"", b"x", b"\x80\x05.", b"{}", value[:40], b"\0" * 200):
        replace(redis_server, {key: foreign})
        calls.cache.l1.clear()
        assert calls.get("key") is None
        assert calls.load("key", origin) == "key:0"
        assert stored(redis_server)[key][:3] == value[:3]  # it is replaced
    assert calls.cache.stats().l2.errors == {}


def test_class_that_was_moved_is_a_miss(
    make_cache: Callable[..., Calls], way: str, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("tests_moved_module")
    exec("class Point:\n    def __init__(self, x): self.x = x\n", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    options: dict[str, Any] = {"serializer": "pickle", "secret": SECRET, "way": way}
    writer = make_cache(redis_server.url, **options).until_coherent()
    writer.set("key", module.Point(1))
    reader = make_cache(redis_server.url, **options).until_coherent()
    monkeypatch.delitem(sys.modules, module.__name__)
    assert reader.get("key") is None
    assert reader.cache.stats().l2.misses_by_reason == {"decode": 1}
    assert reader.load("key", lambda key: f"{key} anew") == "key anew"


def test_value_that_cannot_be_written_names_the_place(
    make_cache: Callable[..., Calls], way: str, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url, way=way).until_coherent()
    with pytest.raises(SerializationError, match=r"\['users'\]\[1\]"):
        calls.set("key", {"users": [1, object()]})
    # What a loader returns is of use to its callers, and here.
    value = object()
    assert calls.load("other", lambda _: value) is value
    assert calls.load("other", lambda _: None) is value
    assert calls.cache.stats().l2.errors == {"unserializable": 1}


def test_value_above_the_limit_is_returned_and_kept_in_memory_alone(
    make_cache: Callable[..., Calls], way: str, redis_server: Server
) -> None:
    calls = make_cache(redis_server.url, way=way, max_value_bytes=10_000).until_coherent()
    large = "x" * 20_000
    assert calls.load("key", lambda _: large) == large
    assert calls.get("key") == large
    assert stored(redis_server) == {}
    assert calls.cache.stats().l2.errors == {"unserializable": 1}
    with pytest.raises(SerializationError, match="10,000"):
        calls.set("key", large)


def test_keys_are_rotated_without_a_miss(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server
) -> None:
    new_secret = "another secret of sixteen bytes"
    old = make_cache(redis_server.url, way=way, secret=SECRET)
    assert old.load("key", origin) == "key:0"
    both = make_cache(redis_server.url, way=way, secret=[new_secret, SECRET])
    assert both.get("key") == "key:0"
    both.load("signed anew", origin)
    new = make_cache(redis_server.url, way=way, secret=new_secret)
    assert new.get("signed anew") == "signed anew:0"
    assert new.get("key") is None  # signed with a secret that is not trusted any more
    assert new.cache.stats().l2.misses_by_reason == {"key": 1}


@pytest.mark.parametrize(("secret", "reason"), [(None, "mac"), ("a wrong secret of sixteen bytes", "key")])
def test_value_signed_by_somebody_else_is_refused_and_told_of_once(
    make_cache: Callable[..., Calls],
    way: str,
    redis_server: Server,
    secret: str | None,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "overdrive.values")
    forger = make_cache(redis_server.url, secret=secret).until_coherent()
    calls = make_cache(redis_server.url, way=way, secret=SECRET, l1=1).until_coherent()
    for index in range(20):
        forger.set(f"key{index}", "forged")
    for index in range(20):
        assert calls.get(f"key{index}") is None
    assert calls.cache.stats().l2.misses_by_reason == {reason: 20}
    assert len([record for record in caplog.records if "refused a stored value" in record.getMessage()]) == 1


@dataclass
class Exploit:
    """Runs code when it is loaded as a pickle."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (EXPLODED.append, ("loaded",))


EXPLODED: list[object] = []


@pytest.mark.parametrize("serializer", ["auto", "pickle"])
def test_forged_pickle_is_not_loaded(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server, serializer: str
) -> None:
    EXPLODED.clear()
    calls = make_cache(redis_server.url, way=way, secret=SECRET, serializer=serializer, l1=1).until_coherent()
    calls.load("key", origin)
    ((key, value),) = stored(redis_server).items()
    payload = pickle.dumps(Exploit())
    forged = Sealer(b"default").seal(
        b"key", payload, serializer=16, schema=0, version=1, created_ms=0, soft=1e9, hard=1e9, cost=0.0
    )
    for poison in (payload, forged, value[:56] + payload, forged[:56] + payload, value[: len(value) - 16] + payload):
        replace(redis_server, {key: poison})
        calls.cache.l1.clear()
        assert calls.get("key") is None
    assert EXPLODED == []


def test_pickles_without_a_secret_are_refused_at_start(make_cache: Callable[..., Calls], redis_server: Server) -> None:
    with pytest.raises(ConfigError, match="secret"):
        make_cache(redis_server.url, serializer="pickle")


@pytest.mark.parametrize("secret", [None, SECRET])
def test_values_that_were_swapped_are_not_returned(
    make_cache: Callable[..., Calls], way: str, origin: Origin, redis_server: Server, secret: str | None
) -> None:
    calls = make_cache(redis_server.url, way=way, secret=secret, l1=1).until_coherent()
    for key in ("one", "two"):
        calls.load(key, origin)
    (one, two) = stored(redis_server).items()
    replace(redis_server, {one[0]: two[1], two[0]: one[1]})
    calls.cache.l1.clear()
    for key in ("one", "two"):
        assert calls.get(key) is None
        assert calls.load(key, origin) == f"{key}:0"
    assert sum(calls.cache.stats().l2.misses_by_reason.values()) >= 2


def test_value_of_another_namespace_is_not_returned(
    make_cache: Callable[..., Calls], way: str, redis_server: Server
) -> None:
    for namespace in ("one", "two"):
        make_cache(redis_server.url, namespace=namespace, secret=SECRET).set("key", namespace)
    (one, two) = sorted(stored(redis_server).items())
    replace(redis_server, {one[0]: two[1]})
    assert make_cache(redis_server.url, way=way, namespace="one", secret=SECRET).get("key") is None


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_bomb_is_refused_without_being_inflated(
    make_cache: Callable[..., Calls], way: str, redis_server: Server, compression: str
) -> None:
    # A gigabyte of nothing takes some kilobytes.
    calls = make_cache(redis_server.url, way=way, max_value_bytes="1MB").until_coherent()
    bomber = make_cache(
        redis_server.url, compression=compression, max_value_bytes="1GB", namespace="default"
    ).until_coherent()
    bomber.set("key", bytes(200_000_000))
    assert len(next(iter(stored(redis_server).values()))) < 2_000_000
    (_, seconds) = calls.timed(calls.get, "key")
    assert calls.get("key") is None
    assert seconds < 0.1
    assert calls.cache.stats().l2.misses_by_reason["bomb"] >= 1
