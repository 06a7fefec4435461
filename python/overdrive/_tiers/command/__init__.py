"""Look at a tiered cache from outside, check it, and empty it: what is in Redis and on disk, and whether it is right.

Works on --l2 URL and --l3 DIR or, without both, on what the variables OVERDRIVE_REDIS_URL, OVERDRIVE_CACHE_DIR and so
on name. Memory is its process's own: ask that for `cache.stats()` and `cache.health()`.

Exit status: 0 if all is well, 1 if something is wrong in there, 2 if that could not be found out.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from overdrive._tiers.command import canary, inspecting, listing, purging, status, verifying
from overdrive._tiers.command.places import Trouble, opened
from overdrive.exceptions import ConfigError, MissingExtraError, TierUnavailable

__all__ = ("SUMMARY", "add_arguments", "run")

SUMMARY = "look at, check and empty a tiered cache in Redis and on disk"

# Each has a one-line SUMMARY, add_arguments(parser) and run(options, places) -> exit status.
ACTIONS = {
    "status": status,
    "keys": listing,
    "inspect": inspecting,
    "verify": verifying,
    "purge": purging,
    "canary": canary,
}
_TROUBLE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, action in ACTIONS.items():
        child = actions.add_parser(
            name,
            help=action.SUMMARY,
            description=action.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.add_arguments(child)
        _add_places(child)
        child.set_defaults(act=action.run)


def _add_places(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("where")
    where.add_argument("--l2", metavar="URL", help="Redis or Valkey (default: OVERDRIVE_REDIS_URL, if no --l3)")
    where.add_argument("--l3", type=Path, metavar="DIR", help="cache_dir (default: OVERDRIVE_CACHE_DIR, if no --l2)")
    where.add_argument("--namespace", metavar="NAME", help="(default: OVERDRIVE_NAMESPACE, or default)")
    where.add_argument(
        "--secret-file",
        type=Path,
        metavar="FILE",
        help="the secret, and old ones on lines of their own (default: OVERDRIVE_SECRET and OVERDRIVE_OLD_SECRETS)",
    )
    where.add_argument("--timeout", type=float, default=2.0, metavar="S", help="seconds for a request (default: 2)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(options: argparse.Namespace) -> int:
    """Do one action, and return its exit status."""
    # What goes wrong is told once, below.
    logging.getLogger("overdrive").addHandler(logging.NullHandler())
    try:
        with opened(options) as places:
            found: int = options.act(options, places)
            return found
    except (Trouble, ConfigError, MissingExtraError, TierUnavailable) as error:
        print(f"overdrive cache: error: {error}", file=sys.stderr)
        return _TROUBLE
