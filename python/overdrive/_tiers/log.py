"""The logger of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

__all__ = ("logger",)


def logger() -> Logger:
    """Return the logger `overdrive`."""
    from logging import getLogger  # whose import takes longer than that of this package

    return getLogger("overdrive")
