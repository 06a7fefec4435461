"""H13: a process forks while its threads use the caches; the child must be able to use them all."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.contracts.kinds import KINDS, Kind
from tests.hostile.child import in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
PATIENCE_SECONDS = 10


def use_everything(cache: Any) -> None:
    """Perform every operation."""
    cache["a"] = 1
    assert cache["a"] == 1
    assert "a" in cache
    cache.setdefault("b", 2)
    cache.update((number, number) for number in range(300))
    cache.pop(299, None)
    cache.get("a")
    list(cache.items())
    repr(cache)
    assert cache == dict(cache.items())
    if hasattr(cache, "expire"):
        cache.expire()
        with cache.timer:
            len(cache)
    cache._check()
    cache.popitem()
    cache.clear()
    assert len(cache) == 0


def in_forked_child(work: Callable[[], None]) -> None:
    """Fork; the child works and exits with status 0, within a limit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(PATIENCE_SECONDS)  # kills the child also where it waits for a lock
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@contextmanager
def hammering(cache: Any, threads: int = 4) -> Iterator[list[BaseException]]:
    """Use the cache in several threads while the block runs."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for step in iter(int, 1):
                if stop.is_set():
                    return
                cache[step * seed % 150] = [step]
                cache.get(step % 150)
                cache.pop(step * 7 % 150, None)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    running = [threading.Thread(target=work, args=(seed,)) for seed in range(1, threads + 1)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    for thread in running:
        thread.start()
    try:
        yield errors
    finally:
        stop.set()
        for thread in running:
            thread.join()
        sys.setswitchinterval(interval)


@in_child
def test_fork_while_others_hammer(kind: Kind) -> None:
    cache = kind.make(100)
    with hammering(cache) as errors:
        for _ in range(8):
            in_forked_child(lambda: use_everything(cache))
    assert errors == []
    cache._check()


@in_child
def test_fork_from_another_thread_while_others_hammer(kind: Kind) -> None:
    cache = kind.make(100)
    failures: list[BaseException] = []

    def fork() -> None:
        try:
            in_forked_child(lambda: use_everything(cache))
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    with hammering(cache) as errors:
        forking = [threading.Thread(target=fork) for _ in range(4)]
        for thread in forking:
            thread.start()
        for thread in forking:
            thread.join()
    assert errors == failures == []


@in_child
def test_fork_while_another_thread_is_inside_user_code(kind: Kind) -> None:
    inside, leave = threading.Event(), threading.Event()

    class Slow:
        def __hash__(self) -> int:
            return 987_654_321

        def __eq__(self, other: object) -> bool:
            inside.set()
            leave.wait(PATIENCE_SECONDS)
            return True

    cache = kind.make(300)
    cache[Slow()] = 1
    thread = threading.Thread(target=lambda: cache.get(Slow()))
    thread.start()
    assert inside.wait(PATIENCE_SECONDS)
    in_forked_child(lambda: use_everything(cache))
    leave.set()
    thread.join()
    cache._check()


@in_child
def test_fork_while_another_thread_froze_the_time(timed_kind: Kind) -> None:
    cache = timed_kind.make_short_lived(300)
    frozen, leave = threading.Event(), threading.Event()

    def freeze() -> None:
        with cache.timer:
            frozen.set()
            leave.wait(PATIENCE_SECONDS)

    thread = threading.Thread(target=freeze)
    thread.start()
    assert frozen.wait(PATIENCE_SECONDS)

    def work() -> None:
        cache["a"] = 1
        cache.timer.tick(10)
        assert "a" not in cache
        use_everything(cache)

    in_forked_child(work)
    leave.set()
    thread.join()


@in_child
def test_fork_from_inside_user_code(kind: Kind) -> None:
    class Forking:
        def __hash__(self) -> int:
            return 987_654_321

        def __eq__(self, other: object) -> bool:
            in_forked_child(lambda: use_everything(cache))
            return True

    cache = kind.make(300)
    cache[Forking()] = 1
    assert cache[Forking()] == 1
    cache._check()


@in_child
def test_items_expire_in_the_child(timed_kind: Kind) -> None:
    lifetime: dict[str, Any] = {"ttl": 0.05} if timed_kind.name == "TTLCache" else {"ttu": lambda k, v, now: now + 0.05}
    cache = timed_kind.make(3, **lifetime)
    cache["a"] = 1

    def work() -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "a" in cache:
            assert time.monotonic() < deadline
        assert len(cache) == 0

    in_forked_child(work)


@in_child
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_process_that_starts_while_others_hammer(kind: Kind, method: str) -> None:
    cache = kind.make(100)
    with hammering(cache) as errors, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point
        context: Any = multiprocessing.get_context(method)
        process = context.Process(target=use_everything, args=(cache,))
        process.start()
    process.join(PATIENCE_SECONDS)
    process.kill()
    process.join()
    assert process.exitcode == 0
    assert errors == []
    cache._check()


def fill(name_and_cache: tuple[str, Any]) -> Any:
    """Work on a cache that came from another process, and send it back."""
    name, cache = name_and_cache
    cache[name] = len(cache)
    cache._check()
    return cache


@in_child
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_caches_travel_between_processes(method: str) -> None:
    caches = [(kind.name, kind.make(5)) for kind in KINDS]
    for _, cache in caches:
        cache["here"] = 0
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map_async(fill, caches).get(PATIENCE_SECONDS * 2)
        pool.close()
        pool.join()
    for (name, _), result in zip(caches, results, strict=True):
        assert dict(result.items()) == {"here": 0, name: 1}
        result._check()
