from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

import overdrive
from overdrive import LRUCache, cached, cachedmethod, func, memoize
from overdrive.testing import assert_loads

DECORATORS: dict[str, Callable[[Any], Any]] = {
    "memoize": memoize,
    "memoize with a ttl": memoize(ttl=60),
    "memoize in Python": memoize(ttl=60, jitter=0.5),
    "memoize with a foreign cache": lambda function: memoize(cache={})(function),
    "lru_cache": overdrive.lru_cache,
    "cache": overdrive.cache,
    "cached": lambda function: cached(LRUCache(10), info=True)(function),
    "cached with a condition": lambda function: cached({}, condition=threading.Condition(), info=True)(function),
    "func.lru_cache": func.lru_cache,
    "func.ttl_cache": func.ttl_cache,
    "functools.lru_cache": functools.lru_cache,
}


class Service:
    def __init__(self) -> None:
        self.cache: dict[Any, Any] = {}

    @memoize
    def memoized(self, n: int) -> int:
        return n * n

    @overdrive.lru_cache
    def shared(self, n: int) -> int:
        return n * n

    @cachedmethod(lambda self: self.cache, info=True)
    def cachedmethod(self, n: int) -> int:
        return n * n

    @classmethod
    @memoize
    def of_class(cls, n: int) -> int:
        return n * n

    @staticmethod
    @memoize
    def static(n: int) -> int:
        return n * n

    def __repr__(self) -> str:
        return "<the service>"


@pytest.fixture(params=DECORATORS)
def square(request: pytest.FixtureRequest) -> Any:
    def square(n: int) -> int:
        return n * n

    return DECORATORS[request.param](square)


def test_counts_runs_not_calls(square: Any) -> None:
    square(1)
    with assert_loads(square, 2):
        assert [square(n) for n in (1, 2, 3, 2, 3)] == [1, 4, 9, 4, 9]
    with assert_loads(square, 0):
        square(1)


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_fails_if_there_are_more_or_less(square: Any, expected: int) -> None:
    message = (
        rf"square\(\) was to run {'once' if expected == 1 else f'{expected} times'}, but ran 2 times, beside 1 hits"
    )
    with pytest.raises(AssertionError, match=message), assert_loads(square, expected):
        square(1), square(2), square(2)


def test_counts_from_zero_in_each_block() -> None:
    @memoize
    def square(n: int) -> int:
        return n * n

    for n in range(3):
        with assert_loads(square, 1) as count:
            assert count.loads == 0
            square(n)
            assert count.loads == 1
        square(n + 10)


@pytest.mark.parametrize("name", ["memoized", "cachedmethod"])
def test_method_of_an_instance_counts_for_that_one(name: str) -> None:
    one, other = Service(), Service()
    with assert_loads(getattr(one, name), 1), assert_loads(getattr(other, name), 2):
        for service, n in ((one, 1), (one, 1), (other, 1), (other, 2)):
            assert getattr(service, name)(n) == n * n


def test_method_of_a_class_counts_for_all_instances() -> None:
    one, other = Service(), Service()
    with assert_loads(Service.memoized, 3):
        one.memoized(1), one.memoized(1), other.memoized(1), other.memoized(2)


@pytest.mark.parametrize("name", ["shared", "of_class", "static"])
def test_methods_that_share_a_cache_count_together(name: str) -> None:
    service = Service()
    with assert_loads(getattr(service, name), 2):
        for n in (123, 124, 123):
            getattr(service, name)(n)
    getattr(service, name).cache_clear()


def test_counts_coroutine_functions() -> None:
    @memoize
    async def square(n: int) -> int:
        await asyncio.sleep(0)
        return n * n

    async def scenario() -> None:
        with assert_loads(square, 1):
            assert await asyncio.gather(*(square(3) for _ in range(5))) == [9] * 5
        with (
            pytest.raises(AssertionError, match=r"square\(\) was to run 0 times, but ran once"),
            assert_loads(square, 0),
        ):
            await square(4)

    asyncio.run(scenario())


def test_counts_runs_in_other_threads_and_runs_that_raise() -> None:
    @memoize
    def fail(n: int) -> int:
        raise LookupError

    def call() -> None:
        with pytest.raises(LookupError):
            fail(1)

    with assert_loads(fail, 2):
        call()
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()


