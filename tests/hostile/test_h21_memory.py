"""H21: user code that a `MemoryCache` calls does anything to the cache, raises, collects, or lets others run."""

from __future__ import annotations

import copy
import gc
import logging
import operator
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.hostile.child import in_child, run_python
from tests.hostile.entries import Trigger
from tests.hostile.memory_entries import ENTRIES
from tests.memory.policies import POLICIES

GROUPS = sorted({name.split()[0] for name in ENTRIES})


def drain(cache: Any) -> None:
    """Pop everything that is not pinned."""
    for _ in range(len(cache)):
        cache.popitem()


def in_thread(function: Callable[[], object]) -> None:
    """Run a function in another thread, to its end."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "the other thread hangs"
    for error in errors:
        raise error


def replace_all(cache: Any) -> None:
    """Store more than fits."""
    cache.update((number, number) for number in range(10))


REACTIONS: dict[str, Callable[[Any], object]] = {
    "read": lambda cache: (cache.get("absent"), "a" in cache, cache.currsize, cache.hottest(), cache.stats()),
    "store": lambda cache: operator.setitem(cache, "stored by user code", 1),
    "store a tagged one that lives shortly": lambda cache: cache.set("a", 1, ttl=0.001, tags=["x", "z"]),
    "replace everything": replace_all,
    "delete everything": lambda cache: cache.delete_many(list(cache)),
    "pop everything": drain,
    "clear": lambda cache: cache.clear(),
    "setdefault": lambda cache: cache.setdefault("set by user code"),
    "load": lambda cache: cache.get_or_load("loaded by user code", str),
    "iterate": lambda cache: list(cache.items()),
    "compare": lambda cache: cache == {},
    "show": repr,
    "copy": copy.copy,
    "initialise": lambda cache: cache.__init__(cache.maxsize, policy=cache.policy, max_bytes=cache.max_bytes),
    "resize": lambda cache: (cache.resize(1), cache.resize(6)),
    "shrink": lambda cache: cache.resize(0),
    "pin": lambda cache: [cache.pin(key) for key in cache],
    "unpin": lambda cache: [cache.unpin(key) for key in cache],
    "invalidate": lambda cache: cache.invalidate_tags("x", "t", "y"),
    "invalidate and expire": lambda cache: (cache.invalidate_tag("x"), cache.expire()),
    "touch": lambda cache: [cache.touch(key, ttl=0) for key in cache],
    "listen": lambda cache: cache.add_listener(lambda key, value, cause: cache.get(key)),
    "stop listening": lambda cache: [cache.remove_listener(one) for one in cache._arguments()["on_evict"]],
    "collect garbage": lambda cache: gc.collect(),
    "check": lambda cache: cache._check(),
    "store in a thread": lambda cache: in_thread(lambda: replace_all(cache)),
    "clear in a thread": lambda cache: in_thread(cache.clear),
}
#: What an operation may make of a cache that changed under it: what it looked for is gone, or what is pinned
#: leaves no room.
PARDONABLE = (KeyError, ValueError, RuntimeError)


def assert_usable(cache: Any) -> None:
    """The invariants hold, the limits are kept, and the cache still stores and finds."""
    cache._check()
    assert cache.currsize <= cache.maxsize or all(map(cache.is_pinned, cache))
    for key in list(cache):
        cache.unpin(key)
    assert cache.currsize <= cache.maxsize
    cache.resize(max(1, cache.maxsize))
    cache["usable"] = "yes"
    assert cache["usable"] == "yes"
    cache._check()


def survives(policy: str, name: str, reaction: Callable[[Any], object], times: int) -> None:
    """Perform an operation whose user code reacts; the cache must be sound after it."""
    trigger = Trigger()
    cache, operation = ENTRIES[name](policy, trigger)
    trigger.arm(lambda: reaction(cache), times)
    try:
        operation()
    except PARDONABLE as error:
        if isinstance(error, RuntimeError):
            assert "changed" in str(error), error
        elif isinstance(error, ValueError):
            assert "pinned" in str(error) or "too large" in str(error), error
    assert trigger.calls > 0, "never reached user code"
    trigger.left = 0
    assert_usable(cache)


@in_child
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("policy", POLICIES)
def test_cache_survives_what_user_code_does_to_it(policy: str, group: str) -> None:
    unraisable: list[Any] = []
    sys.unraisablehook = unraisable.append
    try:
        for name in ENTRIES:
            for reaction, react in REACTIONS.items():
                for times in (1, 30) if name.startswith(group + " ") else ():
                    try:
                        survives(policy, name, react, times)
                    except BaseException as error:
                        error.add_note(f"in {name}, while user code did: {reaction} ({times} times)")
                        raise
    finally:
        sys.unraisablehook = sys.__unraisablehook__
    assert [one.exc_value for one in unraisable if not isinstance(one.exc_value, PARDONABLE)] == []


class Keeping(logging.Filter):
    """Keeps what is logged from being shown."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def filter(self, record: logging.LogRecord) -> bool:
        self.records.append(record)
        return False


