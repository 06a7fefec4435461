"""What freezes, poisons or confuses other decorators; the notes are those of the design document on caches."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from overdrive import memoize
from tests.decorators.concurrency import Call
from tests.hostile.child import in_child, run_python

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW: dict[str, Any] = {"ttl": lambda value: 1000}
WAYS = pytest.mark.parametrize("way", ["native", "slow", "timed", "foreign"])


def decorate(way: str, function: Callable[..., Any], **options: Any) -> Any:
    more: dict[str, Any] = {"native": {}, "slow": SLOW, "timed": {"ttl": 1000}, "foreign": {"cache": {}}}[way]
    return memoize(**more, **options)(function)


# --- the notes --------------------------------------------------------------------------------


@WAYS
@in_child
def test_n3_function_that_logs_by_calling_itself_does_not_hang(way: str) -> None:
    function: Any
    runs = []

    def compute(n: int) -> int:
        runs.append(n)
        return int(function(n)) if len(runs) == 1 else n

    function = decorate(way, compute)
    assert function(1) == 1
    assert len(runs) == 2


@WAYS
@in_child
def test_n4_function_that_raised_once_is_called_again_by_all(way: str) -> None:
    errors = [LookupError()]

    def compute(n: int) -> int:
        if errors:
            raise errors.pop()
        return n

    function = decorate(way, compute)
    with pytest.raises(LookupError):
        function(1)
    assert [Call(function, 1).result() for _ in range(3)] == [1, 1, 1]


@in_child
def test_n5_cancelled_first_caller_neither_cancels_the_others_nor_poisons_the_key() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        @memoize
        async def function(n: int) -> int:
            await gate.wait()
            return n

        first, second = asyncio.create_task(function(1)), asyncio.create_task(function(1))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        gate.set()
        assert await second == 1 == await function(1)
        assert first.cancelled()
        assert function.cache_info().misses == 1

    asyncio.run(main())


@in_child
def test_n5_raised_exception_is_not_kept_as_a_finished_task() -> None:
    runs = []

    @memoize
    async def function(n: int) -> int:
        runs.append(n)
        raise LookupError

    async def main() -> None:
        for _ in range(3):
            with pytest.raises(LookupError):
                await function(1)

    asyncio.run(main())
    assert len(runs) == 3


@in_child
def test_n6_three_event_loops_in_three_threads_all_get_the_result() -> None:
    @memoize
    async def function(n: int) -> int:
        await asyncio.sleep(0.01)
        return n

    for n in range(5):
        assert [call.result() for call in [Call(lambda n=n: asyncio.run(function(n))) for _ in range(3)]] == [n] * 3


@WAYS
@in_child
def test_n7_error_of_an_equality_is_raised_to_the_caller_unchanged(way: str) -> None:
    error = LookupError()

    class Key:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            raise error

    function = decorate(way, lambda key: 1)
    function(Key())
    with pytest.raises(LookupError) as caught:
        function(Key())
    assert caught.value is error


@pytest.mark.parametrize("options", [{}, {"normalize": True}, {"freeze": True}, {"typed": True}])
def test_n8_objects_with_the_same_repr_have_results_of_their_own(options: dict[str, Any]) -> None:
    class Thing:
        def __repr__(self) -> str:
            return "Thing()"

    function = memoize(**options)(lambda thing: id(thing))
    one, two = Thing(), Thing()
    assert (function(one), function(two)) == (id(one), id(two))


def test_n8_equal_numbers_of_different_types_differ_if_typed() -> None:
    function = memoize(typed=True)(lambda n: type(n))
    assert [function(n) for n in (1, True, 1.0)] == [int, bool, float]


# --- garbage ----------------------------------------------------------------------------------


@WAYS
def test_closure_is_collected(way: str) -> None:
    class Value:
        pass

    def make() -> weakref.ref[Any]:
        value = Value()

        def compute(n: int) -> Any:
            return value, function

        function = decorate(way, compute)
        function(1)
        return weakref.ref(value)

    value = make()
    gc.collect()
    assert value() is None


def test_result_that_refers_to_its_function_or_instance_is_collected_with_the_class() -> None:
    class Owner:
        @memoize
        def get(self) -> Any:
            return self, self.get

    owner = Owner()
    owner.get()
    gone = weakref.ref(owner)
    del owner, Owner
    gc.collect()
    assert gone() is None


@WAYS
@in_child
def test_references_stay_flat(way: str) -> None:
    class Key:
        def __init__(self, n: int) -> None:
            self.n = n

        def __hash__(self) -> int:
            return self.n % 3

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Key) and self.n == other.n

    value = object()

    def compute(key: Key, *, fail: bool = False) -> object:
        if fail:
            raise LookupError
        return value

    function = decorate(way, compute)
    keys = [Key(n) for n in range(5)]

    def one_round() -> None:
        for key in keys:
            function(key)
            function(Key(key.n))
            function.peek(key)
            function.put(value, key)
            function.invalidate(key)
            function.refresh(key)
            with contextlib.suppress(LookupError):
                function(key, fail=True)
        function.cache_clear()

    def counts() -> list[int]:
        return [sys.getrefcount(thing) for thing in (value, function, compute, *keys)]

    one_round()
    gc.collect()
    before = counts()
    for _ in range(1000):
        one_round()
    gc.collect()
    assert counts() == before


@WAYS
def test_failed_call_leaves_no_garbage(way: str) -> None:
    """It would keep the arguments, and the frames of the callers, until the next collection."""

    class Argument:
        pass

    def compute(argument: Argument) -> None:
        raise LookupError

    function = decorate(way, compute)
    argument = Argument()
    gone = weakref.ref(argument)
    gc.disable()
    try:
        with contextlib.suppress(LookupError):
            function(argument)
        del argument
        assert gone() is None
    finally:
        gc.enable()


@WAYS
@in_child
def test_garbage_may_be_collected_anywhere(way: str) -> None:
    class Key:
        def __init__(self, n: int) -> None:
            self.n = n
            self.me = self

        def __hash__(self) -> int:
            gc.collect(0)
            return 1

        def __eq__(self, other: object) -> bool:
            gc.collect(0)
            return isinstance(other, Key) and self.n == other.n

    class Value:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            gc.collect(0)

    def compute(key: Key) -> Value:
        gc.collect(0)
        return Value()

    function = memoize(maxsize=3, **({} if way == "native" else SLOW))(compute)
    for n in range(200):
        function(Key(n % 7))
        function(Key(n % 5))
    assert function.cache_info().currsize == 3


@WAYS
@in_child
def test_equality_and_hash_may_call_the_function(way: str) -> None:
    function: Any
    depth = 0

    class Key:
        def __init__(self, n: int) -> None:
            self.n = n

        def nested(self) -> None:
            nonlocal depth
            if depth < 3:
                depth += 1
                try:
                    function(Key(self.n + 1))
                    function.invalidate(Key(self.n))
                    function.cache_clear()
                finally:
                    depth -= 1

        def __hash__(self) -> int:
            self.nested()
            return 1

        def __eq__(self, other: object) -> bool:
            self.nested()
            return isinstance(other, Key) and self.n == other.n

    function = decorate(way, lambda key: key.n)
    for n in range(3):
        assert function(Key(n)) == n


@pytest.mark.parametrize("options", [{}, SLOW, {"ttl": 1000}])
def test_finalizer_of_an_evicted_result_may_call_the_function(options: dict[str, Any]) -> None:
    function: Any
    finalized = []

    class Value:
        def __init__(self, n: int) -> None:
            self.n = n

        def __del__(self) -> None:
            finalized.append(self.n)
            if len(finalized) < 50:
                function(self.n + 1)
                function.peek(self.n)

    function = memoize(maxsize=1, **options)(Value)
    function(0)
    function(1)
    assert len(finalized) >= 50 or function.cache_info().currsize == 1
    finalized.extend([0] * 50)
    function.cache_clear()


# --- the end ----------------------------------------------------------------------------------


def test_exit_with_results_that_have_finalizers_is_clean() -> None:
    run_python(
        """
import asyncio
from overdrive import memoize
class Value:
    def __del__(self):
        f.peek(1)
        f(2)
@memoize(4)
def f(n): return Value()
@memoize(ttl=10, stale=10)
async def g(n): return Value()
class C:
    @memoize
    def m(self): return self, Value()
f(1); c = C(); c.m()
asyncio.run(g(1))
f.me = f
"""
    ).assert_clean()
