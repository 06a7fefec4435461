"""H8: a size, choice, timer, deadline, value or iterable uses the cache that is calling it."""

from __future__ import annotations

import pytest

from tests.contracts.kinds import Kind
from tests.hostile.callbacks import cases
from tests.hostile.child import in_child
from tests.hostile.reactions import survives_all

CASES = cases("getsizeof ", "choice ", "timer ", "time ", "ttu ", "value ", "other ", "generator ")


@in_child
@pytest.mark.parametrize(("kind", "name"), CASES.values(), ids=CASES.keys())
def test_cache_survives_what_the_user_function_does(kind: Kind, name: str) -> None:
    survives_all(kind, name)


@in_child
def test_update_with_itself(kind: Kind) -> None:
    cache = kind.make(3)
    cache.update(a=1, b=2, c=3)
    try:
        cache.update(cache)
        cache.update(cache.items())
    except RuntimeError as error:
        assert "during iteration" in str(error)
    assert dict(cache.items()) == {"a": 1, "b": 2, "c": 3}
    cache._check()


@in_child
def test_repr_while_everything_changes(kind: Kind) -> None:
    class Changing:
        def __repr__(self) -> str:
            cache.clear()
            cache.update((number, Changing()) for number in range(20))
            return "changing"

    cache = kind.make(5)
    cache.update((number, Changing()) for number in range(5))
    for _ in range(20):
        assert "changing" in repr(cache)
    cache._check()