class UserError(Exception):
    """Raised by user code."""


@in_child
@pytest.mark.parametrize("policy", POLICIES)
def test_exceptions_come_out_and_leave_the_cache_sound(policy: str) -> None:
    def fail() -> None:
        raise UserError

    log, kept = logging.getLogger("overdrive"), Keeping()
    log.addFilter(kept)
    unraisable: list[Any] = []
    sys.unraisablehook = unraisable.append
    try:
        for name, arrange in ENTRIES.items():
            quiet = name.startswith(("end of", "listener"))
            trigger = Trigger()
            cache, operation = arrange(policy, trigger)
            before = dict(cache.items()) if "clock" not in name else None
            trigger.arm(fail)
            if quiet:
                operation()
            else:
                try:
                    operation()
                except UserError:
                    pass
                else:
                    raise AssertionError(name)
                if name.startswith(("key", "weigher", "argument: t", "argument: l", "argument: i")):
                    trigger.left = 0
                    assert dict(cache.items()) == before or "many" in name, name
            assert_usable(cache)
    finally:
        sys.unraisablehook = sys.__unraisablehook__
        log.removeFilter(kept)
    assert {type(one.exc_value) for one in unraisable} == {UserError}
    assert len(kept.records) >= len([name for name in ENTRIES if name.startswith("listener")])


@in_child
@pytest.mark.parametrize("policy", POLICIES)
def test_garbage_is_collected_at_every_allocation(policy: str) -> None:
    before = gc.get_threshold()
    for arrange in ENTRIES.values():
        trigger = Trigger()
        cache, operation = arrange(policy, trigger)
        garbage: list[Any] = [cache]
        garbage.append(garbage)
        trigger.arm(lambda: None, 100)
        gc.set_threshold(1, 1, 1)
        try:
            operation()
        except PARDONABLE:
            assert trigger.calls
        finally:
            gc.set_threshold(*before)
        assert_usable(cache)


@in_child
@pytest.mark.parametrize("policy", POLICIES)
def test_recursion_ends_in_an_error(policy: str) -> None:
    for name, arrange in ENTRIES.items():
        if name.startswith(("key", "clock in get", "weigher in", "argument: loader")) and "coroutine" not in name:
            if "aget" in name:
                continue  # an event loop does not run within another one
            trigger = Trigger()
            cache, operation = arrange(policy, trigger)

            def again(trigger: Trigger = trigger, operation: Callable[[], object] = operation) -> None:
                trigger.running = False  # so that it is called from within itself
                operation()

            trigger.arm(again, 10**9)
            with pytest.raises(RecursionError):
                operation()
            trigger.left = 0
            assert_usable(cache)


#: As in `test_h15_shutdown`: the daemon thread never returns from `busy`.
BUSY = """
import os, sys, threading
from overdrive import MemoryCache
inside = threading.Event()
def busy(*arguments):
    inside.set()
    while True: pass
class Late:
    def __del__(self, listdir=os.listdir):
        for _ in range(20_000):
            if len(listdir("/proc/self/task")) == 1: break
sys.late = Late()
Real = type("Real", (), {{"__float__": busy}})
Whole = type("Whole", (), {{"__index__": busy}})
def make(**options): return MemoryCache(1, policy="lru", **options)
threading.Thread(target=lambda: {work}, daemon=True).start()
inside.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    "work",
    [
        "make().set('a', 1, ttl=Real())",
        "make(jitter=Real())",
        "make().hottest(Whole())",
        "make().resize(Real())",
        "make(clock=Real).get('a')",
        "make(clock=busy).get('a')",
        "make(weigher=lambda key, value: Real()).set('a', 1)",
        "make(weigher=busy).set('a', 1)",
        "make(on_evict=busy).update(a=1, b=2)",
        "make().set('a', 1, tags=iter(busy, None))",
        "make().get_or_load('a', busy)",
    ],
)
def test_process_ends_while_a_daemon_thread_is_in_a_callback(work: str) -> None:
    run_python(BUSY.format(work=work)).assert_clean()
