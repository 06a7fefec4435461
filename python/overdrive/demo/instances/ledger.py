"""The truth that pages are compared with: all prices that there were, and when each change was acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from overdrive.demo.instances.store import page_of, version_of
from overdrive.demo.page import Article

__all__ = ("WRONG", "Ledger")

# How stale a page is that the shop has never shown.
WRONG = inf


@dataclass(slots=True)
class _History:
    """The prices of a product by version, and when changes were acknowledged: (version, time), in order."""

    prices: list[int]
    acknowledged: list[tuple[int, float]] = field(default_factory=list)


class Ledger:
    """Knows which pages are right, and how stale one is.

    Args:
        articles: what the shop sells, by product, with the prices of version 0.
    """

    def __init__(self, articles: Sequence[Article]) -> None:
        self._articles = articles
        self._histories: dict[int, _History] = {}
        self.changes = 0  # acknowledged

    def propose(self, product: int, cents: int) -> int:
        """Note that a price is about to be changed; return the version that it will be.

        From now on pages of that version may be seen; they need not be before the change is acknowledged.
        """
        prices = self._history(product).prices
        prices.append(cents)
        return len(prices) - 1

    def acknowledge(self, product: int, version: int, at: float) -> None:
        """Note that a server said, at a time, that a change was made and older pages were invalidated."""
        self.changes += 1
        self._history(product).acknowledged.append((version, at))

    def staleness(self, product: int, page: bytes, began: float) -> float:
        """How long before a request began, in seconds, what it returned had been replaced.

        0 for a page that was current; `WRONG` for one that is not the product's at any version.
        """
        version = version_of(page)
        history = self._history(product)
        if version is None or version >= len(history.prices):
            return WRONG
        article = self._articles[product]._replace(price_cents=history.prices[version])
        if page != page_of(article, version):
            return WRONG
        replaced = next((at for newer, at in history.acknowledged if newer > version), inf)
        return max(0.0, began - replaced)

    def _history(self, product: int) -> _History:
        history = self._histories.get(product)
        if history is None:
            history = self._histories[product] = _History([self._articles[product].price_cents])
        return history
