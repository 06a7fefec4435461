"""A loader asks for what it is loading: nobody waits for himself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from overdrive import TieredCache
from overdrive.exceptions import LoadTimeout

# Waiting for its own lease would take six times its ten seconds.
pytestmark = pytest.mark.timeout(30)


def test_a_loader_that_asks_for_its_key_loads_it(make: Callable[..., TieredCache]) -> None:
    cache = make()

    def load(key: str) -> str:
        return "outer " + cache.get_or_load(key, lambda _: "inner")

    assert cache.get_or_load("k", load) == "outer inner"
    assert cache.get("k") in ("outer inner", "inner")


def test_a_loader_of_many_asks_for_one_of_them(make: Callable[..., TieredCache]) -> None:
    cache = make()

    def load(keys: list[str]) -> dict[str, str]:
        return {key: cache.get_or_load(key, lambda key: f"one {key}") for key in keys}

    assert cache.load_many(["a", "b"], load) == {"a": "one a", "b": "one b"}


def test_tasks_of_a_loader_of_many_ask_for_them(make: Callable[..., TieredCache]) -> None:
    cache = make()

    async def one(key: str) -> str:
        return f"one {key}"

    async def load(keys: list[str]) -> dict[str, str]:
        found = await asyncio.gather(*(cache.aget_or_load(key, one) for key in keys))
        return dict(zip(keys, found, strict=True))

    async def main() -> dict[Any, Any]:
        return await cache.aload_many(["a", "b"], load)

    assert asyncio.run(main()) == {"a": "one a", "b": "one b"}


def test_a_load_that_goes_on_in_the_background_asks_for_its_key(make: Callable[..., TieredCache]) -> None:
    cache = make()
    goes_on, loaded = threading.Event(), threading.Event()

    def load(key: str) -> str:
        assert goes_on.wait(20)
        value = cache.get_or_load(key, lambda _: "inner")
        loaded.set()
        return value

    with pytest.raises(LoadTimeout):
        cache.get_or_load("k", load, hard_timeout=0.05)
    goes_on.set()
    assert loaded.wait(20)


def test_what_was_loaded_once_is_waited_for_by_tasks_that_the_loader_left(make: Callable[..., TieredCache]) -> None:
    """The context of a load is copied to tasks that outlive it: to them another load is somebody else's."""
    cache = make()
    left: list[asyncio.Task[str]] = []
    goes_on = asyncio.Event()

    async def again(key: str) -> str:
        await goes_on.wait()
        return await cache.aget_or_load(key, _unexpected)

    async def load(key: str) -> str:
        left.append(asyncio.create_task(again(key)))
        return "first"

    async def second(key: str) -> str:
        goes_on.set()
        await asyncio.sleep(0.05)
        return "second"

    async def main() -> str:
        assert await cache.aget_or_load("k", load) == "first"
        await cache.ainvalidate("k")
        assert await cache.aget_or_load("k", second) == "second"
        return await left[0]

    assert asyncio.run(main()) == "second"


async def _unexpected(key: str) -> str:
    raise AssertionError(f"{key} is loaded already")
