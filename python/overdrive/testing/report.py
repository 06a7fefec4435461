"""What came of a stampede."""

from __future__ import annotations

from dataclasses import dataclass
from reprlib import repr as short
from typing import Generic, TypeVar

__all__ = ("StampedeReport", "positive")

_R = TypeVar("_R")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StampedeReport(Generic[_R]):
    """What came of a stampede; each caller is in one of `results`, `errors`, `cancelled` and `hung`.

    Attributes:
        callers: how many calls there were.
        loads: how often the function ran, by its `cache_info()`; `None` if it has none, or if that hangs too.
        results: what calls returned, in the order of callers.
        errors: what calls raised, in the order of callers; a cancellation that the stampede did not ask for is one.
        cancelled: the numbers of the callers that were cancelled, counted from 0.
        hung: the numbers of the callers that did not end in time, and where each was then.
        seconds: from the first call to the end of the last one, or to the timeout.
    """

    callers: int
    loads: int | None
    results: list[_R]
    errors: list[BaseException]
    cancelled: list[int]
    hung: dict[int, str]
    seconds: float

    def __repr__(self) -> str:
        parts = [f"{self.callers} callers"]
        if self.loads is not None:
            parts.append(f"{self.loads} loads")
        parts.append(f"{len(self.results)} results")
        if self.errors:
            parts.append(f"{len(self.errors)} errors, such as {short(self.errors[0])}")
        if self.cancelled:
            parts.append(f"{len(self.cancelled)} cancelled")
        if self.hung:
            number, where = next(iter(self.hung.items()))
            parts.append(f"hung: {', '.join(map(str, self.hung))}; caller {number} at\n{where}")
        return f"<stampede: {'; '.join(parts)}>"


def positive(name: str, value: float, *, whole: bool = False) -> None:
    """Check an argument.

    Raises:
        TypeError: it is not a number, or not an integer where only that will do.
        ValueError: it is not above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise TypeError(f"{name} must be {'an integer' if whole else 'a number'}, got {value!r}")
    if not value > 0:
        raise ValueError(f"{name} must be above 0, got {value!r}")
