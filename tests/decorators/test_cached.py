from __future__ import annotations

import copy
import functools
import gc
import inspect
import pickle
import weakref
from contextlib import contextmanager
from threading import Barrier, Condition, Lock, RLock, Thread
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from overdrive import Cache, CacheInfo, LRUCache, cached
from overdrive.keys import hashkey, methodkey, typedkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Guards = Callable[[], dict[str, Any]]


def lock_and_condition() -> dict[str, Any]:
    lock = Lock()
    return {"lock": lock, "condition": Condition(lock)}


LOCK: Guards = lambda: {"lock": RLock()}  # noqa: E731
CONDITION: Guards = lambda: {"condition": Condition()}  # noqa: E731

every_way = pytest.mark.parametrize(
    "guards",
    [
        pytest.param(dict, id="plain"),
        pytest.param(LOCK, id="lock"),
        pytest.param(CONDITION, id="condition"),
        pytest.param(lock_and_condition, id="lock and condition"),
    ],
)
every_guarded_way = pytest.mark.parametrize(
    "guards",
    [
        pytest.param(LOCK, id="lock"),
        pytest.param(CONDITION, id="condition"),
        pytest.param(lock_and_condition, id="lock and condition"),
    ],
)


class Recorder:
    """A function that remembers how it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def __call__(self, *args: object, **kwargs: object) -> object:
        self.calls.append((args, kwargs))
        return object()


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@cached(LRUCache(maxsize=4))
def module_level(n: int) -> int:
    """Double a number."""
    return 2 * n


class Holder:
    @cached(LRUCache(maxsize=4), key=methodkey)
    def method(self, n: int) -> int:
        return 2 * n


@every_way
def test_second_call_with_equal_arguments_is_answered_from_the_cache(guards: Guards) -> None:
    record = Recorder()
    function = cached({}, **guards())(record)

    first = function(1, 2, option=3)
    second = function(1, 2, option=3)

    assert second is first
    assert record.calls == [((1, 2), {"option": 3})]


@every_way
def test_result_is_stored_under_the_key_of_the_call(guards: Guards) -> None:
    cache: dict[Any, Any] = {}
    function = cached(cache, **guards())(Recorder())

    positional = function(1)
    keyword = function(n=1)

    assert cache == {hashkey(1): positional, hashkey(n=1): keyword}


@every_way
def test_own_key_function_decides_what_is_equal(guards: Guards) -> None:
    record = Recorder()
    cache: dict[str, object] = {}
    function = cached(cache, key=str.lower, **guards())(record)

    first = function("A")

    assert function("a") is first
    assert list(cache) == ["a"]


@every_way
def test_none_is_a_result_like_any_other(guards: Guards) -> None:
    calls = []

    @cached({}, **guards())
    def nothing(n: int) -> None:
        calls.append(n)

    nothing(1)
    nothing(1)

    assert calls == [1]


@every_way
def test_exception_is_passed_on_and_not_cached(guards: Guards) -> None:
    cache: dict[Any, Any] = {}
    divisors = iter([0, 1])

    @cached(cache, info=True, **guards())
    def function() -> float:
        return 42 / next(divisors)

    with pytest.raises(ZeroDivisionError) as caught:
        function()

    assert cache == {}
    assert caught.value.__context__ is None
    assert function() == 42
    assert function.cache_info() == (0, 2, None, 1)


@every_way
def test_value_that_is_too_large_is_returned_but_not_kept(guards: Guards) -> None:
    cache: Cache[Any, str] = Cache(maxsize=3, getsizeof=len)
    function = cached(cache, **guards())(lambda text: text)

    assert function("four") == "four"
    assert function("two") == "two"
    assert dict(cache) == {("two",): "two"}


@every_way
def test_unhashable_argument_is_refused_before_the_function_runs(guards: Guards) -> None:
    record = Recorder()
    function = cached({}, **guards())(record)

    with pytest.raises(TypeError, match="unhashable"):
        function([])

    assert record.calls == []


@every_way
@pytest.mark.parametrize("name", ["self", "args", "cache", "key", "flight"])
def test_keyword_may_have_any_name(guards: Guards, name: str) -> None:
    function = cached({}, **guards())(lambda **kwargs: kwargs)

    assert function(**{name: 1}) == {name: 1}
    assert function(**{name: 1}) == {name: 1}


@every_way
def test_hits_and_misses_are_counted_and_cleared(guards: Guards) -> None:
    cache: LRUCache[Any, Any] = LRUCache(maxsize=2)
    function = cached(cache, info=True, **guards())(Recorder())

    for n in (1, 1, 2, 3, 1):
        function(n)
    before = function.cache_info()
    function.cache_clear()

    assert before == CacheInfo(hits=1, misses=4, maxsize=2, currsize=2)
    assert function.cache_info() == CacheInfo(hits=0, misses=0, maxsize=2, currsize=0)
    assert len(cache) == 0


def test_info_of_a_mapping_that_is_no_cache_has_no_maxsize() -> None:
    function = cached({}, info=True)(Recorder())

    function(1)

    assert function.cache_info() == CacheInfo(hits=0, misses=1, maxsize=None, currsize=1)


@every_way
def test_statistics_are_absent_unless_asked_for(guards: Guards) -> None:
    function = cached({}, **guards())(Recorder())

    assert not hasattr(function, "cache_info")


def test_cache_info_is_shown_and_pickled_under_its_public_name() -> None:
    info = CacheInfo(1, 2, None, 3)

    assert CacheInfo.__module__ == "overdrive"
    assert repr(info) == "CacheInfo(hits=1, misses=2, maxsize=None, currsize=3)"
    assert pickle.loads(pickle.dumps(info)) == info


def test_of_two_threads_that_compute_under_a_lock_both_return_what_was_stored_first() -> None:
    both_compute = Barrier(2)
    results: list[object] = []

    @cached({}, lock=Lock())
    def function() -> object:
        both_compute.wait(10)
        return object()

    threads = [Thread(target=lambda: results.append(function())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results[0] is results[1]


@every_guarded_way
def test_lock_is_free_while_the_function_runs(guards: Guards) -> None:
    given = guards()
    lock: Any = given.get("lock", given.get("condition"))
    seen: list[bool] = []

    def try_lock() -> None:
        seen.append(lock.acquire(blocking=False))
        lock.release()

    @cached({}, **given)
    def function() -> None:
        other = Thread(target=try_lock)
        other.start()
        other.join()

    function()

    assert seen == [True]


def test_attributes_tell_what_the_function_was_decorated_with() -> None:
    cache: dict[Any, Any] = {}
    lock = Lock()
    condition = Condition(lock)
    record = Recorder()

    function = cached(cache, key=typedkey, lock=lock, condition=condition)(record)

    assert function.cache is cache
    assert function.cache_key is typedkey
    assert function.cache_lock is lock
    assert function.cache_condition is condition
    assert function.__wrapped__ is record


def test_condition_alone_is_the_lock_too() -> None:
    condition = Condition()

    function = cached({}, condition=condition)(Recorder())

    assert function.cache_lock is condition


def test_without_lock_and_condition_both_attributes_are_none() -> None:
    function = cached({})(Recorder())

    assert function.cache_lock is None
    assert function.cache_condition is None


def test_cache_and_key_can_be_replaced() -> None:
    function = cached({})(Recorder())
    function(1)
    other: dict[Any, Any] = {}

    function.cache = other
    function.cache_key = typedkey
    result = function(1)

    assert other == {typedkey(1): result}


def test_condition_made_with_another_lock_is_reported_on_the_first_miss() -> None:
    function = cached({}, lock=Lock(), condition=Condition())(Recorder())

    with pytest.raises(RuntimeError):
        function()


def test_none_is_refused_as_a_cache() -> None:
    nothing: Any = None

    with pytest.raises(TypeError, match="not None"):
        cached(nothing)
    with pytest.raises(TypeError, match="not None"):
        cached(nothing, info=True)


def test_decorated_function_looks_like_the_original() -> None:
    assert module_level.__name__ == "module_level"
    assert module_level.__qualname__ == "module_level"
    assert module_level.__module__ == __name__
    assert module_level.__doc__ == "Double a number."
    assert list(inspect.signature(module_level).parameters) == ["n"]
    assert repr(module_level) == f"<cached {module_level.__wrapped__!r}>"


def test_decorated_function_is_pickled_and_copied_by_name() -> None:
    assert pickle.loads(pickle.dumps(module_level)) is module_level
    assert pickle.loads(pickle.dumps(Holder.method)) is Holder.method
    assert copy.copy(module_level) is module_level
    assert copy.deepcopy(module_level) is module_level


def test_decorated_function_binds_as_a_method() -> None:
    Holder.method.cache_clear()

    assert Holder().method(1) == 2
    assert Holder.method(Holder(), 1) == 2
    assert len(Holder().method.cache) == 1


def test_autospec_of_an_instance_takes_no_instance() -> None:
    spec = mock.create_autospec(Holder, instance=True)

    spec.method(1)
    spec.method(n=1)

    assert spec.method.call_count == 2


def test_callable_that_is_no_function_can_be_decorated() -> None:
    function = cached({})(functools.partial(pow, 2))

    assert function(10) == 1024


def test_stacked_decorators_keep_their_state_apart() -> None:
    inner = cached(LRUCache(maxsize=1), info=True)(Recorder())
    outer = cached({}, info=True, condition=Condition())(inner)

    for n in (1, 2, 1):
        outer(n)
    outer.cache_clear()

    assert outer.__wrapped__ is inner
    assert outer.cache_info() == (0, 0, None, 0)
    assert inner.cache_info() == (0, 2, 1, 1)


def test_attributes_of_the_original_are_copied_but_do_not_replace_those_of_the_wrapper() -> None:
    def original() -> int:
        return 1

    original.cache = "another"  # type: ignore[attr-defined]
    original.route = "/one"  # type: ignore[attr-defined]

    function: Any = cached({})(original)

    assert function.route == "/one"
    assert function.cache == {}
    assert function() == 1


@every_way
def test_decorated_function_that_is_no_longer_used_is_freed_at_once(guards: Guards) -> None:
    function = cached({}, info=True, **guards())(lambda n: n)
    function(1)
    alive = weakref.ref(function)

    with without_garbage_collection():
        del function
        assert alive() is None


def test_cache_needs_no_more_than_the_operations_in_use() -> None:
    class Minimal:
        def __init__(self) -> None:
            self.data: dict[Any, Any] = {}

        def __getitem__(self, key: object) -> object:
            return self.data[key]

        def __setitem__(self, key: object, value: object) -> None:
            self.data[key] = value

    record = Recorder()
    minimal: Any = Minimal()
    function = cached(minimal, condition=Condition())(record)

    assert function(1) is function(1)
    assert len(record.calls) == 1
