"""The configuration: its defaults, where values come from, what is refused."""

from __future__ import annotations

import ast
import copy
import dataclasses
import doctest
import os
import pickle
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import overdrive
from overdrive import CacheStrategy, ConfigError, OptimizationLevel, PerformanceConfig
from overdrive._tiers import config as module
from overdrive._tiers import level, user_directory
from overdrive._tiers.fields import FIELDS


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"cache"


SECRET = "correct horse battery"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OVERDRIVE_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


# --- defaults ---------------------------------------------------------------------------------


def test_defaults_are_those_documented() -> None:
    config = PerformanceConfig()
    cpus = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    promised = {
        "optimization_level": OptimizationLevel.ADVANCED,
        "cache_strategy": CacheStrategy.ADAPTIVE,
        "l1_cache_size": 100_000,
        "l2_cache_size": 1_000_000,
        "l3_cache_size": 10_000_000,
        "cache_ttl": 3600,
        "max_threads": 2 * cpus,
        "max_processes": cpus,
        "max_async_tasks": 1000,
        "memory_limit_gb": 8.0,
        "gc_threshold": 1000,
        "enable_memory_optimization": True,
        "enable_performance_monitoring": True,
        "metrics_interval": 60.0,
        "alert_threshold": 0.8,
    }
    assert {name: getattr(config, name) for name in promised} == promised
    # In this order, and these alone can be given by position.
    assert [each.name for each in dataclasses.fields(config) if not each.kw_only] == list(promised)


def test_by_default_there_is_no_server_and_a_private_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = PerformanceConfig(namespace="shop")
    assert config.l2_url is None
    assert config.l3_directory == tmp_path / "overdrive"
    assert not any(tmp_path.iterdir())


def test_every_field_has_a_check_and_its_default_passes() -> None:
    config = PerformanceConfig()
    assert [each.name for each in dataclasses.fields(config)] == list(FIELDS)
    for name, check in FIELDS.items():
        assert check.value(getattr(config, name)) == getattr(config, name), name


def test_every_field_is_described() -> None:
    described = (PerformanceConfig.__doc__ or "").partition("Attributes:")[2].partition("Raises:")[0]
    names = [line.strip().partition(":")[0] for line in described.splitlines() if line.startswith("        ")]
    assert set(FIELDS) <= set(names)


# --- levels -----------------------------------------------------------------------------------


def test_levels_set_the_same_fields_and_say_why() -> None:
    for each in OptimizationLevel:
        assert list(each.preset) == list(OptimizationLevel.BASIC.preset)
        for name, setting in each.preset.items():
            assert FIELDS[name].value(setting.value) == setting.value
            assert len(setting.why) > 20


def test_defaults_of_the_fields_that_a_level_sets_are_those_of_the_default_level() -> None:
    defaults = {each.name: each.default for each in dataclasses.fields(PerformanceConfig)}
    for name, setting in PerformanceConfig().optimization_level.preset.items():
        assert defaults[name] == setting.value


def test_presets_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        OptimizationLevel.BASIC.preset["disk"] = level.Setting(True, "")  # type: ignore[index]


@pytest.mark.parametrize("name", list(OptimizationLevel))
def test_a_level_gives_the_values_of_its_preset(name: OptimizationLevel) -> None:
    config = PerformanceConfig(name)
    for field, setting in name.preset.items():
        assert getattr(config, field) == setting.value
        assert config.sources()[field] == f"level {name.value}"


def test_levels_differ_as_they_are_described() -> None:
    basic, advanced, ultra, extreme = (PerformanceConfig(each) for each in OptimizationLevel)
    assert (basic.disk, basic.redis, basic.l3_directory) == (False, False, None)
    assert (advanced.disk, advanced.redis, advanced.prefetch, advanced.early) == (True, True, False, 0.0)
    assert (ultra.prefetch, ultra.early, ultra.tracking) == (True, 1.0, False)
    assert extreme.prefetch_lookahead > ultra.prefetch_lookahead
    assert extreme.tracking


def test_what_is_set_wins_over_the_level() -> None:
    config = PerformanceConfig("extreme", prefetch=False)
    assert not config.prefetch
    assert config.sources()["prefetch"] == "argument"
    assert config.tracking


def test_basic_uses_no_redis_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERDRIVE_REDIS_URL", "redis://localhost")
    assert PerformanceConfig("basic").l2_url is None
    assert PerformanceConfig().l2_url == "redis://localhost"


