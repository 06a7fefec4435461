"""Which policy and size to choose: the least that is about as good as the most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ("Recommendation", "recommend")

SIZE_MARGIN = 0.01  # of hit ratio below that of the largest size
POLICY_MARGIN = 0.005  # of hit ratio below that of the best policy


class Cell(Protocol):
    """What is looked at in a row."""

    @property
    def policy(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def hit_ratio(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A policy and a size, the hit ratio to expect, and why these; `str()` is for people.

    Attributes:
        policy: the simplest whose hit ratio is at most half a point below that of the best, at this size.
        size: the smallest at which the best policy is at most a point below that at the largest size.
        hit_ratio: what to expect, from 0 to 1.
        reasons: sentences.
    """

    policy: str
    size: int
    hit_ratio: float
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"Choose {self.policy} with a size of {self.size:,}: {self.hit_ratio:.1%} hits. " + " ".join(
            self.reasons
        )


def recommend(cells: Sequence[Cell]) -> Recommendation:
    """Choose; the cells are in the order of their policies from simple to elaborate."""
    sizes = sorted({cell.size for cell in cells})
    best = {size: max(cell.hit_ratio for cell in cells if cell.size == size) for size in sizes}
    size = next(size for size in sizes if best[size] >= best[sizes[-1]] - SIZE_MARGIN)
    here = [cell for cell in cells if cell.size == size]
    chosen = next(cell for cell in here if cell.hit_ratio >= best[size] - POLICY_MARGIN)
    reasons = [*_why_size(sizes, best, size), _why_policy(here, chosen)]
    ratios = {cell.size: cell.hit_ratio for cell in cells if cell.policy == chosen.policy}
    reasons += _per_doubling(sizes, ratios, size)
    return Recommendation(chosen.policy, size, chosen.hit_ratio, tuple(reasons))


def _why_size(sizes: Sequence[int], best: dict[int, float], size: int) -> list[str]:
    if len(sizes) == 1:
        return []
    largest = sizes[-1]
    if size == largest:
        return [f"{largest:,} is the largest size replayed, and every smaller one is over a point worse."]
    return [
        (
            f"The best policy hits {best[size]:.1%} at this size and {best[largest]:.1%} at {largest:,}: "
            "no smaller size is within a point of that."
        )
    ]


def _why_policy(here: Sequence[Cell], chosen: Cell) -> str:
    best = max(here, key=lambda cell: cell.hit_ratio)
    if len(here) == 1:
        return f"{chosen.policy} was the only policy."
    if best.policy == chosen.policy or best.hit_ratio == chosen.hit_ratio:
        return f"No other policy hits more often than {chosen.policy} here."
    behind = (best.hit_ratio - chosen.hit_ratio) * 100
    return f"{best.policy} is only {behind:.2f} points better; {chosen.policy} is simpler."


def _per_doubling(sizes: Sequence[int], ratios: dict[int, float], size: int) -> list[str]:
    at = sizes.index(size)
    if at + 1 < len(sizes):
        gain = _slope(size, sizes[at + 1], ratios)
        return [f"From here on, twice the size brings {gain:+.1f} points."]
    if at > 0:
        gain = _slope(sizes[at - 1], size, ratios)
        return [f"Up to here, twice the size brought {gain:+.1f} points: try larger ones."]
    return []


def _slope(small: int, large: int, ratios: dict[int, float]) -> float:
    """Points of hit ratio for each doubling between two sizes."""
    return (ratios[large] - ratios[small]) * 100 / math.log2(large / small)


# The public name, under which it is shown.
Recommendation.__module__ = "overdrive"
