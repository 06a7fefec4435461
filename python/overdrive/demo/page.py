"""The product page of the shop: what a query returns, as HTML."""

from __future__ import annotations

from html import escape
from string import Template
from typing import NamedTuple
from urllib.parse import quote

__all__ = ("Article", "render")

PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$name by $brand - $category</title>
<meta name="description" content="$description">
<link rel="stylesheet" href="/static/shop.css">
</head>
<body>
<header><a href="/">Shop</a> <nav><a href="/cart">Cart</a> <a href="/account">Account</a></nav></header>
<nav class="path"><a href="/d/$department_path">$department</a> /
<a href="/c/$category_path">$category</a></nav>
<main itemscope itemtype="https://schema.org/Product">
<h1 itemprop="name">$name</h1>
<p class="brand">by <span itemprop="brand">$brand</span>, $country.
Article <code itemprop="sku">$sku</code></p>
<p class="price" itemprop="price">EUR $price</p>
<p class="stock">$stock</p>
<form method="post" action="/cart">
<input type="hidden" name="sku" value="$sku"><button>Add to cart</button>
</form>
<section><h2>Description</h2><p itemprop="description">$description</p></section>
<section><h2>Reviews</h2>$reviews</section>
</main>
<footer><a href="/imprint">Imprint</a> <a href="/terms">Terms</a> <a href="/privacy">Privacy</a></footer>
</body>
</html>
""")
REVIEWS = Template("""\
<p class="stars">$average of 5 stars, $number reviews</p>
<blockquote><p>$body</p><cite>$author</cite></blockquote>""")


class Article(NamedTuple):
    """What a page shows, as one row of a query; reviews that there are not are None."""

    sku: str
    name: str
    description: str
    price_cents: int
    stock: int
    brand: str
    country: str
    category: str
    department: str
    reviews: int
    stars: int | None
    author: str | None
    body: str | None


def render(article: Article) -> bytes:
    """The page of an article."""
    page = PAGE.substitute(
        sku=article.sku,
        name=escape(article.name),
        description=escape(article.description),
        price=f"{article.price_cents // 100:,}.{article.price_cents % 100:02}",
        stock=f"{article.stock} in stock" if article.stock else "Sold out",
        brand=escape(article.brand),
        country=escape(article.country),
        category=escape(article.category),
        department=escape(article.department),
        category_path=quote(article.category),
        department_path=quote(article.department),
        reviews=_reviews(article),
    )
    return page.encode()


def _reviews(article: Article) -> str:
    if article.stars is None or article.author is None or article.body is None:
        return "<p>No reviews yet.</p>"
    return REVIEWS.substitute(
        number=article.reviews,
        average=f"{article.stars / article.reviews:.1f}",
        author=escape(article.author),
        body=escape(article.body),
    )