# --- the environment --------------------------------------------------------------------------


def test_fields_left_at_their_default_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERDRIVE_L1_CACHE_SIZE", "5000")
    monkeypatch.setenv("OVERDRIVE_CACHE_TTL", "5m")
    monkeypatch.setenv("OVERDRIVE_OPTIMIZATION_LEVEL", "ULTRA")
    monkeypatch.setenv("OVERDRIVE_L3_MAX_BYTES", "64MB")
    monkeypatch.setenv("OVERDRIVE_DISK", "no")
    monkeypatch.setenv("OVERDRIVE_SECRET", SECRET)
    monkeypatch.setenv("OVERDRIVE_OLD_SECRETS", f"{'a' * 16} {'b' * 16}")
    monkeypatch.setenv("OVERDRIVE_ALERT_THRESHOLD", "0.7")
    config = PerformanceConfig()
    assert (config.l1_cache_size, config.cache_ttl, config.l3_max_bytes) == (5000, 300, 64_000_000)
    assert config.optimization_level is OptimizationLevel.ULTRA
    assert (config.disk, config.prefetch, config.alert_threshold) == (False, True, 0.7)
    assert config.secrets == (SECRET.encode(), b"a" * 16, b"b" * 16)
    assert config.sources()["l1_cache_size"] == "environment OVERDRIVE_L1_CACHE_SIZE"
    assert config.sources()["prefetch"] == "level ultra"
    assert config.sources()["l2_cache_size"] == "default"


def test_arguments_win_even_if_they_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERDRIVE_L1_CACHE_SIZE", "5000")
    monkeypatch.setenv("OVERDRIVE_OPTIMIZATION_LEVEL", "basic")
    config = PerformanceConfig(OptimizationLevel.ADVANCED, l1_cache_size=100_000)
    assert config.l1_cache_size == 100_000
    assert config.optimization_level is OptimizationLevel.ADVANCED


def test_empty_variables_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERDRIVE_REDIS_URL", "")
    monkeypatch.setenv("OVERDRIVE_L1_CACHE_SIZE", " ")
    config = PerformanceConfig()
    assert config.sources()["redis_url"] == config.sources()["l1_cache_size"] == "default"


