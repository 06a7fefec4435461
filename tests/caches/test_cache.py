"""Cache: no policy of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from overdrive import Cache


def test_evicts_the_first_key_of_iteration() -> None:
    cache: Cache[int, int] = Cache(2)
    cache.update({1: 1, 2: 2})
    cache[1]
    cache[3] = 3
    assert list(cache) == [2, 3]


def test_popitem_takes_the_first_key_of_iteration() -> None:
    cache: Cache[str, int] = Cache(3)
    cache.update(a=1, b=2)
    assert cache.popitem() == ("a", 1)


def test_popitem_follows_an_overridden_iteration() -> None:
    class Reversed(Cache[str, int]):
        def __iter__(self) -> Iterator[str]:
            return iter(sorted(super().__iter__(), reverse=True))

    cache = Reversed(3)
    cache.update(a=1, b=2)
    assert cache.popitem() == ("b", 2)


def test_has_the_interface_of_a_policy_class() -> None:
    cache: Any = Cache(1)
    with pytest.raises(AttributeError):
        cache.expire()
