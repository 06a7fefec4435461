"""User code that is called from within an operation, and does its worst."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest

from overdrive import MemoryCache

from .policies import filled, make

# What runs user code is the same for every policy; these differ most inside.
on_some_policies = pytest.mark.parametrize("policy", ["lru", "rr", "lirs", "adaptive"])

USES: dict[str, Any] = {
    "clear": lambda cache: cache.clear(),
    "delete": lambda cache: cache.delete_many(list(range(10))),
    "set": lambda cache: cache.set_many(dict.fromkeys(range(50, 60), "intruder")),
    "resize": lambda cache: (cache.resize(2), cache.resize(8)),
    "read": lambda cache: (dict(cache.items()), cache.stats(), cache.coldest(), len(cache)),
    "pin": lambda cache: [cache.pin(key) for key in range(4)] + [cache.unpin(key) for key in range(4)],
    "tags": lambda cache: cache.invalidate_tags("t", "u"),
    "expire": lambda cache: cache.expire(),
    "initialise": lambda cache: MemoryCache.__init__(cache, 8, policy="arc"),
    "error": lambda _cache: 1 // 0,
}

hostile_uses = pytest.mark.parametrize("use", sorted(USES))


class Key:
    """A key whose comparison or hash runs something."""

    def __init__(self, number: int, run: Any, where: str) -> None:
        self.number, self.run, self.where = number, run, where

    def __hash__(self) -> int:
        if self.where == "hash":
            self.run()
        return self.number

    def __eq__(self, other: object) -> bool:
        if self.where == "eq":
            self.run()
        return isinstance(other, Key) and other.number == self.number


def every_operation(cache: MemoryCache[Any, Any], key: Any) -> None:
    operations = (
        lambda: cache.get(key),
        lambda: cache.set(key, 1, ttl=5, tags="t"),
        lambda: cache.get(key),
        lambda: cache.peek(key),
        lambda: key in cache,
        lambda: cache.touch(key),
        lambda: cache.pin(key),
        lambda: cache.unpin(key),
        lambda: cache.remaining_ttl(key),
        lambda: cache.tags(key),
        lambda: cache.get_many([key]),
        lambda: cache.get_or_load(key, lambda _: 2),
        lambda: cache.setdefault(key, 3),
        lambda: cache.pop(key, None),
        lambda: cache.delete(key),
        lambda: cache.copy(),
        lambda: cache.popitem(),
        lambda: cache.resize(4),
        lambda: cache.clear(),
    )
    for operation in operations:
        try:
            operation()
        except (ZeroDivisionError, KeyError):
            pass
        else:
            continue


@on_some_policies
@hostile_uses
@pytest.mark.parametrize("where", ["eq", "hash"])
def test_keys_that_use_the_cache(policy: str, use: str, where: str) -> None:
    cache = filled(policy, 6, maxsize=8, ttl=100)
    running = False

    def run() -> None:
        nonlocal running
        if not running:
            running = True
            try:
                USES[use](cache)
            finally:
                running = False

    for number in range(4):
        try:
            cache[Key(3, lambda: None, "nowhere")] = number
        except ZeroDivisionError:
            raise AssertionError("harmless") from None
        every_operation(cache, Key(3, run, where))
    cache._check()


class Value:
    """A value whose destructor runs something."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def __del__(self) -> None:
        self.run()


@on_some_policies
@pytest.mark.parametrize("use", sorted(set(USES) - {"error"}))
def test_values_that_use_the_cache_when_they_go(policy: str, use: str) -> None:
    cache = make(policy, 5)
    depth = 0

    def run() -> None:
        nonlocal depth
        if depth < 2:
            depth += 1
            try:
                USES[use](cache)
            finally:
                depth -= 1

    for number in range(40):
        cache.set(number % 9, Value(run), tags="t")
        if number % 7 == 0:
            cache.delete(number % 9)
        if number % 11 == 0:
            cache.invalidate_tag("t")
    cache.clear()
    cache._check()


@on_some_policies
@hostile_uses
@pytest.mark.parametrize("callback", ["weigher", "clock", "on_evict"])
def test_callbacks_that_use_the_cache(policy: str, use: str, callback: str) -> None:
    cache: MemoryCache[Any, Any]
    running = False

    def call(*_: object) -> float:
        nonlocal running
        if not running:
            running = True
            try:
                USES[use](cache)
            finally:
                running = False
        return 1.0

    cache = make(policy, 6, ttl=50, **{callback: call})
    for number in range(30):
        every_operation(cache, number % 9)
    try:
        cache._check()
    finally:
        running = True


def test_references_are_given_back() -> None:
    class Thing:
        pass

    things = [Thing() for _ in range(20)]
    before = [sys.getrefcount(thing) for thing in things]
    told: list[object] = []
    cache: MemoryCache[Any, Any] = MemoryCache(7, policy="lru", on_evict=lambda *event: told.append(event[2]))
    for round_ in range(10):
        for thing in things:
            cache.set(thing, thing, ttl=60, tags=["t"])
            cache.get(thing)
            cache.peek(thing)
            cache.pin(thing)
            cache.unpin(thing)
        del thing
        cache.get_many(things)
        cache.coldest()
        dict(cache.items())
        cache.pop(things[-1], None)
        cache.invalidate_tag("t") if round_ % 2 else cache.clear()
        cache.copy()
    cache.clear()
    len(cache)
    assert [sys.getrefcount(thing) for thing in things] == before


AT_EXIT = """
    import sys, threading, time
    from overdrive import MemoryCache

    inside = threading.Event()

    def forever(*_):
        inside.set()
        time.sleep(1000)
        return 1

    cache = MemoryCache(2, policy="arc", {option})
    thread = threading.Thread(target=lambda: [cache.set(n, n) for n in range(5)], daemon=True)
    thread.start()
    assert inside.wait(30)
    print("leaving")
"""


@pytest.mark.parametrize("option", ["weigher=forever", "on_evict=forever", "clock=forever"])
def test_a_daemon_thread_inside_of_a_callback_does_not_keep_the_process(option: str) -> None:
    code = textwrap.dedent(AT_EXIT).format(option=option)
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "leaving\n", "")
