"""The shop: the same products and pages in every run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from overdrive.demo import shop as shops
from overdrive.demo.page import Article, render
from overdrive.demo.shop import Shop

# Of the first 100 pages, on every version of Python and SQLite.
DIGEST = "d9641a4d9c92a2c790ac9f0c44ba5ad4ef64a988ddea43f789f146c11d5c393d"
ARTICLE = Article(
    sku="LA-000001",
    name="Nordic <11>",
    description='A "lamp" & more',
    price_cents=123_405,
    stock=0,
    brand="Brightwater & Sons",
    country="United Kingdom",
    category="Tool sets",
    department="Workshop",
    reviews=2,
    stars=9,
    author="F. O'Neill",
    body="<b>fine</b>",
)


@pytest.fixture
def open_shop(tmp_path: Path) -> Iterator[Callable[[int], Shop]]:
    """Open shops with so many products; they are closed after the test."""
    with ExitStack() as opened:

        def build(count: int) -> Shop:
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            folder.mkdir()
            return opened.enter_context(closing(Shop(folder / "shop.sqlite", count)))

        yield build


def test_pages_are_the_same_in_every_run(open_shop: Callable[[int], Shop]) -> None:
    shop = open_shop(100)

    pages = b"".join(map(shop.page, range(100)))

    assert hashlib.sha256(pages).hexdigest() == DIGEST


def test_a_product_does_not_depend_on_how_many_there_are(open_shop: Callable[[int], Shop]) -> None:
    few, many = open_shop(20), open_shop(1200)

    assert [few.page(product) for product in range(20)] == [many.page(product) for product in range(20)]


def test_products_have_different_pages(open_shop: Callable[[int], Shop]) -> None:
    shop = open_shop(300)

    assert len(set(map(shop.page, range(300)))) == 300


def test_rendered_pages_are_counted(open_shop: Callable[[int], Shop]) -> None:
    shop = open_shop(2)

    for product in (0, 1, 1):
        shop.page(product)

    assert shop.rendered == 3


def test_page_escapes_what_it_shows() -> None:
    page = render(ARTICLE).decode()

    assert "Nordic &lt;11&gt;" in page
    assert "A &quot;lamp&quot; &amp; more" in page
    assert "<b>" not in page
    assert 'href="/c/Tool%20sets"' in page


def test_page_shows_price_stock_and_reviews() -> None:
    page = render(ARTICLE).decode()

    assert "EUR 1,234.05" in page
    assert "Sold out" in page
    assert "4.5 of 5 stars, 2 reviews" in page


def test_page_of_a_product_without_reviews_says_so(open_shop: Callable[[int], Shop]) -> None:
    shop = open_shop(100)

    unreviewed = [page for page in map(shop.page, range(100)) if b"No reviews yet." in page]

    assert unreviewed
    assert not any(b"of 5 stars" in page for page in unreviewed)


def test_interrupted_building_closes_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(shops.Shop, "close", lambda shop: closed.append(shop._connection.close()))

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Shop(tmp_path / "shop.sqlite", 10, advance=interrupt)

    assert closed