def test_counts_a_run_when_it_begins() -> None:
    @memoize
    def outer(n: int) -> int:
        with pytest.raises(AssertionError, match=r"inner\(\) was to run 0 times, but ran once"), assert_loads(inner, 0):
            inner(n)
        assert count.loads == 1
        return n

    @memoize
    def inner(n: int) -> int:
        return n

    with assert_loads(outer, 1) as count:
        outer(1)


def test_exception_in_the_block_is_passed_on() -> None:
    @memoize
    def square(n: int) -> int:
        return n * n

    with pytest.raises(LookupError, match="mine"), assert_loads(square, 5):
        raise LookupError("mine")


def test_says_which_results_are_new() -> None:
    @memoize
    def square(n: int, factor: int = 2) -> int:
        return n * factor

    square(1)
    with pytest.raises(AssertionError) as raised, assert_loads(square, 1):
        square(1), square(2), square(2, 3), square(1000)
    assert str(raised.value) == (
        "test_says_which_results_are_new.<locals>.square() was to run once, but ran 3 times, beside 1 hits; "
        "new results: 2, (2, 3), 1000"
    )


def test_says_which_of_many_results_are_new() -> None:
    @memoize(maxsize=50)
    def square(n: int) -> int:
        return n * n

    for n in range(50):
        square(n)
    message = "new results: 50, 51, 52, 53, 54, 55, 56, 57 and 12 more$"
    with pytest.raises(AssertionError, match=message), assert_loads(square, 0):
        list(map(square, range(50, 70)))


def test_long_arguments_are_cut_short() -> None:
    @memoize
    def length(text: str) -> int:
        return len(text)

    with pytest.raises(AssertionError, match=r"new results: 'a+\.\.\.a+'$") as raised, assert_loads(length, 0):
        length("a" * 10_000)
    assert len(str(raised.value)) < 250


def test_names_the_instance() -> None:
    service = Service()
    message = r"Service.memoized\(\) of <the service> was to run 2 times, but ran once"
    with pytest.raises(AssertionError, match=message), assert_loads(service.memoized, 2):
        service.memoized(1)


class Remote(dict[Any, Any]):
    def __iter__(self) -> Any:
        raise AssertionError("looked into")


class Overridden(LRUCache[Any, Any]):
    def __iter__(self) -> Any:
        raise AssertionError("looked into")


@pytest.mark.parametrize("cache", [Remote(), Overridden(10)], ids=["foreign", "subclass"])
def test_does_not_look_into_caches_of_others(cache: Any) -> None:
    @memoize(cache=cache)
    def square(n: int) -> int:
        return n * n

    with pytest.raises(AssertionError, match="beside 0 hits$"), assert_loads(square, 2):
        square(1)


def test_keys_are_neither_compared_nor_hashed_again() -> None:
    class Key:
        asked = 0

        def __hash__(self) -> int:
            Key.asked += 1
            return 1

        def __eq__(self, other: object) -> bool:
            Key.asked += 1
            return self is other

    @memoize
    def name(key: Key) -> str:
        return "name"

    kept, new = Key(), Key()
    name(kept)
    count = assert_loads(name, 0)
    count.__enter__()
    name(new)
    asked = Key.asked
    with pytest.raises(AssertionError, match=r"new results: .*Key.* object"):
        count.__exit__(None, None, None)
    assert Key.asked == asked


def test_tells_that_the_counts_were_reset() -> None:
    @memoize
    def square(n: int) -> int:
        return n * n

    def clear_and_call() -> None:
        square.cache_clear()
        square(1)

    square(1), square(2)
    message = r"square\(\) was to run once, but its counts were reset, as cache_clear\(\) does"
    with pytest.raises(AssertionError, match=message), assert_loads(square, 1):
        clear_and_call()


@pytest.mark.parametrize("function", [len, lambda: 1, cached({})(lambda: 1), None])
def test_needs_a_function_that_counts(function: Any) -> None:
    with pytest.raises(TypeError, match=r"needs a function that has cache_info\(\), got .*; cached needs info=True"):
        assert_loads(function, 1)


def test_needs_a_number_of_runs() -> None:
    square = memoize(lambda n: n * n)
    for n in (1.0, True, None):
        with pytest.raises(TypeError, match="n must be an integer, got"):
            assert_loads(square, n)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        assert_loads(square, -1)
