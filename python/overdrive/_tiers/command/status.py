"""Show how Redis and the disk are, and how much is in there.

What only a process knows (hits, which invalidations wait to be sent, how far it has heard of others') is in
`cache.stats()` and `cache.health()` of that process.
"""

from __future__ import annotations

import shutil
from time import perf_counter
from typing import TYPE_CHECKING

from overdrive._tiers.command.showing import bytes_text, columns, show
from overdrive._tiers.l2.step import Step
from overdrive.exceptions import TierUnavailable

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from overdrive._tiers.command.places import Disk, Places, Redis

__all__ = ("SUMMARY", "add_arguments", "run")

SUMMARY = "show how the tiers are, and how much is in there"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""


def run(options: argparse.Namespace, places: Places) -> int:
    """Show the tiers; 1 if one of them is not well."""
    tiers: dict[str, dict[str, Any]] = {}
    if places.redis is not None:
        tiers["l2"] = _redis(places.redis)
    if places.disk is not None:
        tiers["l3"] = _disk(places.disk, places.namespace)
    lines = [f"namespace  {places.namespace}"]
    for name, facts in tiers.items():
        lines += ["", name, *columns((f"  {fact}", _text(fact, value)) for fact, value in facts.items() if value != "")]
    hints = _hints(tiers)
    show(options, {"namespace": places.namespace, **tiers, "hints": hints}, [*lines, *([""] if hints else []), *hints])
    return 0 if all(facts["state"] == "up" for facts in tiers.values()) else 1


def _redis(redis: Redis) -> dict[str, Any]:
    tier, steps = redis.tier, redis.steps
    began = perf_counter()
    tier.call(steps.ping())
    latency = perf_counter() - began
    position = tier.call(steps.position()).decode()
    length, entries = (
        tier.call(Step("xlen", int, ("XLEN", steps.stream))),
        tier.call(Step("zcard", int, ("ZCARD", steps.index))),
    )
    everything = tier.call(steps.tag_epochs())[0]
    info = _info(redis)
    return {
        "state": "up" if info.get("role", "master") == "master" else "degraded",
        "reason": "" if info.get("role", "master") == "master" else "it is a replica, which takes no writes",
        "address": str(tier.route.address or tier.target),
        "server": _server(info),
        "latency_ms": round(latency * 1000, 3),
        # Only a namespace with a limit has an index of its keys.
        "entries": entries or None,
        "notices": length,
        "last_notice": position,
        "last_clear": everything / 1e6 if everything else None,
        "connections": _connections(redis),
        "memory_bytes": _number(info, "used_memory"),
        "max_memory_bytes": _number(info, "maxmemory"),
        "eviction": info.get("maxmemory_policy"),
        "evicted": _number(info, "evicted_keys"),
    }


def _hints(tiers: dict[str, dict[str, Any]]) -> list[str]:
    """Return what works, and should be otherwise."""
    hints = []
    facts = tiers.get("l2", {})
    if facts.get("max_memory_bytes") and str(facts["eviction"]).startswith("allkeys"):
        hints.append(
            f"maxmemory-policy {facts['eviction']} may evict what invalidated tags are known by, and bring back their "
            "values: set volatile-ttl"
        )
    if tiers.get("l3", {}).get("set_aside"):
        hints.append("shards were damaged and set aside, as *.corrupt-*: look at the disk, and remove them")
    return hints


def _info(redis: Redis) -> dict[str, str]:
    """Return what the server says of itself; nothing if this user may not ask for it."""
    try:
        text: bytes = redis.tier.call(Step("info", _same, ("INFO",)))
    except TierUnavailable as error:
        if getattr(error, "reason", "") != "denied":
            raise
        return {}
    pairs = (line.partition(":") for line in text.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def _server(info: dict[str, str]) -> str | None:
    if "valkey_version" in info:
        return f"valkey {info['valkey_version']}"
    return f"redis {info['redis_version']}" if "redis_version" in info else None


def _number(info: dict[str, str], name: str) -> int | None:
    value = info.get(name, "")
    return int(value) if value.isdigit() else None


def _connections(redis: Redis) -> int | None:
    """Return how many connections of caches of this namespace the server has, without ours; `None` if it won't tell."""
    try:
        text: bytes = redis.tier.call(Step("client_list", _same, ("CLIENT", "LIST")))
    except TierUnavailable as error:
        if getattr(error, "reason", "") != "denied":
            raise
        return None
    name = f" name=overdrive:{redis.tier.namespace} "
    return max(0, sum(name in line for line in text.decode(errors="replace").splitlines()) - 1)


def _disk(disk: Disk, namespace: str) -> dict[str, Any]:
    from overdrive._tiers.l2.journal import count_pending

    tier = disk.tier
    health, stats = tier.health(), tier.stats()
    states = {"ok": "up", "full": "degraded", "off": "down"}
    return {
        "state": states[health.state],
        "reason": health.reason,
        "directory": str(disk.folder),
        "engine": f"{health.engine} {health.sqlite}",
        "shards": health.shards,
        "entries": stats.entries,
        "bytes": stats.bytes,
        "file_bytes": sum(path.stat().st_size for path in disk.folder.rglob("*") if path.is_file()),
        "free_bytes": shutil.disk_usage(disk.folder).free,
        "set_aside": sum(1 for _ in disk.folder.glob("v1/*.corrupt-*")),
        # What processes of this host could not tell Redis yet.
        "pending_invalidations": count_pending(disk.folder.with_name(f"{namespace}.pending"), namespace),
    }


def _text(name: str, value: Any) -> str:
    if value is None:
        return "not counted" if name == "entries" else "unknown" if name != "last_clear" else "never"
    if name.endswith("bytes"):
        return "no limit" if name == "max_memory_bytes" and not value else bytes_text(value)
    if name == "last_clear":
        from datetime import UTC, datetime

        return datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds")
    return f"{value:,}" if isinstance(value, int) else str(value)


def _same(reply: Any) -> Any:
    return reply
