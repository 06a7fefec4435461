"""What loaders are told and can say, and which of them want to."""

from __future__ import annotations

import copy
import doctest
import functools
import gc
import math
import pickle
import weakref
from datetime import timedelta
from typing import Any, Optional

import pytest

from overdrive._tiers import context
from overdrive._tiers.context import NO_VALUE, NOT_MODIFIED, LoadContext, Tags, context_parameter
from overdrive._tiers.result import Result

# --- what a loader can say --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [(60, 60), (0.5, 0.5), ("5m", 300), (timedelta(hours=1), 3600), (math.inf, math.inf), (None, None)],
)
def test_the_ttl_can_be_set(ttl: Any, seconds: float | None) -> None:
    ctx: LoadContext[str] = LoadContext("user:1", ttl=10)
    assert ctx.ttl == 10
    ctx.ttl = ttl
    assert ctx.ttl == seconds


@pytest.mark.parametrize(
    ("ttl", "error"),
    [(-1, ValueError), ("soon", ValueError), (math.nan, ValueError), ([], TypeError), (True, TypeError)],
)
def test_a_wrong_ttl_is_refused_and_changes_nothing(ttl: Any, error: type[Exception]) -> None:
    ctx: LoadContext[str] = LoadContext("user:1", ttl=10)
    with pytest.raises(error, match=r"ctx.ttl: a duration must be"):
        ctx.ttl = ttl
    assert ctx.ttl == 10


def test_tags_are_a_set_to_add_to() -> None:
    ctx: LoadContext[str] = LoadContext("user:1", tags=["users"])
    ctx.tags.add("team:7")
    ctx.tags.add("team:7")
    ctx.tags.update(["b", "a"])
    ctx.tags.discard("b")
    ctx.tags.discard("never")
    assert list(ctx.tags) == ["a", "team:7", "users"]
    assert len(ctx.tags) == 3
    assert "users" in ctx.tags
    assert ctx.tags == {"users", "team:7", "a"} == Tags(("users", "team:7", "a"))
    assert ctx.tags != Tags()
    assert repr(ctx.tags) == "Tags(['a', 'team:7', 'users'])"
    with pytest.raises(TypeError, match="unhashable"):
        hash(ctx.tags)


