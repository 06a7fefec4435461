"""Uses of the decorators that a type checker must accept, with the types that it must find."""

from __future__ import annotations

from collections.abc import MutableMapping
from threading import Condition, Lock, RLock
from typing import Any, assert_type

from overdrive import CacheInfo, LRUCache, TTLCache, cached, cachedmethod
from overdrive.func import fifo_cache, lfu_cache, lru_cache, rr_cache, ttl_cache
from overdrive.keys import hashkey, methodkey, typedkey, typedmethodkey

# --- functions --------------------------------------------------------------------------------


@cached({})
def plain(n: int, /, text: str = "", *, flag: bool = False) -> float:
    return n


assert_type(plain(1), float)
assert_type(plain(1, "text", flag=True), float)
assert_type(plain(1, text="text"), float)
assert_type(plain.cache, MutableMapping[Any, Any])
assert_type(plain.__wrapped__(1), float)
assert_type(plain.__name__, str)
plain.cache_key(1)
plain.cache_clear()
if plain.cache_lock is not None:
    with plain.cache_lock:
        pass
if plain.cache_condition is not None:
    with plain.cache_condition:
        plain.cache_condition.notify_all()


@cached(LRUCache(maxsize=10), info=True)
def counted(n: int) -> str:
    return str(n)


assert_type(counted(1), str)
assert_type(counted.cache_info(), CacheInfo)
assert_type(counted.cache_info().hits, int)
assert_type(counted.cache_info().maxsize, float | None)


lock = Lock()


@cached(LRUCache(maxsize=10), typedkey, lock, Condition(lock), True)
def positional(n: int) -> str:
    return str(n)


assert_type(positional.cache_info(), CacheInfo)


def length(text: str) -> int:
    return len(text)


own_cache: dict[int, list[str]] = {}


@cached(own_cache, key=length, lock=RLock())
def own_key(text: str) -> list[str]:
    return [text]


assert_type(own_key("text"), list[str])


class Holder:
    @cached(TTLCache(maxsize=10, ttl=60), key=methodkey)
    def method(self, n: int) -> str:
        return str(n)

    @cached({}, key=hashkey, info=True)
    def counted(self, n: int) -> str:
        return str(n)

    @staticmethod
    @cached({})
    def static(n: int) -> str:
        return str(n)


assert_type(Holder().method(1), str)
assert_type(Holder().method(n=1), str)
assert_type(Holder.method(Holder(), 1), str)
assert_type(Holder().counted(1), str)
assert_type(Holder().counted.cache_info(), CacheInfo)
assert_type(Holder.counted.cache_info(), CacheInfo)
assert_type(Holder.static(1), str)
assert_type(Holder().static(1), str)

# --- methods ----------------------------------------------------------------------------------


class Service:
    def __init__(self) -> None:
        self.cache: LRUCache[tuple[Any, ...], Any] = LRUCache(maxsize=10)
        self.lock = RLock()
        self.condition = Condition(self.lock)

    @cachedmethod(lambda self: self.cache)
    def plain(self, n: int, *, flag: bool = False) -> str:
        return str(n)

    @cachedmethod(
        lambda self: self.cache,
        key=typedmethodkey,
        lock=lambda self: self.lock,
        condition=lambda self: self.condition,
        info=True,
    )
    def counted(self, n: int) -> str:
        return str(n)


class Child(Service):
    @cachedmethod(lambda self: self.cache)
    def plain(self, n: int, *, flag: bool = False) -> str:
        return super().plain(n, flag=flag)


service = Service()
assert_type(service.plain(1), str)
assert_type(service.plain(n=1, flag=True), str)
assert_type(service.plain.cache, MutableMapping[Any, Any])
assert_type(service.plain.__wrapped__(service, 1), str)
service.plain.cache_key(1)
service.plain.cache_clear()
assert_type(service.counted(1), str)
assert_type(service.counted.cache_info(), CacheInfo)
assert_type(Service.plain(service, 1), str)
assert_type(Service.counted(service, n=1), str)
assert_type(Service.plain.__wrapped__(service, 1), str)
assert_type(Child().plain(1), str)
assert_type(Service.plain(Child(), 1), str)

# --- decorators with a cache of their own -----------------------------------------------------


@fifo_cache
def bare(n: int, text: str = "") -> float:
    return n


@lfu_cache()
def called(n: int) -> float:
    return n


@lru_cache(maxsize=None, typed=True)
def unbounded(n: int) -> float:
    return n


@rr_cache(maxsize=10, choice=min)
def chosen(n: int) -> float:
    return n


@ttl_cache(10, ttl=60)
def short_lived(n: int) -> float:
    return n


assert_type(bare(1, text="text"), float)
assert_type(called(1), float)
assert_type(unbounded(1), float)
assert_type(chosen(1), float)
assert_type(short_lived(1), float)
assert_type(bare.cache_info(), CacheInfo)
assert_type(bare.cache_parameters()["maxsize"], float | None)
assert_type(bare.cache_parameters()["typed"], bool)
assert_type(bare.__wrapped__(1), float)
bare.cache_clear()


class Memoized:
    @lru_cache
    def method(self, n: int) -> str:
        return str(n)


assert_type(Memoized().method(1), str)
assert_type(Memoized.method(Memoized(), 1), str)
assert_type(Memoized().method.cache_info(), CacheInfo)
assert_type(Memoized().method.cache_parameters()["typed"], bool)

# --- keys -------------------------------------------------------------------------------------

assert_type(len(hashkey(1, "text", n=2)), int)
assert_type(hash(typedkey(1)), int)
methodkey(object(), 1, self=2)
