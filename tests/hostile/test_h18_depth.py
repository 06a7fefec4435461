"""H18: caches nested a hundred thousand deep are dropped, collected and walked without a stack overflow."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import KINDS, Kind
from tests.hostile.child import in_child

DEPTH = 100_000


def cache_in_cache(kind: Kind) -> Any:
    """Return a cache that holds a cache that holds a cache."""
    cache = kind.make(1)
    for _ in range(DEPTH):
        outer = kind.make(1)
        outer["inner"] = cache
        cache = outer
    return cache


def cache_in_list_in_cache(kind: Kind) -> Any:
    """Return a cache that holds a list that holds a cache."""
    cache = kind.make(1)
    for _ in range(DEPTH):
        outer = kind.make(1)
        outer["inner"] = [cache]
        cache = outer
    return cache


def cache_as_attribute(kind: Kind) -> Any:
    """Return a cache that has a cache as an attribute."""
    cache = kind.make(1)
    for _ in range(DEPTH):
        outer = kind.make(1)
        outer.inner = cache
        cache = outer
    return cache


def mixed(kind: Kind) -> Any:
    """Return nested caches of all classes."""
    cache = kind.make(1)
    for number in range(DEPTH):
        outer = KINDS[number % len(KINDS)].make(1)
        outer["inner"] = (cache,)
        cache = outer
    return cache


def subclassed(kind: Kind) -> Any:
    """Return nested caches of a subclass with a finalizer."""

    class Mine(kind.cls):  # type: ignore[misc, name-defined]
        def __del__(self) -> None:
            pass

    cache = kind.make(1, cls=Mine)
    for _ in range(DEPTH // 4):
        outer = kind.make(1, cls=Mine)
        outer["inner"] = cache
        cache = outer
    return cache


NESTS: dict[str, Callable[[Kind], Any]] = {
    "cache in cache": cache_in_cache,
    "cache in list in cache": cache_in_list_in_cache,
    "cache as attribute": cache_as_attribute,
    "all classes": mixed,
    "subclass": subclassed,
}


@in_child
@pytest.mark.parametrize("nest", NESTS)
def test_last_reference_goes(kind: Kind, nest: str) -> None:
    cache = NESTS[nest](kind)
    del cache


@in_child
@pytest.mark.parametrize("nest", NESTS)
def test_garbage_collection(kind: Kind, nest: str) -> None:
    cache = NESTS[nest](kind)
    gc.collect()
    cache.loop = cache
    del cache
    gc.collect()


def timer_of_a_timer(kind: Kind) -> Any:
    """Return a cache that is timed by the timer of a cache that is timed by the timer of a cache."""
    cache = kind.make(1)
    for _ in range(DEPTH * 2):
        cache = kind.make(1, timer=cache.timer)
    return cache


@in_child
def test_timer_of_a_timer(timed_kind: Kind) -> None:
    cache = timer_of_a_timer(timed_kind)
    uses: tuple[Callable[[], object], ...] = (
        lambda: cache.timer.anything,
        lambda: hasattr(cache.timer, "anything"),
        lambda: cache.timer(),
        lambda: cache.timer.__enter__(),
        lambda: cache.update(a=1),
        lambda: pickle.dumps(cache.timer),
        lambda: copy.deepcopy(cache.timer),
    )
    for use in uses:
        with pytest.raises(RecursionError):
            use()
    assert repr(cache.timer).startswith("<timer ")
    cache._check()
    gc.collect()


@in_child
def test_clearing_the_outermost(kind: Kind) -> None:
    ways: tuple[Callable[[Any], object], ...] = (
        lambda c: c.clear(),
        lambda c: c.popitem(),
        lambda c: c.__init__(1, *kind.required.values()),
    )
    for empty in ways:
        cache = cache_in_cache(kind)
        empty(cache)
        cache._check()


@in_child
def test_walking_the_depth_is_a_recursion_error(kind: Kind) -> None:
    cache = cache_in_cache(kind)
    walks: tuple[Callable[[Any], object], ...] = (repr, pickle.dumps, copy.deepcopy)
    for walk in walks:
        with pytest.raises(RecursionError):
            walk(cache)


@in_child
def test_comparing_the_depth_is_a_recursion_error(kind: Kind) -> None:
    with pytest.raises(RecursionError):
        cache_in_cache(kind) == cache_in_cache(kind)  # noqa: B015 - the comparison is the operation under test
