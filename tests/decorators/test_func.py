from __future__ import annotations

import datetime as dt
import functools
import inspect
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from overdrive import CacheInfo, FIFOCache, LFUCache, LRUCache, RRCache, TTLCache, func
from overdrive.keys import hashkey, typedkey

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[..., Any]

CACHES: dict[str, type] = {
    "fifo_cache": FIFOCache,
    "lfu_cache": LFUCache,
    "lru_cache": LRUCache,
    "rr_cache": RRCache,
    "ttl_cache": TTLCache,
}


@pytest.fixture(params=func.__all__)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def decorator(name: str) -> Decorator:
    return getattr(func, name)  # type: ignore[no-any-return]


@func.lru_cache
def module_level(n: int) -> int:
    """Double a number."""
    return 2 * n


def identity(n: Any) -> Any:
    return n


def test_bare_decorator_keeps_128_results(decorator: Decorator, name: str) -> None:
    function = decorator(identity)

    results = [function(n) for n in range(130)]

    assert results == list(range(130))
    assert function.cache_info() == CacheInfo(hits=0, misses=130, maxsize=128, currsize=128)
    assert function.cache_parameters() == {"maxsize": 128, "typed": False}
    assert type(function.cache) is CACHES[name]


def test_decorator_called_without_arguments_does_the_same_as_a_bare_one(decorator: Decorator) -> None:
    function = decorator()(identity)

    assert function(1) == 1
    assert function.cache_parameters() == {"maxsize": 128, "typed": False}


def test_statistics_are_those_of_functools(decorator: Decorator) -> None:
    ours, theirs = decorator(maxsize=6)(identity), functools.lru_cache(maxsize=6)(identity)

    for n in (1, 2, 1, 3, 2):
        assert ours(n) == theirs(n)
        assert ours(n=n) == theirs(n=n)

    assert ours.cache_info() == theirs.cache_info()
    assert ours.cache_parameters() == theirs.cache_parameters()


def test_size_is_limited_as_asked(decorator: Decorator) -> None:
    function = decorator(maxsize=2)(identity)

    for n in range(5):
        function(n)

    assert function.cache_info() == CacheInfo(hits=0, misses=5, maxsize=2, currsize=2)


def test_maxsize_of_zero_keeps_nothing(decorator: Decorator) -> None:
    function = decorator(maxsize=0)(identity)

    assert [function(1), function(1)] == [1, 1]
    assert function.cache_info() == CacheInfo(hits=0, misses=2, maxsize=0, currsize=0)


def test_maxsize_of_none_keeps_everything(decorator: Decorator) -> None:
    function = decorator(maxsize=None)(identity)

    for n in [*range(1000), *range(1000)]:
        function(n)

    assert function.cache_info() == CacheInfo(hits=1000, misses=1000, maxsize=None, currsize=1000)
    assert function.cache_parameters() == {"maxsize": None, "typed": False}


def test_negative_maxsize_is_refused(decorator: Decorator) -> None:
    with pytest.raises(ValueError, match="maxsize"):
        decorator(maxsize=-1)(identity)


def test_typed_tells_equal_arguments_apart(decorator: Decorator) -> None:
    function = decorator(typed=True)(identity)

    assert [type(function(n)) for n in (1, 1.0, True)] == [int, float, bool]
    assert function.cache_parameters() == {"maxsize": 128, "typed": True}
    assert function.cache_key is typedkey
    assert decorator(identity).cache_key is hashkey


def test_cache_clear_forgets_results_and_counts(decorator: Decorator) -> None:
    function = decorator(maxsize=2)(identity)
    function(1)

    function.cache_clear()

    assert function.cache_info() == CacheInfo(hits=0, misses=0, maxsize=2, currsize=0)


def test_parameters_are_given_as_a_new_dictionary(decorator: Decorator) -> None:
    function = decorator(maxsize=2)(identity)

    function.cache_parameters().clear()

    assert function.cache_parameters() == {"maxsize": 2, "typed": False}


@pytest.mark.parametrize("maxsize", [2, None])
def test_functions_with_the_same_decorator_do_not_share_results(decorator: Decorator, maxsize: int | None) -> None:
    decorate = decorator(maxsize=maxsize)
    double, square = decorate(lambda n: 2 * n), decorate(lambda n: n * n)

    assert [double(3), square(3)] == [6, 9]


def test_decorated_method_shares_one_cache_among_instances(decorator: Decorator) -> None:
    class Holder:
        method = decorator(maxsize=2)(lambda self, n: n)

    first, second = Holder(), Holder()

    assert [first.method(1), first.method(1), second.method(1)] == [1, 1, 1]
    assert Holder.method.cache_info() == first.method.cache_info() == (1, 2, 2, 2)


def test_stacked_decorators_keep_their_parameters_apart(decorator: Decorator) -> None:
    inner = decorator(maxsize=1)(identity)
    outer = decorator(maxsize=2, typed=True)(inner)

    assert inner.cache_parameters() == {"maxsize": 1, "typed": False}
    assert outer.cache_parameters() == {"maxsize": 2, "typed": True}


def test_decorated_function_looks_like_the_original() -> None:
    assert module_level.__name__ == "module_level"
    assert module_level.__doc__ == "Double a number."
    assert list(inspect.signature(module_level).parameters) == ["n"]
    assert pickle.loads(pickle.dumps(module_level)) is module_level


def test_random_replacement_uses_the_choice_given() -> None:
    function = func.rr_cache(maxsize=2, choice=max)(identity)

    for n in (1, 2, 3):
        function(n)

    assert sorted(function.cache) == [(1,), (3,)]


@pytest.mark.parametrize("maxsize", [2, None])
def test_expired_result_is_computed_again(maxsize: int | None) -> None:
    now = 0
    function = func.ttl_cache(maxsize=maxsize, ttl=10, timer=lambda: now)(identity)

    function(1)
    now = 9
    function(1)
    before = function.cache_info()
    now = 10
    expired = function.cache_info()
    function(1)

    assert before == (1, 1, maxsize, 1)
    assert expired == (1, 1, maxsize, 0)
    assert function.cache_info() == (1, 2, maxsize, 1)


def test_time_may_be_anything_that_can_be_added_and_compared() -> None:
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    function = func.ttl_cache(ttl=dt.timedelta(hours=1), timer=lambda: now)(identity)

    function(1)
    now += dt.timedelta(minutes=59)
    function(1)
    now += dt.timedelta(minutes=1)
    function(1)

    assert function.cache_info() == (1, 2, 128, 1)


def test_public_names_are_sorted() -> None:
    assert list(func.__all__) == sorted(func.__all__)