def test_wrong_tags_are_refused() -> None:
    tags = Tags()
    with pytest.raises(TypeError, match="a tag must be a str, got 7"):
        tags.add(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a tag must not be empty"):
        tags.add("")
    with pytest.raises(TypeError, match="tags must be an iterable of str, got the str 'users'"):
        tags.update("users")
    assert len(tags) == 0


def test_a_stale_value_may_be_none() -> None:
    assert not LoadContext("key").has_stale
    ctx = LoadContext("key", stale=None, stale_version=3)
    assert ctx.has_stale
    assert (ctx.stale, ctx.stale_version) == (None, 3)


def test_not_modified_needs_a_stale_value() -> None:
    assert LoadContext("key", stale="old").not_modified() is NOT_MODIFIED
    with pytest.raises(ValueError, match=r"not_modified\(\) needs a stale value, and there is none for 'key'"):
        LoadContext("key").not_modified()


def test_values_can_be_kept_out_of_the_tiers() -> None:
    ctx: LoadContext[str] = LoadContext("key")
    assert (ctx.private, ctx.is_stored) == (False, True)
    ctx.private = True
    ctx.no_store()
    assert (ctx.private, ctx.is_stored) == (True, False)
    other: LoadContext[str] = LoadContext("key")
    other.ttl = 0
    assert not other.is_stored


def test_a_misspelt_attribute_is_refused() -> None:
    ctx: Any = LoadContext("key")
    with pytest.raises(AttributeError):
        ctx.tll = 5


@pytest.mark.parametrize("marker", [NO_VALUE, NOT_MODIFIED], ids=repr)
def test_markers_stay_themselves(marker: Any) -> None:
    assert copy.copy(marker) is copy.deepcopy(marker) is pickle.loads(pickle.dumps(marker)) is marker


def test_a_context_says_what_it_is_of() -> None:
    assert repr(LoadContext("k", tags=["t"])) == "<LoadContext of 'k', ttl=None, tags=['t']>"
    assert repr(LoadContext("k", ttl=5, stale=1, stale_version=2)) == (
        "<LoadContext of 'k', ttl=5, tags=[], stale_version=2>"
    )


# --- which loaders want one -------------------------------------------------------------------


def plain(key: str) -> None: ...
def annotated(key: str, context: LoadContext[int]) -> None: ...
def optional(key: str, context: Optional[LoadContext[int]] = None) -> None: ...  # noqa: UP045
def by_name(key, ctx): ...  # type: ignore[no-untyped-def]
def keyword_only(key, *, ctx=None): ...  # type: ignore[no-untyped-def]
def of_something_else(key: str, ctx: dict[str, str]) -> None: ...
def both(key: str, ctx: dict[str, str], context: LoadContext[int]) -> None: ...
def variadic(*args, **ctx): ...  # type: ignore[no-untyped-def]
def local_only(key):  # type: ignore[no-untyped-def]
    ctx = [key]
    return ctx + ctx


async def asynchronous(key, ctx): ...  # type: ignore[no-untyped-def]


class Loader:
    def method(self, key, ctx): ...  # type: ignore[no-untyped-def]
    def typed(self, key: str, context: LoadContext[int]) -> None: ...
    def without(self, key): ...  # type: ignore[no-untyped-def]
    def nothing(): ...  # type: ignore[no-untyped-def,misc]
    def odd(ctx, key): ...  # type: ignore[no-untyped-def]  # noqa: N805

    @classmethod
    def of_class(cls, key, ctx): ...  # type: ignore[no-untyped-def]

    @staticmethod
    def static(key, ctx): ...  # type: ignore[no-untyped-def]


LOADER: Any = Loader()


class Callable:
    def __call__(self, key, ctx): ...  # type: ignore[no-untyped-def]


class Built:
    def __init__(self, key, ctx): ...  # type: ignore[no-untyped-def]


def passes_on(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def takes_no_keywords(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(key: Any) -> Any:
        return function(key, None)

    return wrapper


def evaluated(key: str, c: Any) -> None: ...


evaluated.__annotations__ = {"c": LoadContext[int] | None}


def unparametrized(key: str, c: Any) -> None: ...


unparametrized.__annotations__ = {"c": LoadContext}


@pytest.mark.parametrize(
    ("loader", "name"),
    [
        (plain, None),
        (annotated, "context"),
        (optional, "context"),
        (evaluated, "c"),
        (unparametrized, "c"),
        (by_name, "ctx"),
        (keyword_only, "ctx"),
        (of_something_else, None),
        (both, "context"),
        (variadic, None),
        (local_only, None),
        (asynchronous, "ctx"),
        (lambda key: key, None),
        (lambda key, ctx: key, "ctx"),
        (Loader().method, "ctx"),
        (Loader().typed, "context"),
        (Loader().without, None),
        (LOADER.nothing, None),
        (Loader().odd, None),
        (Loader.of_class, "ctx"),
        (Loader.static, "ctx"),
        (Callable(), "ctx"),
        (Built, "ctx"),
        (dict, None),
        (len, None),
        ("key".upper, None),
        (functools.partial(by_name, "key"), "ctx"),
        (functools.partial(by_name, ctx=None), None),
        (functools.partial(by_name, "key", None), None),
        (functools.partial(plain), None),
        (functools.partial(passes_on(by_name), 1), "ctx"),
        (functools.partial(functools.partial(annotated), "key"), "context"),
        (passes_on(by_name), "ctx"),
        (passes_on(plain), None),
        (takes_no_keywords(by_name), None),
    ],
)
def test_a_loader_wants_its_context_by_the_parameter_that_says_so(loader: Any, name: str | None) -> None:
    assert context_parameter(loader) == name
    assert context_parameter(loader) == name  # as remembered


def test_two_contexts_are_refused() -> None:
    def load(key: str, one: LoadContext[int], other: LoadContext[int]) -> None: ...

    with pytest.raises(TypeError, match="load.* has several parameters annotated with LoadContext: one, other"):
        context_parameter(load)


def test_a_context_by_position_only_is_refused() -> None:
    def untyped(key, ctx, /): ...  # type: ignore[no-untyped-def]
    def typed(key: str, c: LoadContext[int], /) -> None: ...

    with pytest.raises(TypeError, match=r"untyped\(\) takes ctx by position only"):
        context_parameter(untyped)
    with pytest.raises(TypeError, match=r"typed\(\) takes c by position only"):
        context_parameter(typed)


def test_loaders_are_not_kept_alive() -> None:
    def load(key: str, ctx: LoadContext[int]) -> None: ...

    context_parameter(load)
    gone = weakref.ref(load)
    del load
    gc.collect()
    assert gone() is None


# --- results ----------------------------------------------------------------------------------


def test_a_result_is_immutable_and_comparable() -> None:
    result = Result("Ada", tier="l3", age=2.0, stale=True, version=7, tags=frozenset({"users"}))
    assert result == Result("Ada", tier="l3", age=2.0, stale=True, version=7, tags=frozenset({"users"}))
    with pytest.raises(AttributeError):
        result.value = "Bob"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(result)) == result


@pytest.mark.parametrize("documented", [LoadContext, Result])
def test_examples_in_docstrings_hold(documented: Any) -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(documented, module=False, globs={"Result": Result})
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_module_has_what_it_says() -> None:
    assert all(hasattr(context, name) for name in context.__all__)
