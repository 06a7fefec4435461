"""Static and class methods that a type checker must accept, with the types that it must find."""

from __future__ import annotations

import asyncio
from typing import assert_type

from overdrive import MemoInfo, cache, memoize


class Service:
    @staticmethod
    @memoize(maxsize=10)
    def static(n: int) -> str:
        return str(n)

    @memoize
    @staticmethod
    def static_inside(n: int) -> str:
        return str(n)

    @staticmethod
    @memoize(ttl=60)
    async def static_coroutine(n: int) -> str:
        return str(n)

    @classmethod
    @memoize
    def of_class(cls, n: int) -> str:
        return str(n)

    @memoize(maxsize=10)
    @classmethod
    def of_class_inside(cls, n: int) -> str:
        return str(n)

    @classmethod
    @memoize
    async def class_coroutine(cls, n: int) -> str:
        return str(n)

    @staticmethod
    @cache
    def kept(n: int) -> str:
        return str(n)

    @classmethod
    @cache
    def kept_of_class(cls, n: int) -> str:
        return str(n)


service = Service()
assert_type(Service.static(1), str)
assert_type(service.static(n=1), str)
assert_type(Service.static.peek(1), str | None)
assert_type(Service.static.cache_info(), MemoInfo)
assert_type(service.static.invalidate(1), bool)
assert_type(Service.static_inside(1), str)
assert_type(service.static_inside(n=1), str)
assert_type(Service.of_class(1), str)
assert_type(service.of_class(n=1), str)
assert_type(Service.of_class.cache_info(), MemoInfo)
assert_type(Service.of_class_inside(1), str)
assert_type(service.of_class_inside(n=1), str)
assert_type(Service.kept(1), str)
assert_type(service.kept(n=1), str)
assert_type(Service.kept_of_class(1), str)
assert_type(service.kept_of_class(n=1), str)


async def await_methods() -> None:
    assert_type(await Service.static_coroutine(1), str)
    assert_type(await service.static_coroutine(n=1), str)
    assert_type(await service.static_coroutine.refresh(1), str)
    assert_type(await Service.class_coroutine(1), str)
    assert_type(await service.class_coroutine(n=1), str)


asyncio.run(await_methods())
