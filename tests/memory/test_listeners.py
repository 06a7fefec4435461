"""Listeners are told everything that leaves, with the cause, outside of every lock."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from overdrive import MemoryCache
from overdrive.testing import FakeClock
from tests.memory.conftest import Told
from tests.memory.policies import Telling
from tests.threads.hammer import run_threads, switching_often

Make = Callable[..., MemoryCache[Any, Any]]


def test_each_cause(make: Make, clock: FakeClock, told: Told) -> None:
    cache = make(2, clock=clock, on_evict=told)
    cache["a"] = 1
    cache["a"] = 2
    assert told.take() == [("a", 1, "replaced")]
    del cache["a"]
    assert told.take() == [("a", 2, "deleted")]
    cache.set("b", 3, ttl=1)
    clock.advance(2)
    cache.expire()
    assert told.take() == [("b", 3, "expired")]
    cache.update(c=1, d=2)
    cache["e"] = 3
    (evicted,) = told.take()
    assert evicted[2] == "size"
    popped = cache.popitem()
    assert told.take() == [(*popped, "deleted")]
    (key, value), *_ = cache.items()
    assert cache.pop(key) == value
    assert told.take() == [(key, value, "deleted")]
    cache.set("t", 1, tags="x")
    cache.invalidate_tag("x")
    assert len(cache) == 0
    assert told.take() == [("t", 1, "deleted")]
    cache.update(f=1, g=2)
    cache.clear()
    assert told.take() == [("f", 1, "deleted"), ("g", 2, "deleted")]
    stats = cache.stats()
    assert (stats.expired, stats.evicted, stats.replaced, stats.deleted) == (1, 1, 1, 6)


def test_the_operation_has_succeeded_when_listeners_are_told(make: Make) -> None:
    seen: list[object] = []
    cache: MemoryCache[Any, Any] = make(
        1, on_evict=lambda key, value, cause: seen.append((key, dict(cache), len(cache)))
    )
    cache["a"] = 1
    cache["b"] = 2
    cache["b"] = 3
    assert seen == [("a", {"b": 2}, 1), ("b", {"b": 3}, 1)]


def test_several_listeners_are_told_in_order(make: Make) -> None:
    seen = []

    def first(*_: object) -> None:
        seen.append("first")
        raise RuntimeError("of the first")

    def second(*_: object) -> None:
        seen.append("second")

    cache = make(on_evict=first)
    cache.add_listener(second)
    cache["a"] = 1
    del cache["a"]
    assert seen == ["first", "second"]
    cache.remove_listener(first)
    cache["a"] = 1
    del cache["a"]
    assert seen == ["first", "second", "second"]
    cache.remove_listener(second)
    cache["a"] = 1
    del cache["a"]
    assert len(seen) == 3
    with pytest.raises(ValueError, match="not a listener"):
        cache.remove_listener(second)
    for refused in (lambda: cache.add_listener(5), lambda: make(on_evict=5)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="5"):
            refused()


@pytest.mark.parametrize("count", [1, 2])
def test_exceptions_are_logged_and_go_no_further(make: Make, caplog: pytest.LogCaptureFixture, count: int) -> None:
    def fail(*_: object) -> None:
        raise ValueError("of the listener")

    cache = make(1)
    for _ in range(count):
        cache.add_listener(fail)
    with caplog.at_level(logging.ERROR, "overdrive"):
        cache["a"] = 1
        cache["b"] = 2
        cache.clear()
    assert len(cache) == 0
    assert len(caplog.records) == 2 * count
    assert all(record.name == "overdrive" and record.exc_info for record in caplog.records)
    assert "of the listener" in caplog.text


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_interrupts_pass_and_what_is_left_is_told_later(make: Make, kind: type[BaseException]) -> None:
    seen: list[Any] = []

    def listener(key: object, value: object, cause: str) -> None:
        seen.append(key)
        if len(seen) == 1:
            raise kind

    cache = make(on_evict=listener)
    cache.update(a=1, b=2, c=3)
    with pytest.raises(kind):
        cache.clear()
    assert (seen, len(cache)) == (["a"], 0)
    cache["d"] = 1
    assert seen == ["a", "b", "c"]


def test_a_listener_that_stores_what_was_evicted_ends(make: Make) -> None:
    seen = []

    def restore(key: object, value: object, cause: str) -> None:
        seen.append(key)
        if cause == "size":
            cache[key] = value

    cache = make(2, on_evict=restore)
    for key in range(4):
        cache[key] = key
        cache._check()
    assert len(cache) == 2
    assert len(seen) < 10_000


@pytest.mark.parametrize(
    "react",
    [
        lambda cache, key: cache.set("again", 1) if key != "again" else None,
        lambda cache, key: cache.clear(),
        lambda cache, key: cache.resize(1),
        lambda cache, key: cache.resize(50),
        lambda cache, key: cache.pop(key, None),
        lambda cache, key: cache.popitem() if cache else None,
        lambda cache, key: cache.remove_listener(cache._listeners()[0]),
        lambda cache, key: cache.add_listener(print) if len(cache._listeners()) < 2 else None,
        lambda cache, key: cache.__init__(4, policy=cache.policy),
        lambda cache, key: cache.copy(),
        lambda cache, key: cache.get_or_load("loaded", lambda key: key) if key != "loaded" else None,
        lambda cache, key: cache.invalidate_tag("x"),
        lambda cache, key: cache.expire(),
        lambda cache, key: list(cache.items()),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_listener_may_use_the_cache(
    make: Make, clock: FakeClock, react: Callable[[Any, Any], object], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = 0

    def listener(key: object, value: object, cause: str) -> None:
        nonlocal calls
        calls += 1
        react(cache, key)

    cache = make(4, ttl=10, clock=clock, on_evict=listener)
    for key in range(9):
        cache.set(key, key, tags=("x", "y"))
        if key % 5 == 4:
            cache.clear()
        if key % 4 == 3:
            clock.advance(20)
        if key % 6 == 5:
            cache.invalidate_tag("y")
        cache.pop(key, None)
        cache._check()
    assert calls > 0


def test_what_a_listener_removes_is_told_after_it_returned(make: Make) -> None:
    events = []

    def listener(key: Any, value: object, cause: str) -> None:
        events.append(("in", key))
        if key == "a":
            del cache["b"]
        events.append(("out", key))

    cache = make(on_evict=listener)
    cache.update(a=1, b=2)
    del cache["a"]
    assert events == [("in", "a"), ("out", "a"), ("in", "b"), ("out", "b")]


def test_threads_tell_what_they_removed(make: Make) -> None:
    told: list[Any] = []
    lock = threading.Lock()

    def listener(key: object, value: object, cause: str) -> None:
        with lock:
            told.append(key)

    cache = make(16, on_evict=listener)

    def work(number: int) -> None:
        for at in range(200):
            cache[number, at] = at
            if at % 7 == 0:
                cache.pop((number, at), None)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted([*told, *cache]) == sorted((number, at) for number in range(4) for at in range(200))


def test_a_listener_that_waits_for_another_thread_that_uses_the_cache(make: Make) -> None:
    def listener(key: object, value: object, cause: str) -> None:
        if key == "a":
            other = threading.Thread(target=use)
            other.start()
            other.join(10)
            assert not other.is_alive()

    def use() -> None:
        cache["c"] = 1
        del cache["c"]

    cache = make(on_evict=listener)
    cache["a"] = 1
    del cache["a"]
    assert len(cache) == 0


def test_listeners_are_added_and_removed(make: Make) -> None:
    first, second, third = Telling(), Telling(), Telling()
    cache = make(on_evict=first)
    cache.add_listener(second)
    cache.add_listener(third)
    cache.add_listener(second)
    cache["a"] = 1
    del cache["a"]
    told = [("a", 1, "deleted")]
    assert (first.take(), second.take(), third.take()) == (told, told * 2, told)
    cache.remove_listener(second)
    cache.remove_listener(first)
    cache["a"] = 1
    del cache["a"]
    assert (first.take(), second.take(), third.take()) == ([], told, told)
    cache.remove_listener(third)
    cache.remove_listener(second)
    cache["a"] = 1
    del cache["a"]
    with pytest.raises(ValueError, match="not a listener of this cache"):
        cache.remove_listener(first)
    for bad in (None, 5, "f"):
        with pytest.raises(TypeError, match=f"a listener must be callable, got {bad!r}"):
            cache.add_listener(bad)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="on_evict must be callable, got 5"):
        make(on_evict=5)


def test_listener_that_is_removed_is_called_no_more(make: Make) -> None:
    told = []

    def once(key: Any, value: Any, cause: str) -> None:
        told.append(key)
        cache.remove_listener(once)

    cache = make(on_evict=once)
    cache.update(a=1, b=2, c=3)
    cache.clear()
    assert told == ["a"]


def test_listener_that_is_added_while_telling_is_told_the_rest(make: Make) -> None:
    late = Telling()

    def adding(key: Any, value: Any, cause: str) -> None:
        if key == "b":
            cache.add_listener(late)

    cache = make(on_evict=adding)
    cache.update(a=1, b=2, c=3)
    cache.clear()
    assert [key for key, _, _ in late.told] == ["c"]


def test_threads_are_told_everything_once(make: Make) -> None:
    told: list[Any] = []
    cache = make(20, on_evict=lambda key, value, cause: told.append(value))

    def work(number: int) -> None:
        for step in range(300):
            value = (number, step)
            cache[step % 37] = value
            if step % 11 == 0:
                cache.pop(step % 37, None)
            if step % 97 == 0:
                cache.clear()

    with switching_often():
        run_threads(work, 6)
    cache["last"] = 0
    del cache["last"]
    told.remove(0)
    everything = [(number, step) for number in range(6) for step in range(300)]
    assert Counter([*told, *cache.values()]) == Counter(everything)


def test_no_listener_is_lost_when_threads_add_and_remove(make: Make) -> None:
    cache = make()

    def work(number: int) -> None:
        for _ in range(100):
            kept, removed = Telling(), Telling()
            cache.add_listener(kept)
            cache.add_listener(removed)
            cache.remove_listener(removed)

    with switching_often():
        run_threads(work, 6)
    cache["a"] = 1
    listeners = cache._arguments()["on_evict"]
    assert len(listeners) == 600
    del cache["a"]
    assert all(listener.told == [("a", 1, "deleted")] for listener in listeners)
