"""The ways in which an operation on a cache runs Python code that is not the cache's own.

Each entry builds a cache and an operation; when the operation runs, user code calls the trigger. What the
trigger does is up to the test: use the cache, raise, collect garbage, wait for another thread. The entries
themselves are in `argument_entries` and `object_entries`; `cases` has them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.contracts.kinds import Kind

Arranged = tuple[Any, Callable[[], object]]


class Trigger:
    """Called by user code; does nothing until armed, and never calls itself."""

    def __init__(self) -> None:
        self.reaction: Callable[[], object] | None = None
        self.left = 0
        self.calls = 0
        self.running = False

    def arm(self, reaction: Callable[[], object], times: int = 1) -> None:
        """React to the next calls."""
        self.reaction, self.left = reaction, times

    def __call__(self) -> None:
        if self.reaction is None or self.running or self.left == 0:
            return
        self.left -= 1
        self.calls += 1
        self.running = True
        try:
            self.reaction()
        finally:
            self.running = False


@dataclass(frozen=True)
class Entry:
    """One way into user code."""

    name: str
    arrange: Callable[[Kind, Trigger], Arranged]
    applies: Callable[[Kind], bool]
    #: Where an exception goes: to the caller of the operation, or to `sys.unraisablehook`.
    raises: bool

    def __repr__(self) -> str:
        return self.name


ENTRIES: dict[str, Entry] = {}


def entry(
    name: str, applies: Callable[[Kind], bool] = lambda kind: True, *, raises: bool = True
) -> Callable[[Callable[[Kind, Trigger], Arranged]], None]:
    """Register a function that arranges a cache and an operation."""

    def register(arrange: Callable[[Kind, Trigger], Arranged]) -> None:
        ENTRIES[name] = Entry(name, arrange, applies, raises)

    return register


def is_timed(kind: Kind) -> bool:
    """Return whether the class has a timer."""
    return kind.timed


def is_random(kind: Kind) -> bool:
    """Return whether the class has a `choice`."""
    return kind.name == "RRCache"


def is_tlru(kind: Kind) -> bool:
    """Return whether the class has a `ttu`."""
    return kind.name == "TLRUCache"


def initialise(cache: Any) -> None:
    """Call the constructor again, with the arguments that the cache has."""
    further = ("choice", "ttl", "ttu", "timer")
    cache.__init__(cache.maxsize, **{name: getattr(cache, name) for name in further if hasattr(cache, name)})
