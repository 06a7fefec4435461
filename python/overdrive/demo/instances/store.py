"""The shop as several processes use it: prices change, and each page says which version it was made of."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from overdrive.demo.page import Article, render
from overdrive.demo.shop import PAGE_QUERY, Shop

__all__ = ("PricedShop", "build", "page_of", "version_of")

# Page and version by one statement, so that no change comes between.
QUERY = f"SELECT page.*, (SELECT version FROM product WHERE id = ?) FROM ({PAGE_QUERY}) AS page"
MARK = b"<!-- version "
# Writers wait for each other for so long, in seconds.
PATIENCE = 10.0


def build(database: Path, products: int) -> None:
    """Make the database file of a shop, for several processes at once, with every product at version 0."""
    Shop(database, products).close()
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("ALTER TABLE product ADD COLUMN version INTEGER NOT NULL DEFAULT 0")
    finally:
        connection.close()


class PricedShop:
    """An open connection to the database; `loads` counts the pages that were made."""

    def __init__(self, database: Path) -> None:
        self.loads = 0
        self._connection = sqlite3.connect(database, timeout=PATIENCE, isolation_level=None)
        # A database that lives for a minute needs no protection from a power cut.
        self._connection.execute("PRAGMA synchronous = OFF")

    def close(self) -> None:
        """Release the database file."""
        self._connection.close()

    def page(self, product: int) -> bytes:
        """The product's page as of now."""
        self.loads += 1
        return page_of(*self.article(product))

    def article(self, product: int) -> tuple[Article, int]:
        """What the product's page shows, and its version."""
        *columns, version = self._connection.execute(QUERY, (product, product, product)).fetchone()
        return Article._make(columns), version

    def change_price(self, product: int, version: int, cents: int) -> None:
        """Make the product's price that of a version, unless it is of that or a later one already."""
        self._connection.execute(
            "UPDATE product SET price_cents = ?, version = ? WHERE id = ? AND version < ?",
            (cents, version, product, version),
        )


def page_of(article: Article, version: int) -> bytes:
    """The page of an article of a version, which is told in its last line."""
    return b"%s%s%d -->\n" % (render(article), MARK, version)


def version_of(page: bytes) -> int | None:
    """Which version a page says it was made of; None if it does not say."""
    _, mark, rest = page.rpartition(MARK)
    number = rest.removesuffix(b" -->\n")
    return int(number) if mark and number.isdigit() else None
