"""Loads that go wrong, or are outdated, leave nothing behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from overdrive import MemoryCache
from tests.decorators.concurrency import PATIENCE, Call
from tests.memoize.thread_scenarios import Gated, until_somebody_waits

Make = Callable[..., MemoryCache[Any, Any]]


def nothing_is_left(cache: MemoryCache[Any, Any]) -> bool:
    """Whether no load is in progress."""
    return cache._flights == cache._task_flights == {}


def test_loaders_that_cannot_be_called(make: Make) -> None:
    cache = make()
    with pytest.raises(TypeError, match="not callable"):
        cache.get_or_load("a", None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="wait_timeout"):
        cache.get_or_load("a", str, wait_timeout="1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="wait_timeout must be at least 0 seconds, got -1"):
        cache.get_or_load("a", str, wait_timeout=-1)
    assert nothing_is_left(cache)
    assert not cache


def test_value_that_cannot_be_stored_is_returned(make: Make) -> None:
    heavy = make(5, weigher=lambda key, value: value)
    assert heavy.get_or_load("a", lambda key: 100) == 100
    large = make(None, max_bytes=1000)
    assert len(large.get_or_load("a", lambda key: bytes(5000))) == 5000
    for cache in (heavy, large):
        assert not cache
        assert nothing_is_left(cache)
        assert cache.stats().loads == 1


@pytest.mark.parametrize("kind", [ValueError, ZeroDivisionError, KeyboardInterrupt])
def test_exception_of_the_weigher_is_passed_on(make: Make, kind: type[BaseException]) -> None:
    def weigher(key: Any, value: Any) -> int:
        raise kind("of the weigher")

    async def load(key: str) -> str:
        return key

    cache = make(weigher=weigher)
    with pytest.raises(kind, match="of the weigher"):
        cache.get_or_load("a", str)
    if issubclass(kind, Exception):
        with pytest.raises(kind, match="of the weigher"):
            asyncio.run(cache.aget_or_load("a", load))
    assert nothing_is_left(cache)
    assert not cache


OUTDATING: dict[str, Callable[[MemoryCache[Any, Any]], object]] = {
    "delete": lambda cache: cache.delete("key"),
    "pop": lambda cache: cache.pop("key", None),
    "delete_many": lambda cache: cache.delete_many(["key"]),
    "clear": lambda cache: cache.clear(),
    "invalidate_tag": lambda cache: cache.invalidate_tag("tag"),
    "invalidate_tags": lambda cache: cache.invalidate_tags("other", "tag"),
    "set": lambda cache: cache.set("key", "set meanwhile"),
    "set_many": lambda cache: cache.set_many({"key": "set meanwhile"}),
    "setitem": lambda cache: cache.__setitem__("key", "set meanwhile"),
    "setdefault": lambda cache: cache.setdefault("key", "set meanwhile"),
    "set and delete": lambda cache: cache.setdefault("key") or cache.delete("key"),
    "init": lambda cache: cache.__init__(8, policy=cache.policy),  # type: ignore[misc]
}


@pytest.mark.parametrize("name", OUTDATING)
def test_value_that_is_outdated_when_it_arrives_is_returned_but_not_stored(make: Make, name: str) -> None:
    cache = make()

    def loader(key: str) -> str:
        OUTDATING[name](cache)
        return "loaded"

    async def aloader(key: str) -> str:
        return loader(key)

    loads: tuple[Callable[[], object], ...] = (
        lambda: cache.get_or_load("key", loader, tags="tag"),
        lambda: asyncio.run(cache.aget_or_load("key", aloader, tags="tag")),
    )
    for load in loads:
        assert load() == "loaded"
        assert cache.get("key") in {None, "set meanwhile"}
        assert ("key" in cache) == (name.startswith("set") and "and" not in name)
        cache.delete("key")
    assert cache.get_or_load("key", lambda key: "fresh", tags="tag") == "fresh" == cache["key"]


def test_ticket_of_a_load_from_before_means_nothing_after_init(make: Make, policy: str) -> None:
    cache = make()

    def inner(key: str) -> str:
        cache._set_loaded("key", "from before", ticket)
        return "inner"

    ticket = cache._begin_load("key")
    cache.__init__(8, policy=policy)  # type: ignore[misc]
    assert cache.get_or_load("key", inner) == "inner" == cache["key"]


def test_loaders_may_ask_for_each_others_keys(make: Make) -> None:
    cache = make()
    both = threading.Barrier(2)
    begun: set[str] = set()

    def loader(key: str) -> str:
        if key in begun:
            return key.upper()
        begun.add(key)
        both.wait(PATIENCE)
        other: str = cache.get_or_load("b" if key == "a" else "a", loader)
        return key + other

    calls = [Call(cache.get_or_load, key, loader) for key in "ab"]
    assert {call.result() for call in calls} in ({"aB", "baB"}, {"bA", "abA"}, {"aB", "bA"})
    assert nothing_is_left(cache)


def test_interrupted_leader_hands_over(make: Make) -> None:
    cache = make()
    gated = Gated()
    gated.outcome = SystemExit()
    leader = Call(cache.get_or_load, "key", gated)
    gated.until_begun()
    follower = Call(cache.get_or_load, "key", lambda key: "mine")
    until_somebody_waits()
    gated.gate.set()
    with pytest.raises(SystemExit):
        leader.result()
    assert follower.result() == "mine"


def test_bad_arguments_of_coroutines_are_refused(make: Make) -> None:
    async def load(key: Any) -> Any:
        raise AssertionError

    cache = make()
    for arguments in ({"ttl": "x"}, {"tags": 5}, {"wait_timeout": -1}):
        with pytest.raises((TypeError, ValueError)):
            asyncio.run(cache.aget_or_load("a", load, **arguments))
    assert nothing_is_left(cache)
