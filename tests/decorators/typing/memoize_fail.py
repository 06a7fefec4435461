"""Uses of `memoize`, `lru_cache` and `cache` that a type checker must refuse.

The marks are as in `api_fail.py`.
"""

from __future__ import annotations

from typing import Any

from overdrive import cache, lru_cache, memoize

wrong: int

# --- functions --------------------------------------------------------------------------------


@memoize
def plain(n: int) -> str:
    return str(n)


@memoize(maxsize=10, ttl=60)
def with_options(n: int) -> str:
    return str(n)


plain("text")  # type: ignore[arg-type]
plain()  # type: ignore[call-arg]
plain(1, 2)  # type: ignore[call-arg]
plain(m=1)  # type: ignore[call-arg]
wrong = plain(1)  # type: ignore[assignment]
wrong = plain.peek(1)  # type: ignore[assignment]
wrong = plain.refresh(1)  # type: ignore[assignment]
plain.peek("text")  # type: ignore[arg-type]
plain.peek()  # type: ignore[call-arg]
plain.cached("text")  # type: ignore[arg-type]
plain.cached(m=1)  # type: ignore[call-arg]
plain.invalidate("text")  # type: ignore[arg-type]
plain.invalidate(1, 2)  # type: ignore[call-arg]
plain.refresh("text")  # type: ignore[arg-type]
plain.put(1, 1)  # type: ignore[arg-type]
plain.put("text", "text")  # type: ignore[arg-type]
plain.put("text")  # type: ignore[call-arg]
plain.cache_info(1)  # type: ignore[call-arg]
plain.cache_info().evicted  # type: ignore[attr-defined]
plain.no_such_attribute  # type: ignore[attr-defined]
with_options("text")  # type: ignore[arg-type]
with_options.peek("text")  # type: ignore[arg-type]
wrong = with_options(1)  # type: ignore[assignment]

# --- options ----------------------------------------------------------------------------------

memoize(maxsize="text")  # type: ignore[call-overload]
memoize(policy="mru")  # type: ignore[call-overload]
memoize(ttl="text")  # type: ignore[call-overload]
memoize(idle="text")  # type: ignore[call-overload]
memoize(jitter="text")  # type: ignore[call-overload]
memoize(ttl=60, stale="text")  # type: ignore[call-overload]
memoize(ttl=60, stale_if_error="text")  # type: ignore[call-overload]
memoize(ttl=60, early="text")  # type: ignore[call-overload]
memoize(exceptions="text")  # type: ignore[call-overload]
memoize(exceptions={"text": 1})  # type: ignore[dict-item]
memoize(exceptions={KeyError: "text"})  # type: ignore[dict-item]
memoize(key=1)  # type: ignore[call-overload]
memoize(typed="text")  # type: ignore[call-overload]
memoize(normalize="text")  # type: ignore[call-overload]
memoize(freeze="text")  # type: ignore[call-overload]
memoize(single_flight="text")  # type: ignore[call-overload]
memoize(wait_timeout="text")  # type: ignore[call-overload]
memoize(cache=set())  # type: ignore[call-overload]
memoize(ttl=60, clock=60)  # type: ignore[call-overload]
memoize(method="text")  # type: ignore[call-overload]
memoize(size=10)  # type: ignore[call-overload]
memoize(10, "lru")  # type: ignore[call-overload]

# --- coroutine functions ----------------------------------------------------------------------


@memoize(ttl=60)
async def coroutine(n: int) -> str:
    return str(n)


async def await_functions() -> None:
    await coroutine("text")  # type: ignore[arg-type]
    await coroutine()  # type: ignore[call-arg]
    coroutine(1)  # type: ignore[unused-coroutine]
    not_awaited: str = coroutine(1)  # type: ignore[assignment]
    wrong_result: int = await coroutine(1)  # type: ignore[assignment]
    wrong_peek: int = coroutine.peek(1)  # type: ignore[assignment]
    wrong_refresh: str = coroutine.refresh(1)  # type: ignore[assignment]
    await coroutine.refresh("text")  # type: ignore[arg-type]
    await coroutine.peek(1)  # type: ignore[misc]
    await coroutine.cached(1)  # type: ignore[misc]
    coroutine.peek("text")  # type: ignore[arg-type]
    coroutine.put(1, 1)  # type: ignore[arg-type]
    print(not_awaited, wrong_result, wrong_peek, wrong_refresh)


# --- methods ----------------------------------------------------------------------------------


class Service:
    @memoize
    def method(self, n: int) -> str:
        return str(n)

    @memoize(ttl=60)
    async def coroutine(self, n: int) -> str:
        return str(n)

    @staticmethod
    @memoize
    def static(n: int) -> str:
        return str(n)


service = Service()
service.method("text")  # type: ignore[arg-type]
service.method()  # type: ignore[call-arg]
service.method(service, 1)  # type: ignore[call-arg, arg-type]
wrong = service.method(1)  # type: ignore[assignment]
service.method.peek("text")  # type: ignore[arg-type]
service.method.cached(service, 1)  # type: ignore[call-arg, arg-type]
service.method.invalidate("text")  # type: ignore[arg-type]
service.method.put(1, 1)  # type: ignore[arg-type]
wrong = service.method.refresh(1)  # type: ignore[assignment]
Service.method(1)  # type: ignore[call-arg, arg-type]
Service.method(service, "text")  # type: ignore[arg-type]
Service.method.peek(1)  # type: ignore[call-arg, arg-type]
Service.method.put("text", 1)  # type: ignore[call-arg]
Service.static("text")  # type: ignore[arg-type]
Service.static.peek("text")  # type: ignore[arg-type]


async def await_methods() -> None:
    await service.coroutine("text")  # type: ignore[arg-type]
    wrong_result: int = await service.coroutine(1)  # type: ignore[assignment]
    wrong_refresh: str = service.coroutine.refresh(1)  # type: ignore[assignment]
    await service.coroutine.peek(1)  # type: ignore[misc]
    print(wrong_result, wrong_refresh)


# --- as in functools --------------------------------------------------------------------------


@lru_cache(maxsize=10)
def recent(n: int) -> str:
    return str(n)


@cache
def everything(n: int) -> str:
    return str(n)


class Holder:
    @lru_cache
    def method(self, n: int) -> str:
        return str(n)


recent("text")  # type: ignore[arg-type]
recent()  # type: ignore[call-arg]
wrong = recent(1)  # type: ignore[assignment]
recent.cache_parameters()["ttl"]  # type: ignore[typeddict-item]
recent.peek(1)  # type: ignore[attr-defined]
everything(1, 2)  # type: ignore[call-arg]
everything.cache_info().loads  # type: ignore[attr-defined]
Holder().method("text")  # type: ignore[arg-type]
Holder().method(Holder(), 1)  # type: ignore[call-arg, arg-type]
Holder.method(1)  # type: ignore[call-arg, arg-type]
lru_cache(maxsize="text")  # type: ignore[call-overload]
lru_cache(typed=None)  # type: ignore[call-overload]
cache(1)  # type: ignore[arg-type]
cache(maxsize=10)  # type: ignore[call-arg]
unknown: dict[str, Any] = {}
print(wrong, unknown)
