"""The two faces of a tiered cache, sync and async, behind one: each test of the contract is written once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from overdrive import TieredCache

__all__ = ("AsyncFace", "Face", "SyncFace")


class Face:
    """What a test does with a cache; loaders and functions are plain ones and are wrapped as the face needs it."""

    kind = ""

    def __init__(self, cache: TieredCache) -> None:
        self.cache = cache

    def do(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the cache that both faces have."""
        raise NotImplementedError

    def get(self, key: Any, default: Any = None) -> Any:
        return self.do("get", key, default)

    def get_or_load(self, key: Any, loader: Callable[..., Any], **terms: Any) -> Any:
        return self.do("get_or_load", key, self.loader(loader), **terms)

    def get_result(self, key: Any, loader: Callable[..., Any] | None = None, **terms: Any) -> Any:
        return self.do("get_result", key, None if loader is None else self.loader(loader), **terms)

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        found: dict[Any, Any] = self.do("get_many", keys)
        return found

    def load_many(self, keys: Iterable[Any], loader: Callable[[list[Any]], Mapping[Any, Any]], **terms: Any) -> Any:
        return self.do("load_many", keys, self.loader(loader), **terms)

    def set(self, key: Any, value: Any, **terms: Any) -> None:
        self.do("set", key, value, **terms)

    def set_many(self, items: Any, **terms: Any) -> None:
        self.do("set_many", items, **terms)

    def delete(self, key: Any) -> None:
        self.do("delete", key)

    def invalidate(self, *keys: Any) -> None:
        self.do("invalidate", *keys)

    def invalidate_tags(self, *tags: str) -> None:
        self.do("invalidate_tags", *tags)

    def clear(self) -> None:
        self.do("clear")

    def barrier(self, timeout: float = 5.0) -> bool:
        known: bool = self.do("barrier", timeout)
        return known

    def warm(self, keys: Any) -> int:
        count: int = self.do("warm", keys)
        return count

    def loader(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a loader as this face takes it."""
        raise NotImplementedError

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a decorated function, or a method of it that is about all tiers."""
        raise NotImplementedError


class SyncFace(Face):
    """Calls from a thread."""

    kind = "sync"

    def do(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.cache, name)(*args, **kwargs)

    def loader(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)


class AsyncFace(Face):
    """Calls from tasks of one event loop."""

    kind = "async"

    def __init__(self, cache: TieredCache, runner: asyncio.Runner) -> None:
        super().__init__(cache)
        self.runner = runner

    def do(self, name: str, *args: Any, **kwargs: Any) -> Any:
        async def work() -> Any:
            return await getattr(self.cache, f"a{name}")(*args, **kwargs)

        return self.runner.run(work())

    def loader(self, function: Callable[..., Any]) -> Callable[..., Any]:
        import functools

        @functools.wraps(function)
        async def load(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return function(*args, **kwargs)

        return load

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        async def work() -> Any:
            result = function(*args, **kwargs)
            return await result if hasattr(result, "__await__") else result

        return self.runner.run(work())
