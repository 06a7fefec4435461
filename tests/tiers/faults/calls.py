"""A cache as its users call it, from blocking code or from tasks, and what they would load from."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic, perf_counter
from typing import Any, Self, TypeVar

import pytest

from overdrive import Result, TieredCache
from tests.tiers.servers import eventually

T = TypeVar("T")

BUDGET = 0.15
#: What a call may cost while an outage is not known yet: the budget, and what a busy machine adds.
FIRST_CALLS = BUDGET * 1.5
#: What it may cost when it is: next to nothing, and what a busy machine adds.
LATER_CALLS = 0.005
#: So many calls may wait for a server before the breaker answers in its place.
TRIED = 5


class Origin:
    """What is cached: loads are counted, and values say of which key and version they are."""

    def __init__(self) -> None:
        self.loads: Counter[Any] = Counter()
        self.versions: Counter[Any] = Counter()
        self.error: Exception | None = None
        self._lock = threading.Lock()

    def __call__(self, key: Any) -> str:
        with self._lock:
            self.loads[key] += 1
        if self.error is not None:
            raise self.error
        return self.value(key)

    def value(self, key: Any) -> str:
        """Return what is true of a key now."""
        return f"{key}:{self.versions[key]}"

    def change(self, key: Any) -> None:
        """Make another value true."""
        self.versions[key] += 1


class Calls:
    """A cache and one way to call it.

    Attributes:
        cache: the cache.
        has_tasks: whether calls are made by tasks of an event loop.
    """

    def __init__(self, cache: TieredCache, loop: asyncio.AbstractEventLoop | None) -> None:
        self.cache = cache
        self._loop = loop

    def get(self, key: Any, default: Any = None) -> Any:
        """As the cache's own, like the following ones."""
        if self._loop is None:
            return self.cache.get(key, default)
        return self.run(_awaited(self.cache.aget(key, default)))

    def load(self, key: Any, loader: Callable[[Any], T], **terms: Any) -> T:
        if self._loop is None:
            return self.cache.get_or_load(key, loader, **terms)
        return self.run(self.cache.aget_or_load(key, _as_coroutine_function(loader), **terms))

    def result(self, key: Any, loader: Callable[[Any], Any] | None = None, **terms: Any) -> Result[Any] | None:
        if self._loop is None:
            return self.cache.get_result(key, loader, **terms)
        given = None if loader is None else _as_coroutine_function(loader)
        return self.run(self.cache.aget_result(key, given, **terms))

    def set(self, key: Any, value: Any, **terms: Any) -> None:
        if self._loop is None:
            self.cache.set(key, value, **terms)
        else:
            self.run(self.cache.aset(key, value, **terms))

    def invalidate(self, *keys: Any) -> None:
        if self._loop is None:
            self.cache.invalidate(*keys)
        else:
            self.run(self.cache.ainvalidate(*keys))

    def invalidate_tags(self, *tags: str) -> None:
        if self._loop is None:
            self.cache.invalidate_tags(*tags)
        else:
            self.run(self.cache.ainvalidate_tags(*tags))

    def at_once(self, keys: list[Any], loader: Callable[[Any], Any]) -> list[Any]:
        """Load keys by as many callers at the same time; return what each got, also exceptions."""
        if self._loop is None:
            return in_threads(lambda key: self.cache.get_or_load(key, loader), keys)
        load = _as_coroutine_function(loader)

        async def all_of_them() -> list[Any]:
            calls = [self.cache.aget_or_load(key, load) for key in keys]
            return await asyncio.gather(*calls, return_exceptions=True)

        return self.run(all_of_them())

    def timed(self, call: Callable[..., T], *arguments: Any, **terms: Any) -> tuple[T, float]:
        """Return what a call returned, and how many seconds it took."""
        start = perf_counter()
        result = call(*arguments, **terms)
        return result, perf_counter() - start

    def close(self) -> None:
        """Close the cache."""
        if self._loop is None:
            self.cache.close()
        else:
            self.run(self.cache.aclose())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the event loop of the tasks."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    # --- what tests wait for ------------------------------------------------------------------------

    def until_coherent(self) -> Self:
        """Wait until the cache hears what others invalidate."""
        eventually(lambda: self.cache.health().coherent, "it hears of others")
        return self

    def until_healed(self, origin: Origin) -> None:
        """Wait until all is well again; ask for something meanwhile, as users do."""

        def is_well() -> bool:
            self.load("heal", origin)
            health = self.cache.health()
            return health.state == "up" and health.pending_invalidations == 0

        eventually(is_well, "all is well again")


class LogLines:
    """The lines that the package logged."""

    def __init__(self, captured: pytest.LogCaptureFixture) -> None:
        self._captured = captured

    def of(self, *words: str) -> list[str]:
        """Return those of at least INFO with all of these words."""
        lines = [each.getMessage() for each in self._captured.records if each.levelno >= logging.INFO]
        return [line for line in lines if all(word in line for word in words)]

    def clear(self) -> None:
        """Forget them."""
        self._captured.clear()


def in_threads(call: Callable[[Any], Any], arguments: list[Any]) -> list[Any]:
    """Call in as many threads at the same time; return what each returned or raised."""
    results: list[Any] = [None] * len(arguments)
    barrier = threading.Barrier(len(arguments))

    def work(index: int) -> None:
        barrier.wait(20)
        try:
            results[index] = call(arguments[index])
        except Exception as error:  # noqa: BLE001 - for the test to look at
            results[index] = error

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(arguments))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return results


def seconds_since(start: float) -> float:
    """Return how long ago a monotonic time was."""
    return monotonic() - start


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _as_coroutine_function(loader: Callable[[Any], T]) -> Callable[[Any], Coroutine[Any, Any, T]]:
    async def load(key: Any) -> T:
        return loader(key)

    return load
