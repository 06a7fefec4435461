"""List keys, with the tiers that have them: of the disk in order, of Redis by a SCAN that looks at the whole server.

PREFIX is what their text begins with. Keys that are no text, and those of calls, are shown in a form for people;
--json adds their bytes in hex, which the other actions take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overdrive._tiers.command.places import Trouble
from overdrive._tiers.command.scanning import Scan
from overdrive._tiers.command.showing import columns, show
from overdrive._tiers.keys import show_key

if TYPE_CHECKING:
    import argparse

    from overdrive._tiers.command.places import Places

__all__ = ("SUMMARY", "add_arguments", "run")

SUMMARY = "list keys"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("prefix", nargs="?", default="", metavar="PREFIX", help="what keys begin with (default: all)")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="how many at most (default: 100)")


def run(options: argparse.Namespace, places: Places) -> int:
    """List keys."""
    limit = options.limit
    if limit < 1:
        raise Trouble(f"--limit must be at least 1, got {limit}")
    prefix = options.prefix.encode("utf-8", "surrogateescape")
    found: dict[bytes, list[str]] = {}
    is_complete = True
    if places.redis is not None:
        scan = Scan(places.redis, prefix)
        for key in scan:
            if len(found) > limit:
                break
            found[key] = ["l2"]
        is_complete = scan.is_complete
    if places.disk is not None:
        on_disk = places.disk.tier.keys(prefix, limit + 1)
        is_complete = is_complete and len(on_disk) <= limit
        for key in on_disk:
            found.setdefault(key, []).append("l3")
    shown = sorted(found)[:limit]
    is_complete = is_complete and len(found) <= limit
    document = {
        "namespace": places.namespace,
        "keys": [{"key": show_key(key), "hex": key.hex(), "tiers": found[key]} for key in shown],
        "is_complete": is_complete,
    }
    lines = columns((" ".join(found[key]), show_key(key)) for key in shown) if shown else []
    if not is_complete:
        lines.append(f"... and more: --limit is {limit}")
    elif not shown:
        lines.append("no keys")
    show(options, document, lines)
    return 0
