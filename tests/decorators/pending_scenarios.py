"""Scenarios of threads in one process; see `concurrency`."""

from __future__ import annotations

import random
import sys
import threading
from threading import Barrier, Condition, Event, Lock, Semaphore
from typing import TYPE_CHECKING, Any

from overdrive import LRUCache, _pending, cached, cachedmethod
from overdrive.func import lru_cache
from tests.decorators.concurrency import PATIENCE, Call, WatchedCondition, play

if TYPE_CHECKING:
    from collections.abc import Callable


# --- a function that calls itself -------------------------------------------------------------


def function_that_asks_for_the_key_it_computes_computes_it_again() -> None:
    calls: list[int] = []

    @cached({}, condition=Condition(), info=True)
    def function(n: int) -> int:
        calls.append(n)
        return function(n) + 1 if len(calls) == 1 else 10

    assert function(1) == 11
    assert function(1) == 11
    assert calls == [1, 1]
    assert function.cache_info() == (1, 2, None, 1)


def inner_result_answers_the_next_inner_call() -> None:
    calls: list[int] = []

    @cached({}, condition=Condition())
    def function(n: int) -> int:
        calls.append(n)
        return function(n) + function(n) if len(calls) == 1 else 10

    assert function(1) == 20
    assert calls == [1, 1]


def method_that_asks_for_the_key_it_computes_computes_it_again() -> None:
    class Service:
        def __init__(self) -> None:
            self.cache: dict[Any, Any] = {}
            self.condition = Condition(Lock())
            self.calls = 0

        @cachedmethod(lambda self: self.cache, condition=lambda self: self.condition)
        def get(self, n: int) -> int:
            self.calls += 1
            return self.get(n) + 1 if self.calls == 1 else 10

    assert Service().get(1) == 11


def memoized_function_may_ask_for_the_key_it_computes() -> None:
    calls: list[int] = []

    @lru_cache
    def function(n: int) -> int:
        calls.append(n)
        return function(n) + 1 if len(calls) == 1 else 10

    assert function(1) == 11


def others_keep_waiting_for_the_outer_of_two_calls_with_the_same_key() -> None:
    condition = WatchedCondition()
    calls: list[int] = []
    others: list[Call[int]] = []

    @cached({}, condition=condition)
    def function(n: int) -> int:
        calls.append(n)
        if len(calls) > 1:
            return 10
        inner = function(n)
        others.append(Call(function, n))
        condition.until_somebody_waits()
        return inner + 1

    assert function(1) == 11
    assert others[0].result() == 11
    assert calls == [1, 1]


def inner_call_that_raises_leaves_the_outer_one_alone() -> None:
    condition = WatchedCondition()
    calls: list[int] = []
    others: list[Call[int]] = []

    @cached({}, condition=condition)
    def function(n: int) -> int:
        calls.append(n)
        if len(calls) > 1:
            raise LookupError
        try:
            function(n)
        except LookupError:
            others.append(Call(function, n))
            condition.until_somebody_waits()
        return 5

    assert function(1) == 5
    assert others[0].result() == 5
    assert len(calls) == 2


# --- threads that ask for each other's keys ---------------------------------------------------


class Cycle:
    """Functions, one for each thread; each asks the next one for its key when all have begun."""

    def __init__(self, size: int, onlookers: int = 0) -> None:
        self.functions: list[Callable[[int], int]] = []
        self.size = size
        self.begun = Barrier(size + onlookers)
        self.outer = threading.local()
        self.calls: list[int] = []

    def compute(self, n: int) -> int:
        self.calls.append(n)
        if hasattr(self.outer, "n"):
            return 100 * n  # asked for by a thread that already computes another key
        self.outer.n = n
        self.begun.wait(PATIENCE)
        after = (n + 1) % self.size
        return self.functions[after](after) + 1

    def check(self) -> None:
        calls = [Call(function, n) for n, function in enumerate(self.functions)]
        results = [call.result() for call in calls]
        # Each result is one more than the next one, or than what the thread computed by itself instead.
        for n, result in enumerate(results):
            after = (n + 1) % self.size
            assert result in (results[after] + 1, 100 * after + 1), results
        assert self.size < len(self.calls) <= 2 * self.size, self.calls


