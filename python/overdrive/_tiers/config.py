"""`PerformanceConfig`: everything that can be set, checked, and where each value came from."""

from __future__ import annotations

import os
import re
from dataclasses import KW_ONLY, dataclass, field, fields
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from overdrive._strategy import CacheStrategy
from overdrive._tiers.fields import FIELDS
from overdrive._tiers.level import OptimizationLevel
from overdrive._tiers.user_directory import user_directory
from overdrive.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from typing import Literal, Self, TypeAlias

    from overdrive._tiers.checks import Check

    _Duration: TypeAlias = float | timedelta | str
    _Size: TypeAlias = int | str
    _Secret: TypeAlias = bytes | str

__all__ = ("PREFIX", "PerformanceConfig")

PREFIX: Final = "OVERDRIVE_"


def _cpus() -> int:
    """How many processors this process may use."""
    count = getattr(os, "process_cpu_count", os.cpu_count)  # the former since Python 3.13
    return count() or 1


def _twice_the_cpus() -> int:
    return 2 * _cpus()


@dataclass(frozen=True, repr=False)
class PerformanceConfig:
    """Everything that can be set, with defaults that need no server.

    What is not given is read from the environment: `l1_cache_size` from `OVERDRIVE_L1_CACHE_SIZE`, and so on; a
    variable that is empty counts as not set. What is not there either is as `optimization_level` sets it, if it does,
    or else the default. `sources()` tells which it was. Instances cannot be changed: `replace` makes others.

    Durations are seconds, timedeltas, or text such as "5m"; sizes are bytes, or text such as "64MB".

    Attributes:
        optimization_level: which features are on, by default: `OptimizationLevel` or its name.
        cache_strategy: what leaves memory first: `CacheStrategy` or its name.
        l1_cache_size: entries in memory, at most.
        l2_cache_size: entries of the namespace in Redis, about.
        l3_cache_size: entries on disk, at most.
        cache_ttl: seconds for which an entry is fresh unless it is set with another ttl.
        max_threads: threads for work that waits; twice the number of processors by default.
        max_processes: processes for work that computes; the number of processors by default.
        max_async_tasks: tasks that run at once, at most.
        memory_limit_gb: how much memory the process should use at most, in 10**9 bytes.
        gc_threshold: allocations after which the garbage collector runs.
        enable_memory_optimization: whether the garbage collector is tuned.
        enable_performance_monitoring: whether metrics are taken.
        metrics_interval: seconds between two samples of the metrics.
        alert_threshold: the fraction of a limit from which on there is an alert.
        redis_url: where Redis or Valkey is; `None` for none. Nothing is connected to that is not named here.
        redis_timeout: seconds that an operation may spend on Redis, all attempts together.
        cache_dir: the directory of the disk tier, in which each namespace has its own; `None` for a private one of the
            current user.
        namespace: what the entries belong to. Instances share entries if they share it, and `redis_url` or `cache_dir`.
        schema: the version of what is cached: entries of another one are not read.
        secret: signs what is written, at least 16 bytes; entries that are not signed with it are not read.
        old_secrets: signatures with these are accepted as well, so that the secret can be changed.
        encrypt: whether values are encrypted, too; needs a `secret`. Keys are not: see `hash_keys`.
        hash_keys: whether keys are written as hashes, because they have personal data.
        serializer: how values are written: "auto" as what fits them best; "exact", "msgpack", "json" in one way;
            "pickle" takes nearly everything, and runs code when it is read.
        allow_unsigned_pickle: whether "pickle" may be used with Redis and without a `secret`: whoever can write to
            that Redis can run any code in this process.
        max_key_bytes: how long a key may be as it is written.
        max_value_bytes: how large a value may be as it is written, before it is compressed; larger ones are kept
            in memory only.
        l1_max_bytes: memory of all entries, at most, as estimated; `None` for no limit but `l1_cache_size`.
        l3_max_bytes: disk space of all entries, at most.
        jitter: up to this fraction is taken off each ttl at random, so that entries do not expire together.
        stale: seconds after its ttl for which an entry is returned while it is loaded anew.
        stale_if_error: seconds after its ttl for which an entry is returned if loading it fails.
        negative_ttl: seconds for which it is kept that a load has returned `None`; `None` for not at all.
        soft_timeout: seconds after which a caller gets the stale entry, if there is one, while the load goes on.
        hard_timeout: seconds after which a caller gives up on a load.
        wait_timeout: seconds after which a caller gives up on a load that another one does.
        lease: seconds for which an instance that loads a key keeps others from loading it.
        max_staleness: seconds for which an instance that no longer hears of invalidations relies on its memory.
        on_disconnect: what then happens: "l2" asks Redis for every entry, "stale" relies on memory all the same.
        disk: whether there is a disk tier.
        redis: whether `redis_url` is used.
        compression: how values are compressed that are worth it: "zstd", "lz4", which is faster and leaves more, or
            `None` for not at all.
        early: the beta of XFetch: how eagerly entries are loaded anew before they expire; 0 for never.
        prefetch: whether keys are loaded that will probably be asked for next.
        prefetch_lookahead: how many requests ahead, at most.
        prefetch_budget: loads ahead that turn out to be wasted, per request, at most.
        tracking: whether Redis reports what other programs write.

    Raises:
        TypeError: an argument has the wrong type.
        ConfigError: an argument or a variable is out of range, or contradicts another.

    Example:
        >>> config = PerformanceConfig(l1_cache_size=50_000, cache_ttl=7200)
        >>> config
        PerformanceConfig(l1_cache_size=50000, cache_ttl=7200)
        >>> config.sources()["l1_cache_size"]
        'argument'
    """

    optimization_level: OptimizationLevel = OptimizationLevel.ADVANCED
    cache_strategy: CacheStrategy = CacheStrategy.ADAPTIVE

    l1_cache_size: int = 100_000
    l2_cache_size: int = 1_000_000
    l3_cache_size: int = 10_000_000
    cache_ttl: float = 3600

    max_threads: int = field(default_factory=_twice_the_cpus)
    max_processes: int = field(default_factory=_cpus)
    max_async_tasks: int = 1000

    memory_limit_gb: float = 8.0
    gc_threshold: int = 1000
    enable_memory_optimization: bool = True

    enable_performance_monitoring: bool = True
    metrics_interval: float = 60.0
    alert_threshold: float = 0.8

    _: KW_ONLY
    redis_url: str | None = None
    redis_timeout: float = 0.15
    cache_dir: Path | None = None
    namespace: str = "default"
    schema: int = 0

    secret: bytes | None = None
    old_secrets: tuple[bytes, ...] = ()
    encrypt: bool = False
    hash_keys: bool = False

    serializer: str = "auto"
    allow_unsigned_pickle: bool = False
    max_key_bytes: int = 1024
    max_value_bytes: int = 64 * 2**20

    l1_max_bytes: int | None = None
    l3_max_bytes: int = 4 * 2**30

    jitter: float = 0.05
    stale: float = 0
    stale_if_error: float = 0
    negative_ttl: float | None = None
    soft_timeout: float | None = None
    hard_timeout: float | None = None
    wait_timeout: float | None = None
    lease: float = 10
    max_staleness: float = 1
    on_disconnect: Literal["l2", "stale"] = "l2"

    # These are the level's, and what is here is that of the default level.
    disk: bool = True
    redis: bool = True
    compression: Literal["zstd", "lz4"] | None = "zstd"
    early: float = 0.0
    prefetch: bool = False
    prefetch_lookahead: int = 4
    prefetch_budget: float = 0.1
    tracking: bool = False

    if TYPE_CHECKING:
        # What arguments may be, which is more than what the fields are.
        def __init__(
            self,
            optimization_level: OptimizationLevel | str = ...,
            cache_strategy: CacheStrategy | str = ...,
            l1_cache_size: int = ...,
            l2_cache_size: int = ...,
            l3_cache_size: int = ...,
            cache_ttl: _Duration = ...,
            max_threads: int = ...,
            max_processes: int = ...,
            max_async_tasks: int = ...,
            memory_limit_gb: float = ...,
            gc_threshold: int = ...,
            enable_memory_optimization: bool = ...,
            enable_performance_monitoring: bool = ...,
            metrics_interval: _Duration = ...,
            alert_threshold: float = ...,
            *,
            redis_url: str | None = ...,
            redis_timeout: _Duration = ...,
            cache_dir: str | os.PathLike[str] | None = ...,
            namespace: str = ...,
            schema: int = ...,
            secret: _Secret | None = ...,
            old_secrets: Sequence[_Secret] = ...,
            encrypt: bool = ...,
            hash_keys: bool = ...,
            serializer: str = ...,
            allow_unsigned_pickle: bool = ...,
            max_key_bytes: _Size = ...,
            max_value_bytes: _Size = ...,
            l1_max_bytes: _Size | None = ...,
            l3_max_bytes: _Size = ...,
            jitter: float = ...,
            stale: _Duration = ...,
            stale_if_error: _Duration = ...,
            negative_ttl: _Duration | None = ...,
            soft_timeout: _Duration | None = ...,
            hard_timeout: _Duration | None = ...,
            wait_timeout: _Duration | None = ...,
            lease: _Duration = ...,
            max_staleness: _Duration = ...,
            on_disconnect: str = ...,
            disk: bool = ...,
            redis: bool = ...,
            compression: str | None = ...,
            early: float = ...,
            prefetch: bool = ...,
            prefetch_lookahead: int = ...,
            prefetch_budget: float = ...,
            tracking: bool = ...,
        ) -> None: ...

    # Where each value is from; `__new__` notes which arguments there were, which `__init__` cannot tell from defaults.
    _given: ClassVar[frozenset[str]] = frozenset()
    _prefix: ClassVar[str] = PREFIX
    _sources: ClassVar[dict[str, str]] = {}

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Note which arguments are given."""
        self = super().__new__(cls)
        positional = [each.name for each in fields(cls) if not each.kw_only]
        object.__setattr__(self, "_given", frozenset([*positional[: len(args)], *kwargs]))
        return self

    def __post_init__(self) -> None:
        sources: dict[str, str] = {}
        for name, check in FIELDS.items():
            value, sources[name] = self._settle(name, check)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_sources", sources)
        self._check_combinations()

    @classmethod
    def from_env(cls, prefix: str = PREFIX, **arguments: Any) -> Self:
        """Return what the environment says, in variables with another prefix.

        Args:
            prefix: what the names of the variables begin with.
            arguments: as of `PerformanceConfig`; they win over variables.

        Raises:
            TypeError, ConfigError: as `PerformanceConfig` does.
        """
        if not isinstance(prefix, str):
            raise TypeError(f"prefix must be a str, got {prefix!r}")
        config = cls.__new__(cls, **arguments)
        object.__setattr__(config, "_prefix", prefix)
        config.__init__(**arguments)  # type: ignore[misc] # the instance knows the prefix by now
        return config

    def replace(self, **changes: Any) -> Self:
        """Return a config with other arguments besides those that this one was made with."""
        given = {name: getattr(self, name) for name in self._given}
        return self.from_env(self._prefix, **given | changes)

    __replace__ = replace

    def sources(self) -> Mapping[str, str]:
        """Return where the value of each field is from.

        It is "argument", "environment" with the name of the variable, "level" with the name of the level, or
        "default".
        """
        return MappingProxyType(self._sources)

    def as_dict(self) -> dict[str, object]:
        """Return all fields, as plain values to show: passwords and secrets are left out."""
        return {name: _shown(name, getattr(self, name)) for name in FIELDS}

    @property
    def l2_url(self) -> str | None:
        """The Redis to connect to; `None` for none."""
        return self.redis_url if self.redis else None

    @property
    def l3_directory(self) -> Path | None:
        """The directory of the disk tier, in which each namespace has one; `None` if there is none. It need not exist.

        Raises:
            ConfigError: no directory is set, and the current user has no home.
        """
        if not self.disk:
            return None
        return user_directory() if self.cache_dir is None else self.cache_dir

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """All secrets, the one that signs first; empty if there is none."""
        return () if self.secret is None else (self.secret, *self.old_secrets)

    def __repr__(self) -> str:
        told = [
            f"{name}={_shown(name, getattr(self, name))!r}"
            for name, source in self._sources.items()
            if source == "argument" or source.startswith("environment")
        ]
        return f"{type(self).__name__}({', '.join(told)})"

    def _settle(self, name: str, check: Check) -> tuple[Any, str]:
        """Return the value of a field, and where it is from."""
        value = getattr(self, name)
        if name in self._given:
            return _checked(name, check, value), "argument"
        variable = f"{self._prefix}{name.upper()}"
        text = os.environ.get(variable, "").strip()
        if text:
            return _read(name, check, variable, text), f"environment {variable}"
        setting = self.optimization_level.preset.get(name)
        return (value, "default") if setting is None else (setting.value, f"level {self.optimization_level}")

    def _check_combinations(self) -> None:
        for option, switch in (("redis_url", "redis"), ("cache_dir", "disk")):
            if option in self._given and getattr(self, option) is not None and not getattr(self, switch):
                raise ConfigError(
                    f"{option} is given, but {switch} is False ({self._sources[switch]}): leave {option} out, "
                    f"or set {switch}=True"
                )
        if self.old_secrets and self.secret is None:
            raise ConfigError("old_secrets must come with a secret: they are accepted beside it")
        if self.encrypt and self.secret is None:
            raise ConfigError("encrypt=True needs a secret, which the key is made of")
        if self.serializer == "pickle" and self.l2_url is not None and not (self.secret or self.allow_unsigned_pickle):
            raise ConfigError(
                "serializer='pickle' with redis_url needs a secret: whoever can write to that Redis could run any code "
                "here; set secret, or another serializer"
            )
        if self.soft_timeout is not None and self.hard_timeout is not None and self.soft_timeout > self.hard_timeout:
            raise ConfigError(
                f"soft_timeout must be at most hard_timeout, got {self.soft_timeout} and {self.hard_timeout} seconds"
            )
        _ = self.l3_directory  # fails where there is none, before anything is made


PerformanceConfig.__module__ = "overdrive"


def _checked(name: str, check: Check, value: object) -> object:
    try:
        return check.value(value)
    except TypeError:
        raise TypeError(f"{name} must be {check.allowed}, got {_got(check, value)}") from None
    except ValueError:
        raise ConfigError(f"{name} must be {check.allowed}, got {_got(check, value)}") from None


def _read(name: str, check: Check, variable: str, text: str) -> object:
    try:
        return check.value(check.text(text))
    except (TypeError, ValueError):
        raise ConfigError(f"{variable} ({name}) must be {check.allowed}, got {_got(check, text)}") from None


def _got(check: Check, value: object) -> str:
    return f"another {type(value).__name__}, which is not shown" if check.is_secret else f"{value!r:.200}"


_PASSWORD: Final = re.compile(r"(?<=://).*(?=@)|(?<=password=)[^&#]*")


def _shown(name: str, value: object) -> object:
    if FIELDS[name].is_secret:
        return "***" if value else value
    if name == "redis_url" and isinstance(value, str):
        return _PASSWORD.sub(lambda found: f"{found[0].partition(':')[0]}:***" if ":" in found[0] else "***", value)
    if isinstance(value, Enum):
        return str(value.value)
    return str(value) if isinstance(value, Path) else value