def test_none_can_be_said_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERDRIVE_HARD_TIMEOUT", "none")
    monkeypatch.setenv("OVERDRIVE_COMPRESSION", "None")
    config = PerformanceConfig()
    assert (config.hard_timeout, config.compression) == (None, None)


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("L1_CACHE_SIZE", "many", "(l1_cache_size) must be a whole number from 1 to 4294967231, got 'many'"),
        ("L1_CACHE_SIZE", "0", "(l1_cache_size) must be a whole number from 1 to 4294967231, got '0'"),
        (
            "CACHE_TTL",
            "soon",
            "(cache_ttl) must be seconds above 0, a timedelta, or text such as '5m', got 'soon'",
        ),
        ("L3_MAX_BYTES", "1KB", "(l3_max_bytes) must be bytes of at least 1048576, or text such as '64MB', got '1KB'"),
        ("DISK", "perhaps", "(disk) must be a bool, got 'perhaps'"),
        ("OPTIMIZATION_LEVEL", "max", "must be one of 'basic', 'advanced', 'ultra', 'extreme', got 'max'"),
        ("ALERT_THRESHOLD", "nan", "(alert_threshold) must be a number from 0 to 1, got 'nan'"),
        ("SECRET", "hunter2", "(secret) must be bytes or a str of at least 16 bytes, or None, got another str, which"),
        ("OLD_SECRETS", "hunter2", "got another str, which is not shown"),
    ],
)
def test_wrong_variables_are_named(monkeypatch: pytest.MonkeyPatch, variable: str, text: str, message: str) -> None:
    monkeypatch.setenv(f"OVERDRIVE_{variable}", text)
    with pytest.raises(ConfigError) as caught:
        PerformanceConfig()
    assert str(caught.value).startswith(f"OVERDRIVE_{variable} (")
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_variables_may_have_another_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_L1_CACHE_SIZE", "7")
    monkeypatch.setenv("OVERDRIVE_L2_CACHE_SIZE", "8")
    config = PerformanceConfig.from_env("SHOP_", cache_ttl=60)
    assert (config.l1_cache_size, config.l2_cache_size, config.cache_ttl) == (7, 1_000_000, 60)
    assert config.sources()["l1_cache_size"] == "environment SHOP_L1_CACHE_SIZE"
    assert config.replace(cache_ttl=30).l1_cache_size == 7
    monkeypatch.setenv("SHOP_L1_CACHE_SIZE", "x")
    with pytest.raises(ConfigError, match="SHOP_L1_CACHE_SIZE"):
        PerformanceConfig.from_env("SHOP_")
    with pytest.raises(TypeError, match="prefix must be a str, got 3"):
        PerformanceConfig.from_env(3)  # type: ignore[arg-type]


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("l1_cache_size", "1000", "l1_cache_size must be a whole number from 1 to 4294967231, got '1000'"),
        ("l1_cache_size", True, "got True"),
        ("cache_strategy", 1, "cache_strategy must be one of 'lru', 'lfu', 'arc', 'adaptive', got 1"),
        ("serializer", None, "serializer must be one of 'auto', 'exact', 'msgpack', 'json', 'pickle', got None"),
        ("memory_limit_gb", "8", "memory_limit_gb must be a number above 0, got '8'"),
        ("disk", 1, "disk must be a bool, got 1"),
        ("redis_url", 6379, "redis_url must be a URL such as 'redis://localhost:6379/0', or None, got 6379"),
        ("cache_dir", 3, "cache_dir must be a path, or None, got 3"),
        ("cache_dir", b"cache", "cache_dir must be a path, or None, got b'cache'"),
        ("cache_dir", BytesPath(), "cache_dir must be a path, or None, got"),
        ("namespace", None, "namespace must be 1 to 64 letters"),
        ("secret", 12345678, "secret must be bytes or a str of at least 16 bytes, or None, got another int"),
        ("old_secrets", SECRET, "old_secrets must be a tuple"),
        ("cache_ttl", None, "cache_ttl must be seconds above 0"),
        (
            "max_value_bytes",
            1e6,
            "max_value_bytes must be bytes from 1024 to 4294967295, or text such as '64MB', got 1",
        ),
    ],
)
def test_wrong_types_are_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        PerformanceConfig(**{field: value})
    assert message in str(caught.value)
    assert "12345678" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimization_level", "maximal"),
        ("l1_cache_size", 0),
        ("l1_cache_size", 2**32),
        ("cache_ttl", -1),
        ("cache_ttl", 0),
        ("hard_timeout", 0),
        ("cache_ttl", "five"),
        ("memory_limit_gb", 0),
        ("memory_limit_gb", float("inf")),
        ("alert_threshold", 1.1),
        ("alert_threshold", float("nan")),
        ("redis_url", ""),
        ("redis_timeout", 0),
        ("redis_timeout", float("inf")),
        ("cache_dir", ""),
        ("cache_dir", "~nobody-of-this-name/cache"),
        ("cache_dir", "a\x00b"),
        ("namespace", ""),
        ("namespace", "../other"),
        ("namespace", "a{b}"),
        ("namespace", "x" * 65),
        ("secret", "short"),
        ("old_secrets", ("short",)),
        ("serializer", "yaml"),
        ("on_disconnect", "raise"),
        ("prefetch_lookahead", 0),
        ("compression", "gzip"),
        ("max_value_bytes", "4GiB"),
    ],
)
def test_values_out_of_range_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{field} must be .*, got "):
        PerformanceConfig(**{field: value})


def test_contradictions_are_refused() -> None:
    url = "redis://localhost"
    with pytest.raises(
        ConfigError, match=r"redis_url is given, but redis is False \(level basic\): leave redis_url out"
    ):
        PerformanceConfig("basic", redis_url=url)
    with pytest.raises(ConfigError, match=r"cache_dir is given, but disk is False \(argument\)"):
        PerformanceConfig(cache_dir="cache", disk=False)
    with pytest.raises(ConfigError, match="old_secrets must come with a secret"):
        PerformanceConfig(old_secrets=[SECRET])
    with pytest.raises(ConfigError, match="encrypt=True needs a secret"):
        PerformanceConfig(encrypt=True)
    with pytest.raises(ConfigError, match="soft_timeout must be at most hard_timeout, got 2 and 1 seconds"):
        PerformanceConfig(soft_timeout=2, hard_timeout=1)
    with pytest.raises(ConfigError, match="serializer='pickle' with redis_url needs a secret"):
        PerformanceConfig(serializer="pickle", redis_url=url)


