"""The arguments of `overdrive demo`, and what is said about wrong ones."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from overdrive.demo.trace import PACKAGED, Trace, TraceError, packaged, read

__all__ = ("add_arguments", "cache_size", "chosen_trace")

# A hundred times what the packaged trace can fill; a typing error must not ask for all memory.
MAX_CACHE_SIZE = 1_000_000
# By default a cache has room for one requested product in so many.
PRODUCTS_PER_PLACE = 5
SECONDS = 20.0
MAX_SECONDS = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--requests", type=_whole_number(), metavar="N", help="replay the first N requests (default: all)"
    )
    parser.add_argument(
        "--cache-size",
        type=_whole_number(MAX_CACHE_SIZE),
        metavar="N",
        help=f"pages that a cache holds at most (default: 1 in {PRODUCTS_PER_PLACE} of those requested)",
    )
    parser.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="requests to replay: an .npz with an array of integers, keys, or text with one key a line "
        f"(default: {PACKAGED}, which comes with overdrive)",
    )
    parser.add_argument("--json", type=_new_file, metavar="FILE", help="write all figures to FILE, too")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=SECONDS,
        metavar="N",
        help=f"for how long two processes are asked in the second part (default: {SECONDS:g})",
    )
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--no-tiers", action="store_true", help="leave the second part out")
    parts.add_argument("--tiers-only", action="store_true", help="leave the first part out")
    parser.add_argument("--no-memory", action="store_true", help="do not measure the memory per entry")


def chosen_trace(options: argparse.Namespace) -> Trace:
    """The requests to replay.

    Raises:
        argparse.ArgumentError: if the trace cannot be read, or has fewer requests than were asked for.
    """
    try:
        trace = packaged() if options.trace is None else read(options.trace)
    except TraceError as error:
        raise _error("--trace", str(error)) from None
    if options.requests is None:
        return trace
    if options.requests > len(trace.requests):
        limit = f"the {len(trace.requests):,} requests of {trace.name}"
        raise _error("--requests", f"{options.requests} exceeds {limit}")
    return trace.first(options.requests)


def cache_size(options: argparse.Namespace, trace: Trace) -> int:
    """How many pages a cache holds at most."""
    size: int | None = options.cache_size
    return max(1, trace.products // PRODUCTS_PER_PLACE) if size is None else size


def _error(argument: str, message: str) -> argparse.ArgumentError:
    return argparse.ArgumentError(None, f"argument {argument}: {message}")


def _whole_number(limit: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if number < 1:
            raise argparse.ArgumentTypeError(f"{number} is below the limit of 1")
        if limit is not None and number > limit:
            raise argparse.ArgumentTypeError(f"{number} exceeds the limit of {limit}")
        return number

    return parse


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 1.0 <= number <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to {MAX_SECONDS:g}")
    return number


def _new_file(text: str) -> Path:
    """Refuse what cannot be written before the run, not after it."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written")
    return path
