"""Uses of `memoize`, `lru_cache` and `cache` that a type checker must accept, with the types that it must find."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, MutableMapping
from datetime import timedelta
from functools import partial
from math import inf
from typing import Any, assert_type

from overdrive import CacheInfo, LRUCache, MemoInfo, WaitTimeout, WithTTL, cache, lru_cache, memoize

# --- functions --------------------------------------------------------------------------------


@memoize
def plain(n: int, /, text: str = "", *, flag: bool = False) -> float:
    return n


assert_type(plain(1), float)
assert_type(plain(1, "text", flag=True), float)
assert_type(plain(1, text="text"), float)
assert_type(plain.peek(1), float | None)
assert_type(plain.cached(1, text="text"), bool)
assert_type(plain.invalidate(1, flag=True), bool)
assert_type(plain.refresh(1), float)
assert_type(plain.cache_info(), MemoInfo)
assert_type(plain.cache_info().hits, int)
assert_type(plain.cache_info().misses, int)
assert_type(plain.cache_info().maxsize, float | None)
assert_type(plain.cache_info().currsize, float)
assert_type(plain.cache_info().loads, int)
assert_type(plain.cache_info().load_seconds, float)
assert_type(plain.cache_info().errors, int)
assert_type(plain.cache_info().evictions, int)
assert_type(plain.cache_info().expirations, int)
assert_type(plain.cache_parameters(), dict[str, Any])
plain.__wrapped__(1)
assert_type(plain.__name__, str)
plain.put(1.5, 1)
plain.put(1.5, 1, "text", flag=True)
plain.cache_clear()


@memoize()
def called(n: int) -> str:
    return str(n)


@memoize(100)
def sized(n: int) -> str:
    return str(n)


@memoize(None, policy="lfu")
def unbounded(n: int) -> str:
    return str(n)


def lives(result: str) -> timedelta | None:
    return timedelta(minutes=len(result)) if result else None


@memoize(
    maxsize=100,
    policy="fifo",
    ttl=lives,
    idle=timedelta(minutes=5),
    jitter=0.1,
    stale=30,
    stale_if_error=timedelta(hours=1),
    early=1.0,
    exceptions={KeyError: 1, ValueError: timedelta(seconds=2)},
    typed=True,
    normalize=True,
    freeze=True,
    single_flight=True,
    wait_timeout=2.5,
    clock=lambda: 0.0,
    method=False,
)
def everything(names: list[str], count: int = 1) -> str:
    return "".join(names * count)


assert_type(called(1), str)
assert_type(sized(n=1), str)
assert_type(unbounded(1), str)
assert_type(everything(["a"]), str)
assert_type(everything.peek(["a"], count=1), str | None)


@memoize(ttl=inf, exceptions=LookupError)
def one_exception(n: int) -> str:
    return str(n)


@memoize(ttl=60, exceptions=(KeyError, ValueError))
def two_exceptions(n: int) -> str:
    return str(n)


def by_length(text: str) -> int:
    return len(text)


@memoize(key=by_length)
def with_key(text: str) -> list[str]:
    return [text]


own_cache: dict[Any, Any] = {}


@memoize(cache=own_cache)
def in_own_cache(n: int) -> str:
    return str(n)


@memoize(cache=LRUCache(maxsize=10))
def in_native_cache(n: int) -> str:
    return str(n)


assert_type(one_exception(1), str)
assert_type(two_exceptions(1), str)
assert_type(with_key("text"), list[str])
assert_type(in_own_cache(1), str)
assert_type(in_native_cache(1), str)
assert_type(memoize(len)("text"), int)
assert_type(memoize(maxsize=2)(by_length)("text"), int)
assert_type(WithTTL("text", 5).ttl, Any)

as_callable: Callable[[int], str] = called
assert_type(list(map(sized, [1, 2])), list[str])
assert_type(partial(sized, 1)(), str)


def catch() -> None:
    try:
        called(1)
    except WaitTimeout as error:
        assert_type(error, WaitTimeout)
        as_timeout: TimeoutError = error
        raise as_timeout from None


# --- coroutine functions ----------------------------------------------------------------------


@memoize
async def coroutine(n: int, *, flag: bool = False) -> str:
    return str(n)


@memoize(ttl=60, stale=30)
async def timed_coroutine(n: int) -> str:
    return str(n)


as_coroutine_function: Callable[[int], Coroutine[Any, Any, str]] = coroutine


async def await_functions() -> None:
    assert_type(await coroutine(1), str)
    assert_type(await coroutine(n=1, flag=True), str)
    assert_type(await timed_coroutine(1), str)
    waiting: Coroutine[Any, Any, str] = coroutine(2)
    assert_type(await waiting, str)
    assert_type(await asyncio.gather(coroutine(1), coroutine(2)), tuple[str, str])
    assert_type(await asyncio.wait_for(coroutine(1), 1), str)
    assert_type(await asyncio.create_task(coroutine(1)), str)
    assert_type(coroutine.peek(1), str | None)
    assert_type(coroutine.cached(1, flag=True), bool)
    assert_type(coroutine.invalidate(1), bool)
    assert_type(await coroutine.refresh(1), str)
    assert_type(await coroutine.refresh(1, flag=True), str)
    assert_type(coroutine.cache_info().hits, int)
    coroutine.put("text", 1)
    coroutine.cache_clear()


# --- methods ----------------------------------------------------------------------------------


class Service:
    def __init__(self) -> None:
        self.results: LRUCache[Any, Any] = LRUCache(maxsize=10)

    @memoize
    def method(self, n: int, *, flag: bool = False) -> str:
        return str(n)

    @memoize(ttl=60)
    def timed(self, n: int) -> str:
        return str(n)

    @memoize(ttl=60)
    async def coroutine(self, n: int) -> str:
        return str(n)

    @memoize(cache=lambda self: self.results)
    def in_own_cache(self, n: int) -> str:
        return str(n)

    @staticmethod
    @memoize(maxsize=10)
    def static(n: int) -> str:
        return str(n)

    @property
    @memoize(method=True)
    def value(self) -> str:
        return ""


service = Service()
assert_type(service.method(1), str)
assert_type(service.method(n=1, flag=True), str)
assert_type(service.method.peek(1), str | None)
assert_type(service.method.cached(1, flag=True), bool)
assert_type(service.method.invalidate(1), bool)
assert_type(service.method.refresh(n=1), str)
assert_type(service.method.cache_info(), MemoInfo)
assert_type(service.method.cache_info().hits, int)
assert_type(service.method.cache, MutableMapping[Any, Any])
assert_type(service.method.cache_parameters(), dict[str, Any])
assert_type(service.method.__wrapped__(1), str)
service.method.put("text", 1, flag=True)
service.method.cache_clear()
assert_type(service.timed(1), str)
assert_type(service.in_own_cache(1), str)

assert_type(Service.method(service, 1), str)
assert_type(Service.method.peek(service, 1), str | None)
assert_type(Service.method.invalidate(service, n=1), bool)
assert_type(Service.method.refresh(service, 1), str)
assert_type(Service.method.cache_info().hits, int)
Service.method.put("text", service, 1)
Service.method.cache_clear()

assert_type(Service.static(1), str)
assert_type(Service.static.peek(1), str | None)
assert_type(Service.static.cache_info().hits, int)
assert_type(service.value, str)


async def await_methods() -> None:
    assert_type(await service.coroutine(1), str)
    assert_type(await Service.coroutine(service, n=1), str)
    assert_type(service.coroutine.peek(1), str | None)
    assert_type(service.coroutine.cached(n=1), bool)
    assert_type(service.coroutine.invalidate(1), bool)
    assert_type(await service.coroutine.refresh(1), str)
    assert_type(await Service.coroutine.refresh(service, 1), str)
    assert_type(service.coroutine.cache_info().errors, int)
    service.coroutine.put("text", 1)
    assert_type(await asyncio.gather(service.coroutine(1), service.coroutine(2)), tuple[str, str])


asyncio.run(await_functions())
asyncio.run(await_methods())

# --- as in functools --------------------------------------------------------------------------


@lru_cache
def bare_lru(n: int, text: str = "") -> float:
    return n


@lru_cache()
def called_lru(n: int) -> float:
    return n


@lru_cache(maxsize=None, typed=True)
def unbounded_lru(n: int) -> float:
    return n


@cache
def everything_kept(n: int) -> float:
    return n


class Holder:
    @lru_cache(maxsize=8)
    def method(self, n: int) -> str:
        return str(n)

    @cache
    def kept(self, n: int) -> str:
        return str(n)


assert_type(bare_lru(1, text="text"), float)
assert_type(called_lru(1), float)
assert_type(unbounded_lru(1), float)
assert_type(everything_kept(n=1), float)
assert_type(bare_lru.cache_info(), CacheInfo)
assert_type(everything_kept.cache_info().hits, int)
assert_type(bare_lru.cache_parameters()["maxsize"], int | None)
assert_type(bare_lru.cache_parameters()["typed"], bool)
assert_type(bare_lru.__wrapped__(1), float)
bare_lru.cache_clear()
assert_type(Holder().method(1), str)
assert_type(Holder.method(Holder(), 1), str)
assert_type(Holder().kept(n=1), str)
