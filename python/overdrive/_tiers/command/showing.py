"""What commands print: lines for people, or one JSON document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence
    from typing import Any

__all__ = ("bytes_text", "columns", "seconds_text", "show")

_UNITS = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_SPANS = (("d", 86_400), ("h", 3600), ("min", 60))


def show(options: argparse.Namespace, document: Any, lines: Iterable[str]) -> None:
    """Print the document, or the lines."""
    if options.json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        for line in lines:
            print(line)


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows as lines whose cells are aligned."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def bytes_text(size: int) -> str:
    """Return a size for people."""
    for unit, factor in _UNITS:
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def seconds_text(seconds: float | None) -> str:
    """Return a duration for people; `None` is one without an end."""
    if seconds is None:
        return "for ever"
    for unit, factor in _SPANS:
        if abs(seconds) >= 2 * factor:
            return f"{seconds / factor:.1f} {unit}"
    return f"{seconds:.1f} s"
