"""H14: caches start no thread, keep no file open, and give their memory back."""

from __future__ import annotations

import contextlib
import copy
import gc
import os
import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.kinds import Kind
from tests.hostile.child import in_child

LINUX = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
#: Allocators keep some of what they were given back; a leak of one object per cache is more than this.
SLACK_BYTES = 2_000_000


def resident_bytes() -> int:
    """Return how much of this process is in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


def entries(directory: str) -> int:
    """Return how many entries a directory has."""
    return sum(1 for _ in Path(directory).iterdir())


def growth(work: Callable[[], object], rounds: int = 6) -> int:
    """Return by how much the process grew from the second round, when all pools are filled, to the last."""
    work()
    work()
    before = resident_bytes()
    for _ in range(rounds):
        work()
    return resident_bytes() - before


@in_child
@LINUX
def test_no_thread_and_no_file_is_opened(kind: Kind) -> None:
    threads = threading.active_count(), entries("/proc/self/task")
    files = entries("/proc/self/fd")
    caches = [kind.make(10) for _ in range(1000)]
    for cache in caches:
        cache.update((number, number) for number in range(20))
    assert (threading.active_count(), entries("/proc/self/task")) == threads
    assert entries("/proc/self/fd") == files


@in_child
@LINUX
def test_caches_give_their_memory_back(kind: Kind) -> None:
    def work() -> None:
        for _ in range(2000):
            cache = kind.make(10, getsizeof=lambda value: 1)
            cache.update((number, [number]) for number in range(12))

    assert growth(work, rounds=5) < SLACK_BYTES  # 10,000 caches


@in_child
@LINUX
def test_entries_give_their_memory_back(kind: Kind) -> None:
    cache = kind.make(1000)

    def work() -> None:
        for number in range(20_000):
            cache[number] = bytes(100)
            cache.get(number - 500)
        cache.clear()

    assert growth(work) < SLACK_BYTES


@in_child
@LINUX
def test_failed_operations_give_their_memory_back(kind: Kind) -> None:
    cache = kind.make(10, getsizeof=lambda value: 11 if value == "large" else 1)

    def work() -> None:
        for _ in range(3000):
            for operation in (
                lambda: cache[bytes(200)],
                lambda: cache.__setitem__(bytes(200), "large"),
                lambda: cache.pop(bytes(200)),
                lambda: cache.get([]),
                lambda: kind.make(-1),
                lambda: kind.make("3"),
                lambda: kind.cls(),
            ):
                with contextlib.suppress(KeyError, ValueError, TypeError):
                    operation()  # type: ignore[no-untyped-call]

    assert growth(work) < SLACK_BYTES


@in_child
@LINUX
def test_iterators_copies_and_pickles_give_their_memory_back(kind: Kind) -> None:
    cache = kind.make(100)
    cache.update((number, bytes(100)) for number in range(100))

    def work() -> None:
        for _ in range(60):
            next(iter(cache))
            list(cache.items())
            repr(cache)
            copy.copy(cache)
            copy.deepcopy(cache)
            pickle.loads(pickle.dumps({"bytes": b"", "cache": list(cache.items())}))
            assert cache == dict(cache.items())

    assert growth(work) < SLACK_BYTES


@in_child
def test_reference_counts_are_what_they_were(kind: Kind) -> None:
    key, value, default = ("key",), ["value"], ["default"]
    objects = (key, value, default)
    cache = kind.make(3)

    def work() -> None:
        cache[key] = value
        cache[key] = value
        cache[key], cache.get(key, default), cache.get("absent", default), cache.setdefault(key, default)
        list(cache), list(cache.items()), list(cache.values()), repr(cache)
        assert key in cache
        assert cache == {key: value}
        cache.pop(key)
        cache.pop(key, default)
        cache.setdefault(key, value)
        del cache[key]
        cache[key] = value
        cache.popitem()
        cache[key] = value
        cache.update((number, value) for number in range(5))
        cache.clear()

    work()
    gc.collect()
    before = [sys.getrefcount(one) for one in objects]
    nones = sys.getrefcount(None)
    for _ in range(200):
        work()
    gc.collect()
    assert [sys.getrefcount(one) for one in objects] == before
    assert abs(sys.getrefcount(None) - nones) < 100
    assert sys.getrefcount(kind.cls) < 10_000


@in_child
def test_reference_counts_of_the_arguments(kind: Kind) -> None:
    arguments: dict[str, Any] = {"getsizeof": lambda value: 1, **kind.required}
    if kind.timed:
        arguments["timer"] = lambda: 0
    counts = [sys.getrefcount(argument) for argument in arguments.values()]
    for _ in range(100):
        cache = kind.make(3, **arguments)
        cache["a"] = 1
        if kind.timed:
            cache.timer, cache.timer(), len(cache)
        del cache
    gc.collect()
    assert [sys.getrefcount(argument) for argument in arguments.values()] == counts


@in_child
@pytest.mark.skipif(not hasattr(sys, "gettotalrefcount"), reason="needs a debug build of Python")
def test_total_reference_count_is_flat(kind: Kind) -> None:
    def work() -> None:
        cache = kind.make(5)
        cache.update((number, [number]) for number in range(10))
        list(cache.items()), repr(cache), cache.popitem(), cache.clear()

    total: Callable[[], int] = vars(sys).get("gettotalrefcount", int)
    for _ in range(20):
        work()
    gc.collect()
    before = total()
    for _ in range(200):
        work()
    gc.collect()
    assert total() - before < 200
