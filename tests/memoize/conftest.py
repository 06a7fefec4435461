"""The life of the child process that the tests of a module share."""

from __future__ import annotations

from tests.hostile.conftest import child_ends_cleanly

__all__ = ("child_ends_cleanly",)
