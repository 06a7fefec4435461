"""What the shop sells: made-up products and reviews, the same in every run.

Product n does not depend on how many products are made, so a shorter run shows the same pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

__all__ = ("BRANDS", "CATEGORIES", "Product", "Review", "products")

SEED = 20121201
REVIEWS_PER_PRODUCT = 12  # at most; the mean is half of it

BRANDS = (
    ("Alpenrad", "Austria"),
    ("Brightwater & Sons", "United Kingdom"),
    ("Casa Nera", "Italy"),
    ("Dahlén", "Sweden"),
    ("Everfield", "United States"),
    ("Fjordlys", "Norway"),
    ("Grünwerk", "Germany"),
    ("Hoshi", "Japan"),
)
CATEGORIES = (
    ("Backpacks", "Outdoor"),
    ("Headphones", "Electronics"),
    ("Jackets", "Clothing"),
    ("Kettles", "Kitchen"),
    ("Lamps", "Home"),
    ("Running shoes", "Sports"),
    ("Tents", "Outdoor"),
    ("Tool sets", "Workshop"),
)
ADJECTIVES = (
    "Compact",
    "Classic",
    "Feather",
    "Granite",
    "Nordic",
    "Quiet",
    "Rapid",
    "Solid",
    "Urban",
    "Vivid",
)
SENTENCES = (
    "Built for daily use & made to be repaired.",
    "The outer layer keeps water out for hours, even in heavy rain.",
    "Weighs less than its predecessor and takes up half the space.",
    "All moving parts are covered by a five-year warranty.",
    'Comes in a box of recycled cardboard, with a "quick start" card.',
    "Spare parts stay available for ten years after the last sale.",
    "Tested by an independent laboratory, report on request.",
    "Fits every standard mount <= 40 mm; an adapter is included.",
)
OPINIONS = (
    "Does what it should, no complaints.",
    "Bought it for my sister & she loves it.",
    "Arrived a day late, but works perfectly.",
    "The finish could be better at this price.",
    "Third one I own. Would buy again.",
    "Smaller than it looks on the pictures.",
    "Broke after two weeks, replaced without a question.",
    "Exactly as described, fast delivery.",
)
AUTHORS = (
    "A. Lindgren",
    "B. Okafor",
    "C. Moreau",
    "D. Kowalski",
    "E. Tanaka",
    "F. O'Neill",
    "G. Rossi",
    "H. Weber",
)


class Review(NamedTuple):
    """One customer's opinion, as a row of the table `review`."""

    product_id: int
    stars: int
    helpful: int
    author: str
    body: str


class Product(NamedTuple):
    """One article, as a row of the table `product`."""

    id: int
    sku: str
    name: str
    brand_id: int
    category_id: int
    description: str
    price_cents: int
    stock: int


def products(count: int) -> Iterator[tuple[Product, list[Review]]]:
    """The first `count` products, each with its reviews."""
    random = Random(SEED)
    for number in range(count):
        product = _product(number, random)
        # No two of a product are equally helpful: which one is on its page must not be SQLite's choice.
        helpful = random.sample(range(40), random.randrange(REVIEWS_PER_PRODUCT + 1))
        yield product, [_review(number, votes, random) for votes in helpful]


def _product(number: int, random: Random) -> Product:
    category = random.randrange(len(CATEGORIES))
    return Product(
        id=number,
        sku=f"{CATEGORIES[category][0][:2].upper()}-{number:06}",
        name=f"{random.choice(ADJECTIVES)} {number % 90 + 10}",
        brand_id=random.randrange(len(BRANDS)),
        category_id=category,
        description=" ".join(random.choice(SENTENCES) for _ in range(random.randrange(4, 9))),
        price_cents=random.randrange(500, 60_000),
        stock=max(0, random.randrange(-10, 200)),
    )


def _review(product: int, helpful: int, random: Random) -> Review:
    return Review(
        product_id=product,
        stars=min(5, random.randrange(1, 8)),
        helpful=helpful,
        author=random.choice(AUTHORS),
        body=random.choice(OPINIONS),
    )
