"""`IntelligentCache`: every field of the configuration reaches its part, and nothing else is opened."""

from __future__ import annotations

import doctest
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import overdrive
from overdrive import ConfigError, IntelligentCache, OptimizationLevel, PerformanceConfig, TieredCache
from overdrive._core import Predictor
from overdrive._tiers.fields import FIELDS
from overdrive._tiers.prefetch import prefetcher
from overdrive.testing import FakeClock
from tests.tiers.servers import Server, eventually

SECRET = "correct horse battery"
OLD_SECRET = "staple of another year"
# Nobody listens there; a tier is made without a connection.
URL = "redis://127.0.0.1:1/0"
# What a process may do besides; not the cache's.
OF_OTHERS = {
    "optimization_level",
    "max_threads",
    "max_processes",
    "max_async_tasks",
    "memory_limit_gb",
    "gc_threshold",
    "enable_memory_optimization",
    "enable_performance_monitoring",
    "metrics_interval",
    "alert_threshold",
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("OVERDRIVE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "caches"))


@pytest.fixture
def make() -> Iterator[Callable[..., IntelligentCache]]:
    """Make caches, and close them."""
    caches: list[IntelligentCache] = []

    def make(*args: Any, **kwargs: Any) -> IntelligentCache:
        cache = IntelligentCache(*args, **kwargs)
        caches.append(cache)
        return cache

    yield make
    for cache in caches:
        cache.close()


def sealed(cache: IntelligentCache, value: object = "x" * 5000) -> bytes:
    """Return a value as the cache writes it."""
    return cache._tiers.codec.encode(b"k", value, now_ms=1, soft=1e9, hard=1e9)


def header(cache: IntelligentCache, value: object = "x" * 5000) -> Any:
    return cache._tiers.codec.header(sealed(cache, value))


def opens(cache: IntelligentCache, secret: str) -> bool:
    """Return whether the cache takes what was signed with a secret."""
    from overdrive._tiers.values.codec import Codec, Decoded

    blob = Codec(cache.config.namespace, secret=secret).encode(b"k", 1, now_ms=1, soft=1e9, hard=1e9)
    return isinstance(cache._tiers.codec.decode(b"k", blob, 2), Decoded)


def longest_key(cache: IntelligentCache) -> int:
    with pytest.raises(ValueError, match="exceeds the limit"):
        cache.get("x" * 2000)
    return cache._parts.max_key_bytes


# --- the configuration --------------------------------------------------------------------------------

REACHED: dict[str, tuple[Any, Callable[[Any], Any], Any]] = {
    "cache_strategy": ("lfu", lambda cache: cache.l1_cache.policy, "lfu"),
    "l1_cache_size": (7, lambda cache: cache.l1_cache.maxsize, 7),
    "l1_max_bytes": ("1MB", lambda cache: cache.l1_cache.max_bytes, 1_000_000),
    "l2_cache_size": (8, lambda cache: cache._tiers.backplane.steps._limit, 8),
    "l3_cache_size": (9, lambda cache: cache.l3_cache._max_entries, 9),
    "l3_max_bytes": ("2MB", lambda cache: cache.l3_cache._max_bytes, 2_000_000),
    "cache_ttl": ("5m", lambda cache: cache._terms.options.ttl, 300),
    "jitter": (0.5, lambda cache: cache._terms.options.jitter, 0.5),
    "early": (2.0, lambda cache: cache._terms.options.early, 2.0),
    "stale": ("1m", lambda cache: cache._terms.options.stale, 60),
    "stale_if_error": ("2m", lambda cache: cache._terms.options.stale_if_error, 120),
    "wait_timeout": (3, lambda cache: cache._terms.options.wait_timeout, 3),
    "negative_ttl": (4, lambda cache: cache._terms.negative_ttl, 4),
    "soft_timeout": (5, lambda cache: cache._terms.soft_timeout, 5),
    "hard_timeout": (6, lambda cache: cache._terms.hard_timeout, 6),
    "redis_url": (URL, lambda cache: str(cache.l2_cache.target), "redis://127.0.0.1:1"),
    "redis": (False, lambda cache: cache.l2_cache, None),
    "redis_timeout": (0.3, lambda cache: cache.l2_cache.budget, 0.3),
    "lease": (3, lambda cache: cache._tiers.lease_seconds, 3),
    "max_staleness": (0.4, lambda cache: cache._tiers.backplane.listener.max_staleness, 0.4),
    "on_disconnect": ("stale", lambda cache: cache._tiers.on_disconnect, "stale"),
    "tracking": (True, lambda cache: cache._tiers.backplane._tracking is not None, True),
    "cache_dir": ("chosen", lambda cache: cache.l3_cache._path.parent.name, "chosen"),
    "disk": (False, lambda cache: cache.l3_cache, None),
    "namespace": ("shop", lambda cache: (cache.l2_cache.namespace, cache.l3_cache._path.name), ("shop", "shop")),
    "schema": (5, lambda cache: header(cache).schema != 0, True),
    "secret": (SECRET, lambda cache: (opens(cache, SECRET), opens(cache, OLD_SECRET)), (True, False)),
    "old_secrets": ([OLD_SECRET], lambda cache: opens(cache, OLD_SECRET), True),
    "encrypt": (True, lambda cache: b"x" * 20 in sealed(cache, "x" * 20), False),
    "hash_keys": (True, lambda cache: len(cache._encode("user:1")), 18),
    "serializer": ("json", lambda cache: header(cache, [1]).serializer, 3),
    "allow_unsigned_pickle": (True, lambda cache: header(cache, {1}).serializer, 4),
    "max_key_bytes": (64, longest_key, 64),
    "max_value_bytes": ("1MB", lambda cache: cache._tiers.codec.max_bytes, 1_000_000),
    "prefetch": (True, lambda cache: cache.prediction_model is not None, True),
    "prefetch_lookahead": (1, lambda cache: cache.prediction_model.depth, 1),
    "compression": ("lz4", lambda cache: header(cache).codec, 2),
}
# What a field needs beside it.
BESIDE: dict[str, dict[str, Any]] = {
    "old_secrets": {"secret": SECRET},
    "encrypt": {"secret": SECRET},
    "allow_unsigned_pickle": {"serializer": "pickle"},
    "prefetch_lookahead": {"prefetch": True},
}


def test_the_table_has_every_field_that_is_the_caches() -> None:
    assert set(REACHED) | {"prefetch_budget"} == set(FIELDS) - OF_OTHERS


@pytest.mark.parametrize("field", REACHED)
def test_a_field_reaches_its_part(
    field: str, make: Callable[..., IntelligentCache], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given, look, expected = REACHED[field]
    monkeypatch.chdir(tmp_path)
    # As a variable, which need not be used.
    monkeypatch.setenv("OVERDRIVE_REDIS_URL", URL if field != "redis_url" else "")
    fields = BESIDE.get(field, {}) | {field: given}
    assert look(make(PerformanceConfig(**fields))) == expected
    others = {name: value for name, value in fields.items() if name != field}
    if field == "allow_unsigned_pickle":
        others["serializer"] = "auto"
    assert _other(look, make(PerformanceConfig(**others))) != expected


def _other(look: Callable[[Any], Any], cache: IntelligentCache) -> Any:
    try:
        return look(cache)
    except (AttributeError, pytest.fail.Exception, overdrive.SerializationError):
        return "it does not even look"


def test_the_budget_reaches_what_predicts(
    make: Callable[..., IntelligentCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []

    def predictor(**options: Any) -> Predictor:
        given.append(options)
        return Predictor(**options)

    monkeypatch.setattr(prefetcher, "Predictor", predictor)
    make(optimization_level="extreme", disk=False, prefetch_budget=0.5)
    assert (given[0]["budget"], given[0]["depth"]) == (
        0.5,
        OptimizationLevel.EXTREME.preset["prefetch_lookahead"].value,
    )


def test_every_option_of_the_other_door_has_a_field() -> None:
    options = set(inspect.signature(TieredCache.__init__).parameters) - {"self", "clock"}
    source = inspect.getsource(IntelligentCache.__init__)
    assert {name for name in options - {"l1"} if f" {name}=" not in source} == set()


def test_changes_are_fields_on_top_of_the_config(make: Callable[..., IntelligentCache]) -> None:
    config = PerformanceConfig("basic", l1_cache_size=10, cache_ttl=60)
    cache = make(config, cache_ttl=30)
    assert (cache.config.l1_cache_size, cache.config.cache_ttl, cache.l1_cache.maxsize) == (10, 30, 10)
    assert config.cache_ttl == 60
    assert make(optimization_level="basic").config == PerformanceConfig("basic")


def test_variables_of_the_environment_count(
    make: Callable[..., IntelligentCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERDRIVE_L1_CACHE_SIZE", "12")
    monkeypatch.setenv("OVERDRIVE_OPTIMIZATION_LEVEL", "basic")
    assert make().l1_cache.maxsize == 12


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="config must be a PerformanceConfig, got 1000"):
        IntelligentCache(1000)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="l4_cache_size"):
        IntelligentCache(l4_cache_size=1)
    with pytest.raises(TypeError, match="l4_cache_size"):
        IntelligentCache(PerformanceConfig(), l4_cache_size=1)
    with pytest.raises(ConfigError, match="scheme"):
        IntelligentCache(redis_url="http://127.0.0.1")


def test_its_clock_can_be_replaced(make: Callable[..., IntelligentCache]) -> None:
    clock = FakeClock()
    cache = make(optimization_level="basic", cache_ttl=10, jitter=0, clock=clock)
    cache.set("k", 1)
    clock.advance(9.9)
    assert cache.get("k") == 1
    clock.advance(0.2)
    assert cache.get("k") is None


# --- levels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", list(OptimizationLevel))
def test_levels_decide_which_tiers_there_are(
    level: OptimizationLevel, make: Callable[..., IntelligentCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERDRIVE_REDIS_URL", URL)
    cache = make(PerformanceConfig(level))
    is_basic = level is OptimizationLevel.BASIC
    assert (cache.l2_cache is None, cache.l3_cache is None) == (is_basic, is_basic)


def run_alone(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OVERDRIVE_")}
    return subprocess.run(
        [sys.executable, "-c", script],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


USE = """
cache.set("k", [1]); cache.get("k"); cache.get("other"); cache.get_or_load("l", str); cache.invalidate("k")
cache.invalidate_tags("t"); cache.get_many(["k", "l"]); cache.stats(); cache.health(); cache.clear()
"""


def test_basic_opens_no_file_and_no_socket() -> None:
    done = run_alone(f"""
import os, sys
from overdrive import IntelligentCache
warmed = IntelligentCache(optimization_level="basic")
cache = warmed
{USE}
opened = []
def hook(event, args):
    if event in ("open", "os.mkdir", "socket.__new__", "socket.connect", "sqlite3.connect", "os.open"):
        opened.append((event, args))
sys.addaudithook(hook)
cache = IntelligentCache(optimization_level="basic")
{USE}
cache.close()
assert not opened, opened
assert "redis" not in sys.modules and "apsw" not in sys.modules and "sqlite3" not in sys.modules
""")
    assert done.returncode == 0, done.stderr


def test_by_default_it_is_memory_and_a_private_disk_and_no_server(tmp_path: Path) -> None:
    script = f"""
import sys
from overdrive import IntelligentCache
connected = []
sys.addaudithook(lambda event, args: connected.append(args) if event == "socket.connect" else None)
with IntelligentCache(namespace="shop") as cache:
    {USE.strip().splitlines()[0]}
    cache.set("kept", {{"a": 1}})
    assert cache.l2_cache is None and cache.l3_cache is not None
with IntelligentCache(namespace="shop") as cache:
    assert cache.get("kept") == {{"a": 1}}
assert not connected and "redis" not in sys.modules
"""
    done = run_alone(script, XDG_CACHE_HOME=str(tmp_path), LOCALAPPDATA=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "overdrive").iterdir()] == ["shop"]
    assert (tmp_path / "overdrive" / "shop").stat().st_mode & 0o077 == 0


def test_without_apsw_the_standard_library_serves_and_says_so(tmp_path: Path) -> None:
    script = """
import sys
sys.modules["apsw"] = None
from overdrive import IntelligentCache
with IntelligentCache() as cache:
    cache.set("k", 1)
    assert cache.l3_cache.health().engine == "sqlite3"
with IntelligentCache() as cache:
    assert cache.get("k") == 1
"""
    done = run_alone(script, XDG_CACHE_HOME=str(tmp_path), LOCALAPPDATA=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "apsw" in done.stderr


def test_a_disk_that_cannot_be_used_is_done_without(make: Callable[..., IntelligentCache], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = make(cache_dir=tmp_path / "file")
    cache.set("k", 1)
    assert cache.get("k") == 1
    assert cache.get_or_load("l", str) == "l"
    cache.invalidate("k")
    assert cache.get("k") is None
    health = cache.health()
    assert (health.state, health.l3.state) == ("down", "down")
    assert "file" in health.l3.reason


def test_a_table_of_others_is_done_without_too(make: Callable[..., IntelligentCache], tmp_path: Path) -> None:
    make(cache_dir=tmp_path).close()
    (tmp_path / "default" / "generations").write_bytes(b"something else" * 1000)
    health = make(cache_dir=tmp_path).health()
    assert health.l3.state == "down"
    assert "generations" in health.l3.reason


# --- what it shows ------------------------------------------------------------------------------------


def test_tiers_can_be_looked_at(make: Callable[..., IntelligentCache], tmp_path: Path) -> None:
    cache = make(cache_dir=tmp_path)
    cache.set("k", 1)
    assert cache.flush()
    assert "k" in cache.l1_cache
    assert cache.l2_cache is None
    assert cache.l3_cache is not None
    assert cache.l3_cache.keys() == [b"k"]
    assert repr(cache).startswith("<IntelligentCache 'default': ")
    assert isinstance(cache, TieredCache)


def test_instances_share_what_they_load_and_hear_of_changes(
    make: Callable[..., IntelligentCache], redis_server: Server
) -> None:
    config = PerformanceConfig(redis_url=redis_server.url, redis_timeout=2, secret=SECRET, disk=False)
    one, other = make(config), make(config)
    eventually(lambda: one.health().coherent and other.health().coherent, "they listen")
    assert one.get_or_load("k", lambda key: [1]) == [1]
    result = other.get_result("k", lambda key: [2])
    assert result is not None
    assert (result.value, result.tier) == ([1], "l2")
    one.invalidate("k")
    assert other.barrier(5)
    assert other.get("k") is None
    assert one.l2_cache is not None
    assert one.l2_cache.health().state == "ok"


def test_without_prefetching_nothing_is_noted(make: Callable[..., IntelligentCache]) -> None:
    cache = make(optimization_level="basic")
    for key in "ababab":
        cache.get(key)
    assert dict(cache.access_patterns) == {}
    assert cache.prediction_model is None
    with pytest.raises(TypeError):
        cache.access_patterns["a"] = ()  # type: ignore[index]


def test_with_prefetching_it_shows_what_follows_what(make: Callable[..., IntelligentCache]) -> None:
    cache = make(optimization_level="basic", prefetch=True, l1_cache_size=2)
    for key in "abcd" * 50:
        cache.get_or_load(key, str.upper)
    assert cache.access_patterns["a"][0].key == "b"
    assert cache.access_patterns["a"][0].share > 0.9
    assert isinstance(cache.prediction_model, Predictor)
    with pytest.raises(TypeError):
        cache.access_patterns["a"] = ()  # type: ignore[index]


def test_it_is_loaded_only_when_it_is_asked_for() -> None:
    done = run_alone("import overdrive, sys; assert 'overdrive._tiers.cache' not in sys.modules")
    assert done.returncode == 0, done.stderr


def test_the_example_in_its_docstring_holds() -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(IntelligentCache, module=False, globs=vars(overdrive))
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
