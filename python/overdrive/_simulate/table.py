"""Hit ratios as text: a line a policy, a column a size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ("text_table",)

BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


class Cell(Protocol):
    """What is looked at in a row."""

    @property
    def policy(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def hit_ratio(self) -> float: ...
    @property
    def ns_per_request(self) -> float: ...


def text_table(
    policies: Sequence[str], sizes: Sequence[int], cells: Sequence[Cell], *, ceiling: str, bold: bool
) -> str:
    """The table; the best policy of each size is marked, the ceiling stands below the others."""
    shown = {(cell.policy, cell.size): f"{cell.hit_ratio * 100:.2f}" for cell in cells}
    best = {size: max((shown[policy, size] for policy in policies), key=float) for size in sizes}
    widths = {size: max(9, len(f"{size:,}") + 2) for size in sizes}
    names = max(len("hit ratio, %"), *map(len, policies))

    def cell(policy: str, size: int) -> str:
        text = shown.get((policy, size), "")
        marked = policy != ceiling and text == best[size]
        padded = f"{text}{'*' if marked and not bold else ' '}".rjust(widths[size])
        return f"{BOLD}{padded}{PLAIN}" if marked and bold else padded

    def line(policy: str) -> str:
        times = [cell.ns_per_request for cell in cells if cell.policy == policy]
        return f"{policy:<{names}}{''.join(cell(policy, size) for size in sizes)}{sum(times) / len(times):>8.0f}"

    heading = f"{'hit ratio, %':<{names}}{''.join(f'{size:,} '.rjust(widths[size]) for size in sizes)}{'ns':>8}"
    lines = [heading, *map(line, policies)]
    if any(cell.policy == ceiling for cell in cells):
        lines += ["-" * len(heading), line(ceiling)]
    return "\n".join(lines)
