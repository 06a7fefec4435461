"""All entries into user code, and what a test does with one of them."""

from __future__ import annotations

from tests.contracts.kinds import KINDS, Kind
from tests.hostile import argument_entries, object_entries  # noqa: F401 - they register their entries
from tests.hostile.entries import ENTRIES, Entry, Trigger

__all__ = ("ENTRIES", "Entry", "Trigger", "cases")


def cases(*prefixes: str) -> dict[str, tuple[Kind, str]]:
    """Return every class with every entry whose name starts with one of the prefixes."""
    return {
        f"{kind}-{name}": (kind, name)
        for name, one in ENTRIES.items()
        for kind in KINDS
        if name.startswith(prefixes) and one.applies(kind)
    }
