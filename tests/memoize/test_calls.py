"""Values, keys, counts and options of memoized functions."""

from __future__ import annotations

import copy
import functools
import inspect
import math
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overdrive import LRUCache, WithTTL, memoize

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0, 1, 1.0, True, "a", None, (1, 2)]), max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from([0, 1, 1.0, True, "a"]), max_size=3),
    ),
    max_size=20,
)


class Counted:
    """A function that counts its runs and returns what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> object:
        self.calls.append((args, kwargs))
        return len(self.calls)


@memoize
def module_level(n: int) -> int:
    """Double it."""
    return 2 * n


@memoize
async def coroutine_function(n: int) -> int:
    return 2 * n


# --- keys -------------------------------------------------------------------------------------


@given(CALLS, st.booleans())
def test_calls_are_told_apart_as_by_functools(calls: list[Any], typed: bool) -> None:
    ours, theirs = Counted(), Counted()
    mine = memoize(None, typed=typed)(ours)
    other = functools.lru_cache(None, typed=typed)(theirs)
    for args, kwargs in calls:
        assert mine(*args, **kwargs) == other(*args, **kwargs)
    assert mine.cache_info()[:2] == other.cache_info()[:2]


@given(CALLS, st.sampled_from([{}, {"typed": True}, {"maxsize": 2}, {"ttl": 10}, {"freeze": True}, {"maxsize": 0}]))
def test_dunder_call_agrees_with_vectorcall(calls: list[Any], options: dict[str, Any]) -> None:
    first, second = memoize(**options)(Counted()), memoize(**options)(Counted())
    for args, kwargs in calls:
        assert first(*args, **kwargs) == second.__call__(*args, **kwargs)
    one, two = first.cache_info(), second.cache_info()
    assert one._replace(load_seconds=0) == two._replace(load_seconds=0)
    assert list(first.cache) == list(second.cache)


def test_order_of_keywords_makes_another_key_as_in_functools() -> None:
    function = memoize(Counted())
    assert function(a=1, b=2) != function(b=2, a=1)


def test_normalize_gives_all_spellings_one_key() -> None:
    @memoize(normalize=True)
    def function(a: int, b: int = 2, *, c: int = 3) -> object:
        return object()

    assert len({function(1), function(1, 2), function(a=1), function(b=2, a=1), function(1, c=3)}) == 1
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        function()  # type: ignore[call-arg]


def test_freeze_goes_by_content() -> None:
    function = memoize(freeze=True)(Counted())
    assert function([1, {"a": 2}]) == function([1, {"a": 2}]) != function((1, 2))


def test_key_function_makes_the_key() -> None:
    function = memoize(key=lambda text: text.lower())(Counted())
    assert function("A") == function("a")
    assert list(function.cache) == ["a"]


def test_error_of_a_key_function_is_passed_on_unchanged() -> None:
    error = LookupError()

    def key(n: int) -> int:
        raise error

    with pytest.raises(LookupError) as caught:
        memoize(key=key)(Counted())(1)
    assert caught.value is error


@pytest.mark.parametrize("options", [{}, {"ttl": 10}, {"typed": True}, {"exceptions": KeyError}])
def test_unhashable_argument_is_named(options: dict[str, Any]) -> None:
    @memoize(**options)
    def function(text: str, filters: object = None) -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="argument 'filters' is unhashable \\(list\\); pass freeze=True"):
        function("a", [])
    with pytest.raises(TypeError, match="argument 'filters' is unhashable \\(dict\\)"):
        function("a", filters={})
    assert function.cache_info()[:2] == (0, 0)


def test_error_of_a_hash_is_passed_on_unchanged() -> None:
    class Key:
        def __hash__(self) -> int:
            raise LookupError("hash")

    with pytest.raises(LookupError, match="hash"):
        memoize(Counted())(Key())


# --- values and counts ------------------------------------------------------------------------


def test_exceptions_are_not_kept() -> None:
    calls = []

    @memoize
    def function(n: int) -> int:
        calls.append(n)
        if len(calls) < 3:
            raise LookupError
        return n

    for _ in range(2):
        with pytest.raises(LookupError):
            function(1)
    assert function(1) == function(1) == 1
    info = function.cache_info()
    assert (info.hits, info.misses, info.loads, info.errors, info.currsize) == (1, 3, 1, 2, 1)


@pytest.mark.parametrize("value", [None, False, NotImplemented, (), LookupError(), StopIteration(3)])
def test_any_value_is_kept(value: object) -> None:
    calls = []

    @memoize
    def function() -> object:
        calls.append(1)
        return value

    assert function() is function() is value
    assert calls == [1]


def test_counts_are_exact_with_evictions() -> None:
    function = memoize(2)(Counted())
    for n in (1, 2, 1, 3, 1, 2):
        function(n)
    info = function.cache_info()
    assert (info.hits, info.misses, info.maxsize, info.currsize, info.evictions) == (2, 4, 2, 2, 2)
    function.cache_clear()
    info = function.cache_info()
    assert (info.hits, info.misses, info.loads, info.errors, info.currsize, info.load_seconds) == (0, 0, 0, 0, 0, 0)


def test_statistics_are_those_since_the_last_clear() -> None:
    function = memoize(1)(Counted())
    function(1)
    function(2)
    function.cache_clear()
    assert function.cache_info().evictions == 0


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("lru", [1, 3]),
        ("fifo", [2, 3]),
        ("lfu", [1, 3]),
        ("arc", [1, 3]),
        ("2q", [2, 3]),
        ("s3fifo", [2, 3]),
        ("sieve", [1, 3]),
    ],
)
def test_policy_decides_what_leaves(policy: Any, kept: list[int]) -> None:
    function = memoize(2, policy=policy)(Counted())
    for n in (1, 2, 1, 3):
        function(n)
    assert [n for n in (1, 2, 3) if function.cached(n)] == kept


@pytest.mark.parametrize("policy", ["lirs", "wtinylfu"])
def test_policies_that_survive_a_loop(policy: Any) -> None:
    function = memoize(10, policy=policy)(Counted())
    for n in range(1000):
        function(n % 12)
    assert function.cache_info().hits > 400  # "lru" has none


def test_nothing_is_kept_without_room_and_everything_without_limit() -> None:
    none, everything = memoize(0)(Counted()), memoize(None)(Counted())
    for n in range(5000):
        none(n % 2)
        everything(n)
    assert none.cache_info()[:2] == (0, 5000)
    assert everything.cache_info()[1:4] == (5000, None, 5000)


@pytest.mark.parametrize("options", [{}, {"ttl": 10}, {"ttl": lambda value: 10}, {"cache": {}}])
def test_results_can_be_managed_one_by_one(options: dict[str, Any]) -> None:
    function = memoize(**options)(Counted())
    assert function.peek(1) is None
    assert not function.cached(1)
    assert not function.invalidate(1)
    function.put("mine", 1)
    assert function.cached(1)
    assert function(1) == function.peek(1) == "mine"
    assert function.refresh(1) == 1 == function(1)
    assert function.invalidate(1)
    assert function(1) == 2
    function.cache_clear()
    assert not function.cached(1)
    assert function.cache_info().hits == 0


def test_peek_is_no_use() -> None:
    function = memoize(2)(Counted())
    function(1)
    function(2)
    assert function.peek(1) == 1
    function(3)
    assert not function.cached(1)
    assert function.cache_info().hits == 0


def test_cache_of_a_subclass_offers_the_same() -> None:
    class Mine(LRUCache[Any, Any]):
        pass

    function = memoize(cache=Mine(10))(Counted())
    assert function.peek(1) is None
    assert function(1) == function(1) == function.peek(1) == 1
    assert function.cached(1)
    assert function.invalidate(1)


def test_marker_without_time_option_is_refused() -> None:
    @memoize
    def function() -> object:
        return WithTTL(1, 10)

    for _ in range(2):
        with pytest.raises(TypeError, match="WithTTL"):
            function()


def test_marker_is_taken_off() -> None:
    @memoize(ttl=math.inf)
    def function() -> object:
        return WithTTL("value", 10)

    assert function() == function() == function.peek() == "value"
    assert function.cache_info().misses == 1


def test_recursive_function_computes_each_key_once() -> None:
    @memoize(None)
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(100) == 354224848179261915075
    assert fibonacci.cache_info().misses == 101


def test_too_deep_recursion_raises_and_leaves_nothing_behind() -> None:
    @memoize(None)
    def count(n: int) -> int:
        return 0 if n == 0 else count(n - 1) + 1

    with pytest.raises(RecursionError):
        count(100_000)
    assert count.cache_info().currsize == 0
    assert count(100) == 100


# --- being a function -------------------------------------------------------------------------


def test_looks_like_the_function() -> None:
    assert module_level.__name__ == "module_level"
    assert module_level.__doc__ == "Double it."
    assert str(inspect.signature(module_level)) == "(n: 'int') -> 'int'"
    assert module_level.__wrapped__(4) == 8
    assert "module_level" in repr(module_level)
    assert module_level.cache_parameters()["maxsize"] == 1024
    assert not inspect.iscoroutinefunction(module_level)


@pytest.mark.parametrize("function", [module_level, coroutine_function])
def test_copies_and_pickles_are_the_function_itself(function: Any) -> None:
    assert copy.copy(function) is copy.deepcopy(function) is function
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(function, protocol)) is function


def test_callables_without_a_name_can_be_memoized() -> None:
    function = memoize(functools.partial(pow, 2))
    assert function(10) == function(10) == 1024
    assert function.cache_info().misses == 1
    assert repr(function)


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"maxsize": -1}, ValueError, "maxsize must be at least 0, got -1"),
        ({"maxsize": math.nan}, ValueError, "maxsize must be at least 0, got nan"),
        ({"maxsize": "1"}, TypeError, "maxsize must be a number or None"),
        ({"policy": "mru"}, ValueError, "policy must be one of 'lru'"),
        ({"policy": []}, (TypeError, ValueError), "policy must be"),
        ({"ttl": -1}, ValueError, "ttl must be at least 0"),
        ({"ttl": math.nan}, ValueError, "ttl must be at least 0"),
        ({"ttl": "1"}, TypeError, "ttl must be a number of seconds or a timedelta"),
        ({"ttl": 10**400}, ValueError, "ttl must be"),
        ({"ttl": 1, "early": 10**400}, ValueError, "early must be"),
        ({"ttl": 1, "jitter": 2}, ValueError, "jitter must be between 0 and 1"),
        ({"stale": 1}, ValueError, "stale and early need a ttl"),
        ({"early": 1}, ValueError, "stale and early need a ttl"),
        ({"jitter": 0.1}, ValueError, "jitter and clock need a time option"),
        ({"key": hash, "typed": True}, ValueError, "key replaces that"),
        ({"key": 1}, TypeError, "key must be callable"),
        ({"ttl": 1, "clock": 1}, TypeError, "clock must be callable"),
        ({"exceptions": KeyboardInterrupt}, TypeError, "exceptions must be subclasses of Exception"),
        ({"exceptions": [ValueError]}, TypeError, "exceptions must be"),
        ({"exceptions": ValueError, "ttl": lambda value: 1}, ValueError, "exceptions must be a mapping"),
        ({"wait_timeout": -1}, ValueError, "wait_timeout must be at least 0"),
        ({"cache": 3}, TypeError, "cache must be a mutable mapping"),
    ],
)
def test_bad_options_are_refused_by_name(options: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        memoize(**options)


@pytest.mark.parametrize("option", ["typed", "normalize", "freeze", "single_flight", "method"])
def test_flags_that_are_none_are_refused_by_name(option: str) -> None:
    with pytest.raises(TypeError, match=option):
        memoize(**{option: "yes"})(Counted())  # type: ignore[call-overload]


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="memoize decorates functions, got 3"):
        memoize(ttl=1)(3)  # type: ignore[call-overload]


def test_generator_functions_are_refused() -> None:
    def generator() -> Any:
        yield 1

    async def asynchronous_generator() -> Any:
        yield 1

    for function in (generator, asynchronous_generator, functools.partial(generator)):
        with pytest.raises(TypeError, match="is a generator function"):
            memoize(function)


def test_cache_of_a_plain_function_cannot_be_a_function() -> None:
    with pytest.raises(TypeError, match="cache must be"):
        memoize(cache=lambda self: {})(Counted())(1)


# --- results that are out of date when they come ----------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"ttl": 10}, {"ttl": lambda value: 10}, {"cache": {}}, {"single_flight": False}],
    ids=["direct", "timed", "slow", "foreign", "no single flight"],
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: WithTTL(value, 10)], ids=["plain", "marked"])
@pytest.mark.parametrize("act", ["invalidate", "cache_clear", "put"])
def test_result_that_was_invalidated_while_it_was_computed_is_not_kept(
    options: dict[str, Any], wrap: Callable[[Any], Any], act: str
) -> None:
    function: Any

    def compute(n: int) -> object:
        if act == "invalidate":
            function.invalidate(n)
        elif act == "cache_clear":
            function.cache_clear()
        else:
            function.put("new", n)
        return wrap("old")

    timed = {} if wrap(1) == 1 else {"stale_if_error": 0}  # a time option, which markers need
    fresh = {"cache": {}} if "cache" in options else options
    function = memoize(**timed, **fresh)(compute)  # type: ignore[call-overload]
    assert function(1) == "old"
    assert function.peek(1) == ("new" if act == "put" else None)


def test_result_that_is_invalidated_while_it_is_stored_is_not_kept() -> None:
    function: Any

    class Interrupted(dict[Any, Any]):
        def __setitem__(self, key: Any, value: Any) -> None:
            function.invalidate(1)
            super().__setitem__(key, value)

    function = memoize(cache=Interrupted())(Counted())
    function(1)
    assert not function.cached(1)


def test_refresh_does_not_keep_what_was_invalidated_meanwhile() -> None:
    function: Any

    def compute(n: int) -> str:
        function.invalidate(n)
        return "old"

    function = memoize(compute)
    assert function.refresh(1) == "old"
    assert not function.cached(1)


@pytest.mark.parametrize("options", [{}, {"ttl": 10}])
def test_cache_that_overrides_lookups_serves_everything_that_a_function_has(options: dict[str, Any]) -> None:
    class Counting(LRUCache[Any, Any]):
        lookups = 0

        def __getitem__(self, key: Any) -> Any:
            self.lookups += 1
            return super().__getitem__(key)

    cache = Counting(10)
    counted = Counted()
    function = memoize(cache=cache, **options)(counted)
    assert function(1) == function(1)
    assert function.cache_info().misses == 1
    assert cache.lookups
    assert function.cached(1)
    assert function.peek(1) == function(1)
    assert function.invalidate(1)
    assert not function.cached(1)
