"""Where to look: the Redis and the folder of one namespace, and what its values are checked with."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from overdrive.exceptions import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from overdrive._core import Sealer
    from overdrive._tiers.config import PerformanceConfig
    from overdrive._tiers.l2.scripts import Steps
    from overdrive._tiers.l2.tier import RedisTier
    from overdrive._tiers.l3.tier import DiskTier

__all__ = ("Disk", "Places", "Redis", "Trouble", "opened")


class Trouble(Exception):  # noqa: N818 - ends a command, with a message for whoever typed it
    """What was asked for cannot be done."""


@dataclass(frozen=True)
class Redis:
    """L2 of a namespace.

    Attributes:
        tier: does steps.
        steps: makes them.
    """

    tier: RedisTier
    steps: Steps


@dataclass(frozen=True)
class Disk:
    """L3 of a namespace.

    Attributes:
        tier: the entries.
        folder: where they are.
    """

    tier: DiskTier
    folder: Path


@dataclass(frozen=True)
class Places:
    """One namespace, wherever it is to be looked at.

    Attributes:
        config: what its instances are configured with, as far as that is known here.
        redis: L2, if it is to be looked at.
        disk: L3, likewise.
        sealer: opens the envelopes of values.
    """

    config: PerformanceConfig
    redis: Redis | None
    disk: Disk | None
    sealer: Sealer

    @property
    def namespace(self) -> str:
        """The namespace."""
        return self.config.namespace

    @property
    def has_secret(self) -> bool:
        """Whether signatures can be checked."""
        return self.config.secret is not None


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Places]:
    """Open what the arguments and the environment name. Nothing is made that is not there.

    Raises:
        Trouble: there is nothing to look at, or nothing of this namespace there.
        ConfigError: an argument or a variable is wrong.
        MissingExtraError: a package is missing.
        TierUnavailable: Redis does not answer.
    """
    if not options.timeout > 0:
        raise Trouble(f"--timeout must be above 0 seconds, got {options.timeout!r}")
    config = _config(options)
    wants_disk = options.l3 is not None or options.l2 is None
    with ExitStack() as stack:
        redis = _redis(config, options, stack) if config.l2_url is not None else None
        disk = _disk(config, options, stack, is_needed=redis is None) if wants_disk and config.disk else None
        if redis is None and disk is None:
            raise Trouble("there is nothing to look at: give --l2 URL or --l3 DIR")
        yield Places(config, redis, disk, _sealer(config))


def _config(options: argparse.Namespace) -> PerformanceConfig:
    from overdrive._tiers.config import PerformanceConfig

    # Nothing is written here, nor are values made again: what that would take is not asked for.
    given: dict[str, Any] = {"serializer": "auto", "encrypt": False}
    if options.namespace is not None:
        given["namespace"] = options.namespace
    if options.l2 is not None or options.l3 is not None:
        given |= {"redis": options.l2 is not None, "disk": options.l3 is not None}
    if options.l2 is not None:
        given["redis_url"] = options.l2
    if options.l3 is not None:
        given["cache_dir"] = options.l3
    if options.secret_file is not None:
        given["secret"], *given["old_secrets"] = _secrets(options.secret_file)
    return PerformanceConfig(**given)


def _secrets(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(f"--secret-file cannot be read: {error}") from None
    secrets = [line.removesuffix("\r") for line in lines if line.strip()]
    if not secrets:
        raise Trouble(f"--secret-file {str(path)!r} is empty")
    return secrets


def _redis(config: PerformanceConfig, options: argparse.Namespace, stack: ExitStack) -> Redis:
    from overdrive._tiers.l2.scripts import Steps
    from overdrive._tiers.l2.step import Step
    from overdrive._tiers.l2.tier import RedisTier

    url = config.l2_url
    if url is None:
        raise ConfigError("redis_url is not set")
    seconds = options.timeout
    tier = RedisTier(url, namespace=config.namespace, budget=seconds, connect_timeout=seconds)
    stack.callback(tier.close)
    steps = Steps(config.namespace, origin=b"command", limit=config.l2_cache_size)
    # Instances that listen have made the stream, and whoever has loaded a value the clock.
    if not tier.call(Step("exists", int, ("EXISTS", steps.stream, steps.clock))):
        raise Trouble(f"{tier.target} has nothing of a namespace {config.namespace!r}")
    return Redis(tier, steps)


def _disk(config: PerformanceConfig, options: argparse.Namespace, stack: ExitStack, *, is_needed: bool) -> Disk | None:
    from overdrive._tiers.l3.tier import DiskTier

    root = config.l3_directory
    if root is None:
        return None
    folder = root / config.namespace
    if not (folder / "v1" / "layout").is_file():
        if options.l3 is None and not is_needed:
            return None  # nobody asked for the disk, and this host has none
        raise Trouble(f"{str(root)!r} has nothing of a namespace {config.namespace!r}{_others(root)}")
    tier = DiskTier(folder)
    stack.callback(tier.close)
    return Disk(tier, folder)


def _others(root: Path) -> str:
    names = sorted(path.parent.parent.name for path in root.glob("*/v1/layout"))
    return f"; there is {', '.join(names[:10])}" if names else ""


def _sealer(config: PerformanceConfig) -> Sealer:
    from overdrive._core import Sealer
    from overdrive._tiers.values.secrets import keys_of

    keys = keys_of(config.secrets or None)
    return Sealer(
        config.namespace.encode(),
        keys=keys,
        write_key=keys[0].id if keys else None,
        require_mac=bool(keys),
        max_raw=config.max_value_bytes,
    )
