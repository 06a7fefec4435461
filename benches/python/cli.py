"""Types of command line arguments that the programs have in common."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fnmatch import fnmatch


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name is what one of the patterns describes."""
    return any(fnmatch(name, pattern) for pattern in patterns)