def test_pickle_is_allowed_where_nobody_else_can_write() -> None:
    url = "redis://localhost"
    assert PerformanceConfig(serializer="pickle").serializer == "pickle"
    assert PerformanceConfig(serializer="pickle", redis_url=url, secret=SECRET).secrets == (SECRET.encode(),)
    assert PerformanceConfig(serializer="pickle", redis_url=url, allow_unsigned_pickle=True).l2_url == url


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(TypeError, match="l4_cache_size"):
        PerformanceConfig(l4_cache_size=1)  # type: ignore[call-arg]


# --- directories ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", ".cache"),
        ("darwin", "XDG_CACHE_HOME", "Library/Caches"),
        ("win32", "LOCALAPPDATA", "AppData/Local"),
    ],
)
def test_the_directory_is_where_the_platform_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variable: str, expected: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, "relative/is/ignored")
    assert user_directory.user_directory() == tmp_path / expected / "overdrive"
    monkeypatch.setenv(variable, str(tmp_path / "named"))
    assert user_directory.user_directory() == tmp_path / "named" / "overdrive"


def test_who_has_no_home_must_say_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ConfigError, match=r"cache_dir must be given, or disk=False, since .* OVERDRIVE_CACHE_DIR"):
        PerformanceConfig()
    assert PerformanceConfig(disk=False).l3_directory is None
    assert PerformanceConfig(cache_dir=tmp_path).l3_directory == tmp_path


def test_a_relative_directory_is_that_of_now(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert PerformanceConfig(cache_dir="cache").l3_directory == tmp_path / "cache"


# --- as an object -----------------------------------------------------------------------------


def test_quantities_may_be_text_or_timedelta() -> None:
    config = PerformanceConfig(cache_ttl=timedelta(minutes=5), stale="1h", l3_max_bytes="10GiB")
    assert (config.cache_ttl, config.stale, config.l3_max_bytes) == (300, 3600, 10 * 2**30)


def test_neither_secrets_nor_passwords_are_shown() -> None:
    config = PerformanceConfig(
        secret=SECRET,
        old_secrets=[SECRET],
        redis_url="redis://ada:pass/w@rd@localhost:6379/0",
    )
    for shown in (repr(config), str(config), str(config.as_dict())):
        assert "horse" not in shown
        assert "pass" not in shown
        assert "rd@" not in shown
        assert "ada:***@localhost:6379/0" in shown
    assert "***" in repr(PerformanceConfig(redis_url="unix:///run/redis.sock?password=hunter2"))
    assert "hunter2" not in repr(PerformanceConfig(redis_url="unix:///run/redis.sock?password=hunter2"))


def test_what_is_shown_is_what_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERDRIVE_CACHE_DIR", "/var/cache/shop")
    assert repr(PerformanceConfig("ultra", redis_url="redis://localhost")) == (
        "PerformanceConfig(optimization_level='ultra', redis_url='redis://localhost', cache_dir='/var/cache/shop')"
    )


def test_configs_cannot_be_changed_but_replaced() -> None:
    config = PerformanceConfig("basic", cache_ttl=60)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.cache_ttl = 30  # type: ignore[misc]
    other = config.replace(optimization_level="ultra")
    assert (other.cache_ttl, other.disk, other.sources()["cache_ttl"]) == (60, True, "argument")
    assert config.optimization_level is OptimizationLevel.BASIC


def test_configs_are_compared_copied_and_pickled() -> None:
    config = PerformanceConfig("ultra", secret=SECRET)
    for twin in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert twin == config
        assert hash(twin) == hash(config)
        assert twin.sources() == config.sources()
    assert PerformanceConfig("basic") != config


def test_sources_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PerformanceConfig().sources()["disk"] = "me"  # type: ignore[index]


def test_it_is_loaded_only_when_it_is_asked_for() -> None:
    script = "import overdrive, sys; assert not [m for m in sys.modules if m.startswith('overdrive._tiers')]"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_type_checkers_are_told_of_every_argument() -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    declared = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    arguments = declared[0].args
    assert [each.arg for each in arguments.args + arguments.kwonlyargs] == ["self", *FIELDS]


@pytest.mark.parametrize("documented", [PerformanceConfig, OptimizationLevel])
def test_examples_in_docstrings_hold(documented: Any) -> None:
    # Not by module, as its classes show their public path.
    (example,) = doctest.DocTestFinder(recurse=False).find(documented, module=False, globs=vars(overdrive))
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
