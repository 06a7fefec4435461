"""Decorated functions: their keys, what is shared, and what is about all tiers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from overdrive import ConfigError, TieredCache
from tests.tiers.contract.conftest import Kind
from tests.tiers.contract.faces import AsyncFace, Face


def decorated(face: Face, function: Callable[..., Any], **options: Any) -> Any:
    return face.cache.cached(**options)(face.loader(function))


def counted(name: str = "function") -> tuple[Callable[..., Any], list[Any]]:
    calls: list[Any] = []

    def function(n: int, times: int = 2) -> int:
        calls.append((n, times))
        return n * times

    function.__qualname__ = name
    return function, calls


def test_results_are_kept_and_counted(face: Face) -> None:
    plain, calls = counted()
    function = decorated(face, plain)
    assert [face.call(function, 3) for _ in range(3)] == [6, 6, 6]
    assert calls == [(3, 2)]
    info = function.cache_info()
    assert (info.hits, info.misses) == (2, 1)


def test_results_outlive_the_memory(face: Face, kind: Kind) -> None:
    plain, calls = counted()
    function = decorated(face, plain)
    assert face.call(function, 3) == 6
    face.cache.flush(10)
    function.cache_clear()
    assert face.call(function, 3) == 6
    assert len(calls) == (2 if kind.is_memory_alone else 1)


@pytest.mark.parametrize("key", ["k:{n}:{times}", lambda n, times=2: f"k:{n}:{times}"], ids=["template", "function"])
def test_a_result_with_a_key_is_a_value_of_the_cache(face: Face, key: Any) -> None:
    plain, calls = counted()
    function = decorated(face, plain, key=key)
    assert face.call(function, 3) == 6
    assert face.get("k:3:2") == 6
    face.set("k:4:2", "set")
    assert face.call(function, 4) == "set"
    assert calls == [(3, 2)]
    face.invalidate("k:3:2", "k:4:2")
    assert face.call(function, 3) == 6
    assert face.call(function, 4) == 8
    assert face.call(function, 4, times=2) == 8
    assert calls == [(3, 2), (3, 2), (4, 2)]


def test_invalidate_put_refresh_and_result(face: Face) -> None:
    plain, calls = counted()
    function = decorated(face, plain)
    assert face.call(function.invalidate, 3) is False
    assert face.call(function, 3) == 6
    assert face.call(function.invalidate, 3) is True
    assert face.call(function, 3) == 6
    face.call(function.put, 100, 3)
    assert face.call(function, 3) == 100
    assert face.call(function.refresh, 3) == 6
    assert face.call(function, 3) == 6
    assert len(calls) == 3
    result = face.call(function.result, 3)
    assert (result.value, result.tier, result.stale) == (6, "l1", False)


def test_tags_of_a_function_may_come_from_its_arguments(face: Face) -> None:
    plain, calls = counted()
    function = decorated(face, plain, tags=lambda n, times=2: f"n{n}")
    for n in (1, 2):
        face.call(function, n)
    face.invalidate_tags("n1")
    for n in (1, 2):
        face.call(function, n)
    assert calls == [(1, 2), (2, 2), (1, 2)]


def test_spellings_and_types(face: Face) -> None:
    plain, calls = counted()
    apart = decorated(face, plain, typed=True, name="apart")
    for n in (1, 1.0, True):
        face.call(apart, n)
    assert len(calls) == 3
    calls.clear()

    async def later(n: int, times: int = 2) -> int:
        return int(plain(n, times))

    one = face.cache.cached(normalize=True, name="one")(later if face.kind == "async" else plain)
    face.call(one, 5)
    face.call(one, n=5)
    face.call(one, 5, 2)
    face.call(one, 5, times=2)
    assert calls == [(5, 2)]
    calls.clear()
    frozen = decorated(face, lambda values: sum(values), freeze=True, name="frozen")
    assert face.call(frozen, [1, 2]) == face.call(frozen, [1, 2]) == 3


def test_methods_need_a_key(make: Callable[..., TieredCache]) -> None:
    cache = make()
    with pytest.raises((ConfigError, RuntimeError)) as raised:

        class _WithoutKey:
            @cache.cached()
            def method(self) -> int:
                return 1

    error = raised.value if isinstance(raised.value, ConfigError) else raised.value.__cause__
    assert "key=" in str(error)

    class User:
        def __init__(self, number: int) -> None:
            self.number = number

        @cache.cached(key="user:{self.number}")
        def name(self) -> str:
            return f"user {self.number}"

    assert User(1).name() == "user 1"
    assert cache.get("user:1") == "user 1"
    assert User(2).name() == "user 2"


def test_two_lambdas_do_not_return_each_others_results(make: Callable[..., TieredCache]) -> None:
    cache = make()
    try:
        one = cache.cached()(lambda n: n + 1)
        other = cache.cached()(lambda n: n * 100)
    except ConfigError as error:
        assert "name=" in str(error)
        return
    assert one(5) == 6
    cache.flush(10)
    assert other(5) == 500


def test_two_closures_do_not_return_each_others_results(make: Callable[..., TieredCache]) -> None:
    cache = make()

    def function_of(factor: int) -> Any:
        @cache.cached()
        def times(n: int) -> int:
            return n * factor

        return times

    try:
        one, other = function_of(2), function_of(3)
    except ConfigError as error:
        assert "name=" in str(error)
        return
    assert one(5) == 10
    cache.flush(10)
    assert other(5) == 15


@pytest.fixture
def restarted(make: Callable[..., TieredCache], kind: Kind) -> Callable[[], TieredCache]:
    """Begin again on the same disk and Redis."""
    if kind.is_memory_alone:
        pytest.skip("keeps nothing")
    return make


def test_after_a_restart_the_same_values_are_found(restarted: Callable[[], TieredCache]) -> None:
    plain, calls = counted()
    cache = restarted()
    function = cache.cached(name="f")(plain)
    cache.set("k", {"a": [1]})
    assert function(7) == 14
    cache.close()
    cache = restarted()
    assert cache.get("k") == {"a": [1]}
    assert cache.cached(name="f")(plain)(7) == 14
    assert calls == [(7, 2)]


def test_a_snapshot_warms_the_next_process(make: Callable[..., TieredCache], kind: Kind, tmp_path: Any) -> None:
    cache = make()
    cache.set_many({f"k{number}": number for number in range(10)})
    assert cache.snapshot(tmp_path / "keys") == 10
    cache.close()
    cache = make()
    assert cache.warm(tmp_path / "keys") == 10
    assert len(cache.l1) == 10
    assert cache.get_many([f"k{number}" for number in range(10)]) == {f"k{number}": number for number in range(10)}
    assert kind


def test_after_close_it_says_so_or_answers(face: Face) -> None:
    """What is left works as without the lower tiers, or raises an error that says what is the matter."""
    face.set("k", 1)
    if isinstance(face, AsyncFace):
        face.runner.run(face.cache.aclose())
    else:
        face.cache.close()
    for work in (
        lambda: face.get("l"),
        lambda: face.set("l", 1),
        lambda: face.invalidate("l"),
        lambda: face.get_or_load("m", lambda _: 1),
        lambda: face.clear(),
    ):
        try:
            work()
        except Exception as error:  # noqa: BLE001 - any that says it
            assert "closed" in str(error)


def test_flights_and_values_are_let_go(make: Callable[..., TieredCache]) -> None:
    import gc
    import weakref

    class Value:
        pass

    cache = make()
    values = [weakref.ref(cache.get_or_load("k", lambda _: Value(), local=True))]
    cache.invalidate("k")
    cache.get("k")
    cache.set("k", 1)

    def fail(_key: str) -> None:
        value = Value()
        values.append(weakref.ref(value))
        raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            cache.get_or_load("x", fail)
    gc.collect()
    assert [value() for value in values] == [None] * 4
    assert not cache._flights

    async def tasks() -> None:
        async def load(_key: str) -> None:
            await asyncio.sleep(0)
            raise LookupError

        results = await asyncio.gather(*[cache.aget_or_load("y", load) for _ in range(5)], return_exceptions=True)
        assert all(isinstance(result, LookupError) for result in results)

    asyncio.run(tasks())
    assert not cache._task_flights