def two_threads_may_ask_for_each_others_key() -> None:
    cycle = Cycle(2)
    cycle.functions = [cached({}, condition=Condition())(cycle.compute)] * 2
    cycle.check()


def two_functions_with_their_own_conditions_may_ask_for_each_others_key() -> None:
    cycle = Cycle(2)
    cycle.functions = [cached({}, condition=Condition())(cycle.compute) for _ in range(2)]
    cycle.check()


def two_functions_that_share_a_condition_may_ask_for_each_others_key() -> None:
    condition = Condition()
    cycle = Cycle(2)
    cycle.functions = [cached({}, condition=condition)(cycle.compute) for _ in range(2)]
    cycle.check()


def function_and_method_may_ask_for_each_others_key() -> None:
    cycle = Cycle(2)

    class Service:
        def __init__(self) -> None:
            self.condition = Condition()
            self.cache: dict[Any, Any] = {}

        @cachedmethod(lambda self: self.cache, condition=lambda self: self.condition)
        def get(self, n: int) -> int:
            return cycle.compute(n)

    cycle.functions = [lru_cache(cycle.compute), Service().get]
    cycle.check()


def three_threads_may_ask_for_each_others_keys_in_a_cycle() -> None:
    cycle = Cycle(3)
    cycle.functions = [cached({}, condition=Condition())(cycle.compute) for _ in range(3)]
    cycle.check()


def thread_outside_the_cycle_gets_a_result_from_it() -> None:
    cycle = Cycle(2, onlookers=1)
    cycle.functions = [cached({}, condition=Condition())(cycle.compute) for _ in range(2)]

    def look_on() -> int:
        cycle.begun.wait(PATIENCE)
        return cycle.functions[0](0)

    onlooker = Call(look_on)
    cycle.check()
    assert onlooker.result() >= 0
    assert _pending._waits == {}


def chain_of_waiting_threads_computes_each_key_once() -> None:
    condition = WatchedCondition()
    calls: list[int] = []
    threads: list[Call[int]] = []

    @cached({}, condition=condition)
    def function(n: int) -> int:
        calls.append(n)
        if n < 5:
            return function(n + 1) + 1
        # Thread k asks for k, which thread k - 1 or this one computes by now.
        for k in range(1, 5):
            threads.append(Call(function, k))
            condition.until_somebody_waits()
        return 0

    assert function(0) == 5
    assert [thread.result() for thread in threads] == [4, 3, 2, 1]
    assert calls == [0, 1, 2, 3, 4, 5]


# --- one computes, the others wait ------------------------------------------------------------


def threads_that_miss_the_same_key_compute_it_once() -> None:
    condition = WatchedCondition()
    calls: list[int] = []

    @cached(LRUCache(maxsize=2), condition=condition, info=True)
    def function(n: int) -> object:
        calls.append(n)
        for _ in range(7):
            condition.until_somebody_waits()
        return object()

    threads = [Call(function, 1) for _ in range(8)]

    assert len({id(thread.result()) for thread in threads}) == 1
    assert calls == [1]
    assert function.cache_info() == (7, 1, 2, 1)


def other_keys_are_computed_meanwhile() -> None:
    both = Barrier(2)

    @cached({}, condition=Condition())
    def function(n: int) -> int:
        both.wait(PATIENCE)
        return n

    threads = [Call(function, n) for n in range(2)]

    assert [thread.result() for thread in threads] == [0, 1]


def waiters_retry_in_turn_after_an_exception() -> None:
    condition = WatchedCondition()
    computing = Semaphore(1)
    calls: list[int] = []

    @cached({}, condition=condition)
    def function() -> str:
        assert computing.acquire(blocking=False), "two threads compute the same key"
        calls.append(len(calls))
        if len(calls) == 1:
            for _ in range(3):
                condition.until_somebody_waits()
        computing.release()
        if len(calls) < 3:
            raise LookupError(len(calls))
        return "third"

    outcomes = []
    for thread in [Call(function) for _ in range(4)]:
        try:
            outcomes.append(thread.result())
        except LookupError as error:
            outcomes.append(error.args[0])

    assert sorted(outcomes, key=str) == [1, 2, "third", "third"]
    assert calls == [0, 1, 2]


