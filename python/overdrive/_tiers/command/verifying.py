"""Check every value: its signature if a secret is given, its checksum, and that it can be decompressed.

Values are not made of it, so that no code runs. What has expired, or was invalidated, is counted and is not bad.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from overdrive._tiers.command.judging import BAD, REASONS, TagClocks, judge
from overdrive._tiers.command.places import Trouble
from overdrive._tiers.command.scanning import Scan
from overdrive._tiers.command.showing import columns, show
from overdrive._tiers.keys import show_key

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

    from overdrive._tiers.command.places import Disk, Places, Redis

__all__ = ("SUMMARY", "add_arguments", "run")

SUMMARY = "check every value"
_AT_ONCE = 20
_MOST_NAMED = 20
# A wrong secret would make these of all values.
_OF_OTHERS = frozenset({"foreign", "unsigned"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--limit", type=int, metavar="N", help="how many values of each tier (default: all)")
    parser.add_argument("--repair", action="store_true", help="delete what is bad; it is loaded anew when it is needed")
    parser.add_argument(
        "--yes", action="store_true", help="with --repair, also what is not signed, or with another secret"
    )


def run(options: argparse.Namespace, places: Places) -> int:
    """Check values; 1 if one is bad."""
    if options.limit is not None and options.limit < 1:
        raise Trouble(f"--limit must be at least 1, got {options.limit}")
    if options.yes and not options.repair:
        raise Trouble("--yes says what --repair may delete, and does nothing without it")
    tiers: dict[str, Any] = {}
    if places.redis is not None:
        tiers["l2"] = _verified(options, places, _in_redis(places.redis), places.redis)
    if places.disk is not None:
        found = ((key, row.blob) for key, row in places.disk.tier.iterate())
        tiers["l3"] = _verified(options, places, found, places.disk)
        tiers["l3"]["damage"] = _damage(places.disk)
    lines = [line for name, report in tiers.items() for line in _lines(name, report)]
    bad = sum(report["bad"] for report in tiers.values())
    damage = sum(tiers.get("l3", {}).get("damage", {}).values())
    show(options, {"namespace": places.namespace, "bad": bad, **tiers}, [*lines, *_hints(places, tiers)])
    return 1 if bad or damage else 0


def _in_redis(redis: Redis) -> Iterator[tuple[bytes, bytes]]:
    # Few at once, as values may be large, and the answer has to come in time.
    scan = iter(Scan(redis))
    while keys := list(islice(scan, _AT_ONCE)):
        blobs = redis.tier.call(redis.steps.get_many(keys))
        yield from ((key, blob) for key, blob in zip(keys, blobs, strict=True) if blob is not None)


def _verified(
    options: argparse.Namespace, places: Places, values: Iterator[tuple[bytes, bytes]], place: Redis | Disk
) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    named: list[dict[str, str]] = []
    deleted = 0
    clocks = TagClocks(places.redis)
    for key, blob in islice(values, options.limit):
        verdict = judge(places, key, blob, clocks).verdict
        counts[verdict] += 1
        if verdict not in BAD:
            continue
        if len(named) < _MOST_NAMED:
            named.append({"key": show_key(key), "hex": key.hex(), "verdict": verdict})
        if options.repair and (options.yes or verdict not in _OF_OTHERS):
            deleted += _delete(place, key)
    return {
        "checked": counts.total(),
        "bad": sum(counts[verdict] for verdict in BAD),
        "deleted": deleted,
        "verdicts": dict(counts.most_common()),
        "examples": named,
    }


def _delete(place: Redis | Disk, key: bytes) -> int:
    from overdrive._tiers.command.places import Redis

    if isinstance(place, Redis):
        place.tier.call(place.steps.invalidate((key,)))
        return 1
    return int(place.tier.delete(key))


def _damage(disk: Disk) -> dict[str, int]:
    """Return what of the files themselves was found to be damaged since they were opened."""
    events = disk.tier.stats().events
    return {name: events[name] for name in ("rows_damaged", "blobs_missing", "shards_set_aside") if events.get(name)}


def _lines(name: str, report: dict[str, Any]) -> list[str]:
    lines = [f"{name}: {report['checked']:,} values, {report['bad']:,} bad, {report['deleted']:,} deleted"]
    if report["verdicts"]:
        lines += columns(
            (f"  {verdict}", f"{count:,}", REASONS.get(verdict, "")) for verdict, count in report["verdicts"].items()
        )
    lines += [f"  {count:,} {what.replace('_', ' ')}" for what, count in report.get("damage", {}).items()]
    lines += [f"  bad: {example['key']} ({example['verdict']})" for example in report["examples"]]
    return lines


def _hints(places: Places, tiers: dict[str, Any]) -> list[str]:
    hints = []
    for name, report in tiers.items():
        verdicts = report["verdicts"]
        if verdicts.get("unchecked"):
            hints.append(f"{name}: {verdicts['unchecked']:,} values are signed; give --secret-file to check them")
        checked = report["checked"]
        if checked and verdicts.get("foreign", 0) + verdicts.get("mac", 0) == checked:
            hints.append(f"{name}: not one value is signed with this secret: is it the right one?")
        if checked and places.has_secret and verdicts.get("unsigned", 0) == checked:
            hints.append(f"{name}: not one value is signed: do the instances have this secret?")
    return hints
