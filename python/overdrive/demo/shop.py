"""The backend that the caches stand before: an SQLite product database that makes a page per request."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from overdrive._progress import Advance
from overdrive.demo.catalogue import BRANDS, CATEGORIES, Product, Review, products
from overdrive.demo.page import Article, render

__all__ = ("Shop",)

SCHEMA = """
CREATE TABLE brand (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL);
CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL, department TEXT NOT NULL);
CREATE TABLE product (
    id INTEGER PRIMARY KEY,
    sku TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    brand_id INTEGER NOT NULL REFERENCES brand,
    category_id INTEGER NOT NULL REFERENCES category,
    description TEXT NOT NULL,
    price_cents INTEGER NOT NULL CHECK (price_cents > 0),
    stock INTEGER NOT NULL CHECK (stock >= 0)
);
CREATE TABLE review (
    id INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES product,
    stars INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
    helpful INTEGER NOT NULL,
    author TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX review_of_product ON review (product_id, helpful);
"""

# The bare columns author and body come from the row with the greatest `helpful`: SQLite defines that.
PAGE_QUERY = """
SELECT p.sku, p.name, p.description, p.price_cents, p.stock,
       b.name, b.country, c.name, c.department,
       r.number, r.stars, r.author, r.body
FROM product AS p
JOIN brand AS b ON b.id = p.brand_id
JOIN category AS c ON c.id = p.category_id
JOIN (
    SELECT count(*) AS number, sum(stars) AS stars, max(helpful), author, body
    FROM review WHERE product_id = ?
) AS r
WHERE p.id = ?
"""

# All of the database stays in memory (KiB), so that "no cache" is not slowed down by the disk.
PAGE_CACHE_KIB = 131_072
CHUNK = 500


class Shop:
    """A shop with `count` products in a new database file. Close it before its folder is removed."""

    def __init__(self, database: Path, count: int, *, advance: Advance = lambda _: None) -> None:
        self.rendered = 0  # pages, since the shop was opened
        self._connection = sqlite3.connect(database, isolation_level=None)
        try:
            self._prepare()
            self._fill(count, advance)
        except BaseException:  # Ctrl-C, too: an open file would keep the folder from being removed
            self.close()
            raise

    def close(self) -> None:
        """Release the database file."""
        self._connection.close()

    def page(self, product: int) -> bytes:
        """The product's page: one query and one rendering."""
        self.rendered += 1
        row = self._connection.execute(PAGE_QUERY, (product, product)).fetchone()
        return render(Article._make(row))

    def _prepare(self) -> None:
        self._connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KIB}")
        # A database that lives for a minute needs no protection from a power cut.
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(SCHEMA)

    def _fill(self, count: int, advance: Advance) -> None:
        execute = self._connection.execute
        execute("BEGIN")
        self._connection.executemany("INSERT INTO brand VALUES (?, ?, ?)", _numbered(BRANDS))
        self._connection.executemany("INSERT INTO category VALUES (?, ?, ?)", _numbered(CATEGORIES))
        articles = products(count)
        for done in range(0, count, CHUNK):
            self._insert(list(islice(articles, CHUNK)))
            advance(done / count)
        execute("COMMIT")
        execute("ANALYZE")

    def _insert(self, articles: list[tuple[Product, list[Review]]]) -> None:
        insert = self._connection.executemany
        insert("INSERT INTO product VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (product for product, _ in articles))
        insert(
            "INSERT INTO review (product_id, stars, helpful, author, body) VALUES (?, ?, ?, ?, ?)",
            (review for _, reviews in articles for review in reviews),
        )


def _numbered(rows: tuple[tuple[str, str], ...]) -> Iterator[tuple[int, str, str]]:
    return ((number, *row) for number, row in enumerate(rows))