def waiters_compute_in_turn_what_the_cache_cannot_keep() -> None:
    condition = WatchedCondition()
    calls: list[int] = []

    @cached(LRUCache(maxsize=0), condition=condition)
    def function() -> int:
        calls.append(len(calls))
        if len(calls) == 1:
            condition.until_somebody_waits()
        return len(calls)

    threads = [Call(function) for _ in range(2)]

    assert sorted(thread.result() for thread in threads) == [1, 2]


def interrupt_of_a_wait_leaves_nothing_behind() -> None:
    class Impatient(Condition):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

    release = Event()
    begun = Event()

    @cached({}, condition=Impatient())
    def function() -> int:
        begun.set()
        release.wait(PATIENCE)
        return 1

    leader = Call(function)
    begun.wait(PATIENCE)
    try:
        function()
    except KeyboardInterrupt:
        release.set()

    assert leader.result() == 1
    assert function() == 1
    assert _pending._waits == {}


def key_that_cannot_be_compared_any_more_blocks_nobody() -> None:
    class Key:
        armed = False

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            if Key.armed:
                raise LookupError("cannot compare")
            return self is other

    outer, inner = Key(), Key()
    failures: list[LookupError] = []

    @cached({}, condition=Condition())
    def function(key: Key) -> int:
        if key is inner:
            Key.armed = not failures
            return 2
        try:
            function(inner)  # its end finds the outer key first, and compares
        except LookupError as error:
            failures.append(error)
        Key.armed = False
        return Call(function, inner).result() + 1

    assert function(outer) == 3
    assert len(failures) == 1
    assert Call(function, inner).result() == 2


def equality_that_calls_the_function_again_does_not_hang() -> None:
    class Key:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            lookup(0)
            return self is other

    @lru_cache
    def lookup(key: object) -> int:
        return 1

    keys = [Key() for _ in range(4)]

    assert [lookup(key) for key in keys * 2] == [1] * 8


def counts_are_exact() -> None:
    sys.setswitchinterval(1e-6)
    lock = Lock()
    guards: list[tuple[Lock | None, Condition | None]] = [
        (Lock(), None),
        (None, Condition()),
        (lock, Condition(lock)),
    ]

    def identity(n: int) -> int:
        return n

    for given in guards:
        function = cached(LRUCache(maxsize=3), lock=given[0], condition=given[1], info=True)(identity)
        ready = Barrier(4)

        def work(function: Callable[[int], int] = function, ready: Barrier = ready) -> None:
            ready.wait(PATIENCE)
            for n in range(500):
                assert function(n % 5) == n % 5

        for thread in [Call(work) for _ in range(4)]:
            thread.result()
        info = function.cache_info()
        assert info.hits + info.misses == 2000, (given, info)


def functions_that_ask_for_random_keys_of_each_other_always_return() -> None:
    sys.setswitchinterval(1e-5)
    threads, functions_, keys, rounds = 6, 3, 3, 100

    def compute(n: int, depth: int) -> int:
        if depth:
            choice = random.Random(depth * 1000 + n + threading.get_ident())
            for _ in range(2):
                other = choice.randrange(keys)
                assert choice.choice(functions)(other, depth - 1) == other
        return n

    functions = [
        cached(LRUCache(maxsize=1), key=lambda n, depth: n, condition=Condition())(compute) for _ in range(functions_)
    ]
    ready = Barrier(threads)

    def work(number: int) -> None:
        ready.wait(PATIENCE)
        for n in range(rounds):
            key = (n + number) % keys
            assert functions[n % functions_](key, 3) == key

    for thread in [Call(work, number) for number in range(threads)]:
        thread.result()
    assert _pending._waits == {}
    assert [dict(function._flights) for function in functions] == [{}] * functions_


if __name__ == "__main__":
    play(globals())
