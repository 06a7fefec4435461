"""Remove keys, what has a tag, or everything, from Redis and the disk, and have all running instances forget it.

They are told as if an instance had invalidated it. Without Redis those are told that share the disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overdrive._tiers.command.keys_given import add_key_arguments, encoded
from overdrive._tiers.command.places import Trouble
from overdrive._tiers.command.showing import show
from overdrive._tiers.keys import show_key

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from overdrive._tiers.command.places import Disk, Places

__all__ = ("SUMMARY", "add_arguments", "run")

SUMMARY = "remove keys, a tag, or everything"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("keys", nargs="*", metavar="KEY", help="keys, as text")
    add_key_arguments(parser)
    parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="what has this tag; may be repeated")
    parser.add_argument("--all", action="store_true", help="everything in the namespace; needs --yes")
    parser.add_argument("--yes", action="store_true", help="yes, everything")


def run(options: argparse.Namespace, places: Places) -> int:
    """Remove what was named."""
    if options.all == bool(options.keys or options.tag):
        raise Trouble("name what to remove: keys and --tag, or --all")
    if options.all and not options.yes:
        raise Trouble(f"--all removes everything in namespace {places.namespace!r}: say --yes, too")
    keys = [encoded(key, options, places.config) for key in options.keys]
    document = {
        "namespace": places.namespace,
        "keys": [show_key(key) for key in keys],
        "tags": options.tag,
        "everything": options.all,
        "tiers": [name for name, place in (("l2", places.redis), ("l3", places.disk)) if place is not None],
    }
    if options.all:
        _clear(places)
        what = "everything"
    else:
        if keys:
            _keys(places, keys)
        if options.tag:
            _tags(places, options.tag)
        counted = (("key", len(keys)), ("tag", len(options.tag)))
        what = " and ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in counted if count)
    show(options, document, [f"removed from {' and '.join(document['tiers'])}: {what}"])
    return 0


def _keys(places: Places, keys: list[bytes]) -> None:
    from overdrive._tiers.names import key_name

    # In the order that instances keep: memory, Redis, memory, disk.
    forget = _forgetter(places.disk)
    forget(*map(key_name, keys))
    if places.redis is not None:
        places.redis.tier.call(places.redis.steps.invalidate(keys))
    if places.disk is not None:
        places.disk.tier.delete_many(keys)
        _check(places.disk)


def _tags(places: Places, tags: list[str]) -> None:
    from overdrive._tiers.names import tag_hash, tag_name, tag_text

    hashes = [tag_hash(tag) for tag in tags]
    forget = _forgetter(places.disk)
    forget(*map(tag_name, hashes))
    if places.redis is not None:
        places.redis.tier.call(places.redis.steps.invalidate_tags([tag_text(value) for value in hashes]))
    if places.disk is not None:
        places.disk.tier.delete_tags(hashes)
        _check(places.disk)


def _clear(places: Places) -> None:
    forget = _forgetter(places.disk)
    forget()
    if places.redis is not None:
        places.redis.tier.call(places.redis.steps.clear())
    if places.disk is not None:
        places.disk.tier.clear()
        _check(places.disk)


def _forgetter(disk: Disk | None) -> Callable[..., object]:
    """Return what makes the memory of processes that share a disk without Redis forget names, or without any, all."""
    from overdrive._core import Coherence
    from overdrive._tiers.names import SHARED_SLOTS

    generations = None if disk is None else disk.folder / "generations"
    if generations is None or not generations.is_file():
        return lambda *_names: None  # there are none
    coherence = Coherence(generations, slots=SHARED_SLOTS)
    return lambda *names: coherence.bump(*names) if names else coherence.bump_all()


def _check(disk: Disk) -> None:
    """Raise `Trouble` unless the disk has done it: this process ends, and would forget what is left to do."""
    health = disk.tier.health()
    if health.pending_deletes:
        raise Trouble(f"the disk did not take it all: {health.reason or 'it is busy; try again'}")
