"""What is right and how stale it is, from prices and times that are made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from overdrive.demo.instances.ledger import WRONG, Ledger
from overdrive.demo.instances.store import PricedShop, build, page_of, version_of
from overdrive.demo.page import Article

ARTICLES = [
    Article("A-1", "Lamp", "Bright.", 995, 3, "Hoshi", "Japan", "Lamps", "Home", 0, None, None, None),
    Article("B-2", "Tent", "Dry.", 9900, 0, "Dahlen", "Sweden", "Tents", "Outdoor", 1, 5, "G. Rossi", "Dry."),
]


def page(product: int, cents: int, version: int) -> bytes:
    return page_of(ARTICLES[product]._replace(price_cents=cents), version)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(ARTICLES)


def test_unchanged_product_is_never_stale(ledger: Ledger) -> None:
    assert ledger.staleness(0, page(0, 995, 0), began=1e9) == 0


def test_old_page_is_stale_from_the_acknowledgement_on(ledger: Ledger) -> None:
    version = ledger.propose(0, 500)
    assert version == 1
    assert ledger.staleness(0, page(0, 995, 0), began=50.0) == 0
    ledger.acknowledge(0, version, at=100.0)

    assert ledger.staleness(0, page(0, 995, 0), began=99.0) == 0
    assert ledger.staleness(0, page(0, 995, 0), began=100.25) == 0.25
    assert ledger.staleness(0, page(0, 500, 1), began=1e9) == 0
    assert ledger.changes == 1


def test_staleness_counts_from_the_first_change_that_was_missed(ledger: Ledger) -> None:
    for cents, at in ((500, 100.0), (600, 200.0), (700, 300.0)):
        ledger.acknowledge(0, ledger.propose(0, cents), at)

    assert ledger.staleness(0, page(0, 500, 1), began=301.0) == 101.0
    assert ledger.staleness(0, page(0, 600, 2), began=301.0) == 1.0


def test_change_that_was_not_acknowledged_may_be_seen_or_not(ledger: Ledger) -> None:
    ledger.propose(0, 500)

    assert ledger.staleness(0, page(0, 500, 1), began=1e9) == 0
    assert ledger.staleness(0, page(0, 995, 0), began=1e9) == 0


@pytest.mark.parametrize(
    "returned",
    [
        b"",
        b"<html>",
        page(1, 9900, 0),  # of another product
        page(0, 996, 0),  # a price that there was not
        page(0, 995, 1),  # a version that there is not
        page(0, 995, 0) + b"\n",
        page(0, 995, 0).replace(b"version 0", b"version -0"),
    ],
)
def test_page_that_the_shop_never_showed_is_wrong(ledger: Ledger, returned: bytes) -> None:
    assert ledger.staleness(0, returned, began=0.0) == WRONG


def test_pages_of_the_shop_are_those_of_the_ledger(tmp_path: Path) -> None:
    build(tmp_path / "shop.sqlite", 3)
    shop = PricedShop(tmp_path / "shop.sqlite")
    ledger = Ledger([shop.article(product)[0] for product in range(3)])
    before = shop.page(2)
    version = ledger.propose(2, 1234)
    shop.change_price(2, version, 1234)
    shop.change_price(2, version - 1, 99)  # late, and not to be heeded
    ledger.acknowledge(2, version, at=1.0)
    after = shop.page(2)
    shop.close()

    assert (version_of(before), version_of(after), shop.loads) == (0, 1, 2)
    assert b"EUR 12.34" in after
    assert ledger.staleness(2, after, began=5.0) == 0
    assert ledger.staleness(2, before, began=5.0) == 4.0
