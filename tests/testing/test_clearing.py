from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import overdrive
from overdrive import LRUCache, TTLCache, cached, cachedmethod, func, memoize
from overdrive.testing import clear_all


class Service:
    def __init__(self) -> None:
        self.cache: dict[Any, Any] = {}

    @memoize
    def memoized(self, n: int) -> int:
        return n * n

    @cachedmethod(lambda self: self.cache, info=True)
    def cachedmethod(self, n: int) -> int:
        return n * n


class Stubborn(dict[Any, Any]):
    """A cache that cannot be cleared."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def clear(self) -> None:
        raise self.error


@pytest.fixture(autouse=True)
def _no_remains() -> Iterator[None]:
    """Let no function of one test disturb the next one."""
    yield
    gc.collect()


def test_forgets_results_and_counts() -> None:
    @memoize
    def square(n: int) -> int:
        return n * n

    square(3), square(3)
    clear_all()
    assert not square.cached(3)
    assert square.cache_info()[:4] == (0, 0, 1024, 0)


def test_forgets_results_of_coroutine_functions() -> None:
    @memoize
    async def square(n: int) -> int:
        return n * n

    asyncio.run(square(3))
    assert square.cached(3)
    clear_all()
    assert not square.cached(3)


def test_forgets_results_of_all_instances() -> None:
    services = [Service() for _ in range(3)]
    for service in services:
        service.memoized(3)
    clear_all()
    assert [service.memoized.cached(3) for service in services] == [False] * 3
    assert [service.memoized.cache_info().misses for service in services] == [0] * 3


def test_forgets_what_foreign_caches_keep() -> None:
    cache: dict[Any, Any] = {}
    square = memoize(cache=cache)(lambda n: n * n)
    square(3)
    assert cache
    clear_all()
    assert not cache


def test_what_is_being_computed_is_not_kept() -> None:
    begun, go = threading.Event(), threading.Event()

    @memoize
    def slow(n: int) -> int:
        begun.set()
        assert go.wait(20)
        return n

    thread = threading.Thread(target=slow, args=(1,))
    thread.start()
    assert begun.wait(20)
    clear_all()
    go.set()
    thread.join()
    assert not slow.cached(1)


def other_functions() -> dict[str, tuple[Any, Any]]:
    """Return functions that are not decorated with `memoize`, and what to keep alive for them."""
    service = Service()
    return {
        "lru_cache": (overdrive.lru_cache(lambda n: n), None),
        "cache": (overdrive.cache(lambda n: n), None),
        "cached": (cached({}, info=True)(lambda n: n), None),
        "cached in a cache": (cached(LRUCache(5), lock=threading.Lock(), info=True)(lambda n: n), None),
        "func.lfu_cache": (func.lfu_cache(lambda n: n), None),
        "func.ttl_cache": (func.ttl_cache(lambda n: n), None),
        "cachedmethod": (service.cachedmethod, service),
    }


@pytest.mark.parametrize("kind", other_functions())
def test_searches_for_other_functions_if_asked_to(kind: str) -> None:
    function, _owner = other_functions()[kind]
    function(3), function(3)
    clear_all()
    assert function.cache_info()[:2] == (1, 1)
    assert len(function.cache) == 1
    clear_all(search=True)
    assert function.cache_info()[:2] == (0, 0)
    assert len(function.cache) == 0


def test_functions_without_statistics_are_cleared_too() -> None:
    function = cached(cache := dict[Any, Any]())(lambda n: n)
    function(3)
    clear_all(search=True)
    assert not cache


def test_search_clears_memoized_functions_once() -> None:
    error = LookupError("mine")
    square = memoize(cache=Stubborn(error))(lambda n: n * n)
    with pytest.raises(LookupError) as raised:
        clear_all(search=True)
    assert raised.value is error
    del square


def test_clears_all_caches_if_asked_to() -> None:
    class Mine(LRUCache[str, int]):
        pass

    caches: list[Any] = [overdrive.Cache(5), LRUCache(5), TTLCache(5, ttl=60), Mine(5)]
    for cache in caches:
        cache["a"] = 1
    clear_all(search=True)
    assert [len(cache) for cache in caches] == [1] * 4
    clear_all(caches=True)
    assert [len(cache) for cache in caches] == [0] * 4


def test_one_that_cannot_be_cleared_keeps_no_other_from_it() -> None:
    error = LookupError("mine")
    before = memoize(lambda n: n * n)
    stubborn = memoize(cache=Stubborn(error))(lambda n: n * n)
    after = memoize(lambda n: n * n)
    before(3), after(3)
    with pytest.raises(LookupError) as raised:
        clear_all()
    assert raised.value is error
    assert not before.cached(3)
    assert not after.cached(3)
    del stubborn


def test_several_errors_are_raised_together() -> None:
    errors = [LookupError("mine"), OSError("mine too")]
    functions = [memoize(cache=Stubborn(error))(lambda n: n * n) for error in errors]
    with pytest.raises(ExceptionGroup, match="several caches could not be cleared") as raised:
        clear_all()
    assert set(raised.value.exceptions) == set(errors)
    functions.clear()


def test_search_asks_no_object_for_its_class() -> None:
    class Proxy:
        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            raise AssertionError("asked")

    class Unhashable(type):
        __hash__ = None  # type: ignore[assignment]

    class Strange(metaclass=Unhashable):
        pass

    strangers = [Proxy(), Strange()]
    assert all(map(gc.is_tracked, strangers))
    clear_all(search=True, caches=True)


def test_keeps_nothing_alive() -> None:
    square = memoize(lambda n: n * n)
    other = overdrive.lru_cache(lambda n: n * n)
    clear_all(search=True, caches=True)
    gone = [weakref.ref(square), weakref.ref(other)]
    del square, other
    gc.collect()
    assert [reference() for reference in gone] == [None, None]
