"""H6: a cached function calls itself for the key that is being computed, or two wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import overdrive
import overdrive.func
from tests.contracts.kinds import Kind
from tests.hostile.child import in_child

Decorate = Callable[[Kind], Callable[[Any], Any]]
PATIENCE_SECONDS = 10

DECORATORS: dict[str, Decorate] = {
    "cached": lambda kind: overdrive.cached(kind.make(100)),
    "cached, info": lambda kind: overdrive.cached(kind.make(100), info=True),
    "cached, lock": lambda kind: overdrive.cached(kind.make(100), lock=threading.RLock()),
    "cached, condition": lambda kind: overdrive.cached(kind.make(100), condition=threading.Condition()),
    "cached, condition and info": lambda kind: overdrive.cached(
        kind.make(100), condition=threading.Condition(), info=True
    ),
}
FUNCTIONS: dict[str, Callable[[int | None], Callable[[Any], Any]]] = {
    "fifo_cache": overdrive.func.fifo_cache,
    "lfu_cache": overdrive.func.lfu_cache,
    "lru_cache": overdrive.func.lru_cache,
    "rr_cache": overdrive.func.rr_cache,
    "ttl_cache": overdrive.func.ttl_cache,
}


def assert_same_key_recursion_ends(decorate: Callable[[Any], Any]) -> None:
    """Call a function that calls itself with its own argument, three levels deep."""
    depth = 0

    @decorate
    def function(argument: str) -> int:
        nonlocal depth
        depth += 1
        return function(argument) if depth < 3 else depth

    try:
        result = function("key")
    except RuntimeError:
        depth = 3
        result = function("key")
    assert result in {3, 4}
    assert function("key") == result


def assert_crossing_keys_end(decorate: Callable[[Any], Any]) -> None:
    """Two threads compute two keys; each needs the key that the other is computing."""
    both_inside = threading.Barrier(2)
    entered = threading.local()
    ends: list[Any] = []

    @decorate
    def function(key: str) -> str:
        if not getattr(entered, "value", False):
            entered.value = True
            both_inside.wait(PATIENCE_SECONDS)
            return key + str(function("b" if key == "a" else "a"))
        return key

    def work(key: str) -> None:
        try:
            ends.append(function(key))
        except RuntimeError as error:
            ends.append(error)

    threads = [threading.Thread(target=work, args=(key,), daemon=True) for key in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert len(ends) == 2, "the threads wait for each other"
    assert any(isinstance(end, str) for end in ends)


@in_child
@pytest.mark.parametrize("name", DECORATORS)
def test_same_key_recursion_ends(kind: Kind, name: str) -> None:
    assert_same_key_recursion_ends(DECORATORS[name](kind))


@in_child
@pytest.mark.parametrize("name", DECORATORS)
def test_crossing_keys_end(kind: Kind, name: str) -> None:
    assert_crossing_keys_end(DECORATORS[name](kind))


@in_child
@pytest.mark.parametrize("maxsize", [16, 1, 0, None])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_key_recursion_of_a_memoised_function_ends(name: str, maxsize: int | None) -> None:
    decorate = FUNCTIONS[name](maxsize)
    depth = 0

    @decorate
    def function(argument: str) -> int:
        nonlocal depth
        depth += 1
        return function(argument) if depth < 3 else depth

    try:
        assert function("key") == 3
    except RuntimeError:
        assert depth < 3


@in_child
@pytest.mark.parametrize("name", FUNCTIONS)
def test_crossing_keys_of_a_memoised_function_end(name: str) -> None:
    assert_crossing_keys_end(FUNCTIONS[name](16))


@in_child
@pytest.mark.parametrize("name", DECORATORS)
def test_deep_recursion_over_many_keys(kind: Kind, name: str) -> None:
    decorate = DECORATORS[name](kind)

    @decorate
    def fibonacci(number: int) -> int:
        return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

    assert fibonacci(60) == 1548008755920


@in_child
@pytest.mark.parametrize("name", DECORATORS)
def test_function_that_clears_its_own_cache(kind: Kind, name: str) -> None:
    decorate = DECORATORS[name](kind)

    @decorate
    def function(argument: int) -> int:
        function.cache_clear()
        return argument

    assert [function(number) for number in (1, 2, 1)] == [1, 2, 1]


@in_child
@pytest.mark.parametrize("name", DECORATORS)
def test_recursion_through_the_arguments(kind: Kind, name: str) -> None:
    function = DECORATORS[name](kind)(lambda argument: getattr(argument, "value", argument))

    class Argument:
        def __init__(self, value: int) -> None:
            self.value = value

        def __hash__(self) -> int:
            function(self.value)
            return 1

        def __eq__(self, other: object) -> bool:
            function(-self.value)
            return isinstance(other, Argument) and other.value == self.value

    assert [function(Argument(number)) for number in (1, 2, 1, 2)] == [1, 2, 1, 2]


@in_child
def test_exception_in_the_middle_of_a_recursion_frees_every_key(kind: Kind) -> None:
    fail = True

    @overdrive.cached(kind.make(100), condition=threading.Condition())
    def function(number: int) -> int:
        if number == 0:
            if fail:
                raise ZeroDivisionError
            return 0
        return function(number - 1) + 1

    with pytest.raises(ZeroDivisionError):
        function(5)
    fail = False
    assert function(5) == 5
