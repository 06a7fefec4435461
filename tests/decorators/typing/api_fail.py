"""Uses of the decorators that a type checker must refuse.

Each wrong line carries the code of its error. `mypy --strict` reports a mark without an error, and
`test_typing` checks the reverse: without the marks, these errors are found, and no others.
"""

from __future__ import annotations

from threading import Condition, Lock
from typing import Any

from overdrive import LRUCache, cached, cachedmethod
from overdrive.func import lru_cache, rr_cache

# --- functions --------------------------------------------------------------------------------


@cached({})
def plain(n: int) -> str:
    return str(n)


plain("text")  # type: ignore[arg-type]
plain()  # type: ignore[call-arg]
plain(1, 2)  # type: ignore[call-arg]
plain(m=1)  # type: ignore[call-arg]
wrong_result: int = plain(1)  # type: ignore[assignment]
plain.cache_info()  # type: ignore[attr-defined]
plain.cache_parameters()  # type: ignore[attr-defined]

cached(None)  # type: ignore[call-overload]
cached(set())  # type: ignore[call-overload]
cached({}, lock=1)  # type: ignore[call-overload]
cached({}, condition=Lock())  # type: ignore[call-overload]
cached({}, key=1)  # type: ignore[call-overload]


def key_of_text(text: str) -> str:
    return text


integers: dict[int, Any] = {}
cached(integers, key=key_of_text)  # type: ignore[arg-type]


class Holder:
    @cached({})
    def method(self, n: int) -> str:
        return str(n)


Holder().method("text")  # type: ignore[arg-type]
Holder().method(Holder(), 1)  # type: ignore[call-arg, arg-type]
Holder.method(1)  # type: ignore[call-arg, arg-type]

# --- methods ----------------------------------------------------------------------------------


class Service:
    cache: LRUCache[Any, Any] = LRUCache(maxsize=1)

    @cachedmethod(lambda self: self.cache)
    def plain(self, n: int) -> str:
        return str(n)

    @cachedmethod(lambda self: self.cache, info=True)
    def counted(self, n: int) -> str:
        return str(n)


service = Service()
service.plain("text")  # type: ignore[arg-type]
service.plain()  # type: ignore[call-arg]
service.plain.cache_info()  # type: ignore[attr-defined]
wrong_result = service.counted(1)  # type: ignore[assignment]
Service.plain(1)  # type: ignore[call-arg]
Service.plain(service, "text")  # type: ignore[arg-type]
Service.plain.cache_clear()  # type: ignore[attr-defined]
Service.counted.cache_info()  # type: ignore[attr-defined]

cachedmethod({})  # type: ignore[call-overload]
cachedmethod(lambda self: {}, condition=Condition())  # type: ignore[call-overload]

# --- decorators with a cache of their own -----------------------------------------------------


@lru_cache
def memoized(n: int) -> str:
    return str(n)


memoized("text")  # type: ignore[arg-type]
memoized.cache_info(1)  # type: ignore[call-arg]
memoized.cache_parameters()["ttl"]  # type: ignore[typeddict-item]

lru_cache(maxsize="text")  # type: ignore[call-overload]
rr_cache(choice=1)  # type: ignore[call-overload]
