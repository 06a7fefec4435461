from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import cachetools.keys
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overdrive import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    Key = Callable[..., tuple[Any, ...]]

ALL = [keys.hashkey, keys.methodkey, keys.typedkey, keys.typedmethodkey]
THEIR_MARKER = cachetools.keys.hashkey(a=1)[0]
OUR_MARKER = keys.hashkey(a=1)[0]

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
arguments = st.lists(scalars, max_size=4)
keywords = st.dictionaries(st.sampled_from(["a", "b", "self", "key", "args"]), scalars)


def test_positional_arguments_are_the_key_itself() -> None:
    assert keys.hashkey(1, "b") == (1, "b")
    assert keys.methodkey("instance", 1, "b") == (1, "b")
    assert keys.hashkey() == ()


def test_key_is_a_plain_tuple() -> None:
    assert {type(key(1, 2, a=3)) for key in ALL} == {tuple}


@pytest.mark.parametrize("key", ALL)
def test_order_of_keywords_does_not_matter(key: Key) -> None:
    assert key(0, a=1, b=2) == key(0, b=2, a=1)


@pytest.mark.parametrize("key", ALL)
def test_keyword_differs_from_positional_argument(key: Key) -> None:
    assert key(0, 1) != key(0, n=1)
    assert key(0, "n", 1) != key(0, n=1)
    assert key(0, ("n", 1)) != key(0, n=1)


@pytest.mark.parametrize("key", [keys.hashkey, keys.methodkey])
def test_equal_arguments_of_different_types_share_a_key(key: Key) -> None:
    assert key(0, 1, n=1) == key(0, 1.0, n=True)


@pytest.mark.parametrize("key", [keys.typedkey, keys.typedmethodkey])
def test_typed_key_tells_equal_arguments_of_different_types_apart(key: Key) -> None:
    assert key(0, 1) != key(0, 1.0)
    assert key(0, n=1) != key(0, n=True)
    assert key(0, 1, n=1) == key(0, 1, n=1)


@pytest.mark.parametrize("key", [keys.methodkey, keys.typedmethodkey])
def test_method_key_ignores_the_instance(key: Key) -> None:
    unhashable: list[int] = []

    assert hash(key(unhashable, 1)) == hash(key(object(), 1))
    assert key(unhashable, 1) == key(object(), 1)


@pytest.mark.parametrize("key", ALL)
def test_keyword_may_be_named_self(key: Key) -> None:
    assert key(0, self=1) == key(0, self=1)
    assert key(0, self=1) != key(0, self=2)


@pytest.mark.parametrize("key", ALL)
def test_unhashable_argument_fails_only_when_the_key_is_hashed(key: Key) -> None:
    made = key(0, [])

    with pytest.raises(TypeError, match="unhashable"):
        hash(made)


@pytest.mark.parametrize("key", ALL)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_key_equals_the_original(key: Key, protocol: int) -> None:
    original = key(0, "x", a=1, b=2.5)

    loaded = pickle.loads(pickle.dumps(original, protocol))

    assert loaded == original
    assert hash(loaded) == hash(original)
    assert copy.deepcopy(original) == original


@pytest.mark.parametrize("name", keys.__all__)
@given(args=arguments, kwargs=keywords)
def test_key_is_that_of_cachetools_but_for_the_marker(name: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    ours: Key = getattr(keys, name)
    theirs: Key = getattr(cachetools.keys, name)

    expected = theirs("first", *args, **kwargs)

    assert ours("first", *args, **kwargs) == tuple(OUR_MARKER if item is THEIR_MARKER else item for item in expected)


def test_public_names_are_sorted() -> None:
    assert list(keys.__all__) == sorted(keys.__all__)
