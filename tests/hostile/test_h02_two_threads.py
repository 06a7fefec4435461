"""H2: one thread is inside user code that a cache called; another thread uses that cache.

If the cache held a lock meanwhile, the second thread could not get on, and the first waits for it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import Kind
from tests.hostile.callbacks import ENTRIES, Trigger, cases
from tests.hostile.child import in_child
from tests.hostile.reactions import PARDONABLE, REACTIONS, assert_usable

CASES = cases("")
PATIENCE_SECONDS = 10
#: A `copy` would run the hooks of foreign values in the other thread, where the trigger is already running.
OTHER_REACTIONS = ("read", "store", "replace everything", "clear", "iterate", "check")


class OtherThread:
    """A thread that performs actions while another thread waits for them."""

    def __init__(self) -> None:
        self.action: Callable[[], object] = lambda: None
        self.error: BaseException | None = None
        self.wanted = threading.Semaphore(0)
        self.done = threading.Semaphore(0)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            self.wanted.acquire()
            if self.action is None:
                return
            try:
                self.action()
            except PARDONABLE:
                pass
            except BaseException as error:  # noqa: BLE001 - shown by the thread that waits
                self.error = error
            self.done.release()

    def perform(self, action: Callable[[], object]) -> None:
        """Let the other thread perform an action; wait until it has."""
        self.action = action
        self.wanted.release()
        assert self.done.acquire(timeout=PATIENCE_SECONDS), "the other thread could not use the cache"
        if self.error is not None:
            raise self.error


@in_child
@pytest.mark.parametrize(("kind", "name"), CASES.values(), ids=CASES.keys())
def test_other_thread_uses_the_cache_meanwhile(kind: Kind, name: str) -> None:
    other = OtherThread()
    failures: list[BaseException] = []

    def hand_over(action: Callable[[], object]) -> None:
        try:
            other.perform(action)
        except BaseException as error:
            failures.append(error)  # in a `__del__` it would go unnoticed
            raise

    for reaction in OTHER_REACTIONS:
        trigger = Trigger()
        cache, operation = ENTRIES[name].arrange(kind, trigger)
        trigger.arm(lambda cache=cache, reaction=reaction: hand_over(lambda: REACTIONS[reaction](kind, cache)))  # type: ignore[misc]
        try:
            operation()
        except PARDONABLE as error:
            if isinstance(error, RuntimeError) and "during iteration" not in str(error):
                raise
        assert not failures, (reaction, failures)
        assert trigger.calls == 1
        assert_usable(cache)
    other.action = None  # type: ignore[assignment]
    other.wanted.release()
    other.thread.join(PATIENCE_SECONDS)


@in_child
def test_slow_comparisons_in_three_threads(kind: Kind) -> None:
    class Slow:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            for _ in range(300):
                pass
            return True

    def work() -> None:
        for number in range(150):
            cache[Slow()] = number
            cache.get(Slow())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    cache: Any = kind.make(10)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert len(cache) == 1
    cache._check()
