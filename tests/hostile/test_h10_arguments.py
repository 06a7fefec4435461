"""H10: arguments, sizes and times from outside of every reasonable range.

Allowed is a clear refusal (`TypeError`, `ValueError`, `OverflowError` or whatever the user's own code
raised) or a cache that works. A panic, an abort, a hang or gigabytes are not.
"""

from __future__ import annotations

import functools
import math
import operator
import resource
from collections.abc import Callable
from typing import Any

import cachetools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.kinds import KINDS, TIMED_KINDS, Kind
from tests.hostile.child import in_child
from tests.hostile.nasty import CLOCKS, VALUES, UserError, alternating

REFUSALS = (TypeError, ValueError, OverflowError, ArithmeticError, UserError)
MEMORY_BYTES = 2**30
ARGUMENTS = ("maxsize", "getsizeof", "choice", "ttl", "ttu", "timer")


def accepts(kind: Kind, argument: str) -> bool:
    """Return whether the constructor has that argument."""
    special = {"choice": "RRCache", "ttl": "TTLCache", "ttu": "TLRUCache"}
    return special.get(argument, kind.name) == kind.name and (argument != "timer" or kind.timed)


def attempt(operation: Callable[[], object]) -> None:
    """Perform an operation that may refuse."""
    try:
        operation()
    except (*REFUSALS, KeyError):
        return  # anything else, a PanicException above all, fails the test


USES: tuple[Callable[[Any], object], ...] = (
    lambda cache: cache.update(a=1, b=2, c=3),
    lambda cache: cache.update(a=4),
    len,
    repr,
    list,
    lambda cache: cache.currsize,
    lambda cache: cache["a"],
    lambda cache: cache.get("b"),
    lambda cache: cache.setdefault("d", 4),
    lambda cache: cache.pop("a"),
    lambda cache: cache.popitem(),
    lambda cache: cache.expire() if hasattr(cache, "expire") else None,
    lambda cache: cache.__delitem__("b"),
)


def use(cache: Any) -> None:
    """Do a bit of everything with a cache."""
    for operation in USES:
        attempt(lambda operation=operation: operation(cache))  # type: ignore[misc]
    cache._check()
    cache.clear()
    cache._check()


class Limits:
    """A bound on the memory of a block; the child process has one on its time."""

    def __enter__(self) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES + 2**30, self.before[1]))

    def __exit__(self, *exc: object) -> None:
        resource.setrlimit(resource.RLIMIT_AS, self.before)


CASES = {f"{kind}-{argument}": (kind, argument) for argument in ARGUMENTS for kind in KINDS if accepts(kind, argument)}


@in_child
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("kind", "argument"), CASES.values(), ids=CASES.keys())
def test_constructor_refuses_or_builds_a_cache(kind: Kind, argument: str, value: str) -> None:
    with Limits():
        try:
            cache = kind.make(**{argument: VALUES[value]})
        except REFUSALS:
            return
        use(cache)


@in_child
@pytest.mark.parametrize("value", VALUES)
def test_sizes(kind: Kind, value: str) -> None:
    with Limits():
        for maxsize in (0, 10, 2.5, 2**70, float("inf")):
            cache = kind.make(maxsize, getsizeof=lambda _: VALUES[value])
            use(cache)


@in_child
def test_sizes_that_add_up_to_nonsense(kind: Kind) -> None:
    sizes = [size for name, size in VALUES.items() if isinstance(size, int | float)]
    with Limits():
        for maxsize in (10, 2.0**70, 2**64, 1.7e308, math.inf):
            for shift in range(len(sizes)):
                cache = kind.make(maxsize, getsizeof=lambda index: sizes[index])
                for step in range(len(sizes)):
                    attempt(functools.partial(operator.setitem, cache, step % 7, (step + shift) % len(sizes)))
                cache._check()
                # Only where infinite sizes fit may the total be infinity minus infinity.
                assert cache.currsize <= maxsize or maxsize == math.inf
                while cache:
                    cache.popitem()
                cache._check()
                cache.clear()
                cache["finite"] = sizes.index(-0.0)
                assert cache.currsize == 0


@in_child
def test_total_after_infinite_sizes_is_that_of_cachetools(kind: Kind) -> None:
    caches = [kind.make(math.inf, getsizeof=lambda size: size)]
    # A class that cachetools does not have adds up as all of its classes do.
    theirs = getattr(cachetools, kind.name, cachetools.LRUCache)
    caches.append(theirs(math.inf, getsizeof=lambda size: size, **kind.required))
    totals: list[list[str]] = [[], []]
    changes: tuple[Callable[[Any], object], ...] = (
        lambda c: c.update(a=math.inf),
        lambda c: c.update(a=1),
        lambda c: c.update(b=2),
        lambda c: c.pop("a"),
        lambda c: c.popitem(),
        lambda c: c.clear(),
        lambda c: c.update(c=3, d=math.inf),
    )
    for cache, seen in zip(caches, totals, strict=True):
        for change in changes:
            change(cache)
            seen.append(repr(cache.currsize))
    assert totals[0] == totals[1]


@in_child
@pytest.mark.parametrize("clock", CLOCKS)
def test_clocks(timed_kind: Kind, clock: str) -> None:
    lifetimes: tuple[Any, ...] = (0, 1, 1.5, float("inf"), 2**63, VALUES["timedelta"], VALUES["largest timedelta"])
    with Limits():
        for life in lifetimes:
            use(timed_kind.make_short_lived(life=life, timer=CLOCKS[clock]))


@in_child
@pytest.mark.parametrize("value", VALUES)
def test_lifetimes(timed_kind: Kind, value: str) -> None:
    with Limits():
        for clock in ("always zero", "always 1e300", "always datetime", "back and forth", "int and float"):
            attempt(lambda clock=clock: use(timed_kind.make_short_lived(life=VALUES[value], timer=CLOCKS[clock])))  # type: ignore[misc]


@in_child
@pytest.mark.parametrize("value", VALUES)
def test_times_to_expire_at(timed_kind: Kind, value: str) -> None:
    with Limits():
        for life in (1, float("inf")):
            cache = timed_kind.make_short_lived(life=life)
            cache.update(a=1, b=2)
            attempt(lambda: cache.expire(VALUES[value]))  # noqa: B023 - called at once
            cache._check()


@in_child
@pytest.mark.parametrize("value", VALUES)
def test_deadlines(value: str) -> None:
    kind = TIMED_KINDS[-1]
    with Limits():
        for clock in ("always zero", "always 1e300", "always datetime", "back and forth"):
            use(kind.make(ttu=lambda key, item, now: VALUES[value], timer=CLOCKS[clock]))
            use(kind.make(ttu=lambda key, item, now: VALUES[value] if item % 2 else now, timer=CLOCKS[clock]))


@in_child
@pytest.mark.parametrize("value", VALUES)
def test_choices(value: str) -> None:
    kind = KINDS[4]
    with Limits():
        use(kind.make(2, choice=lambda keys: VALUES[value]))


@in_child
def test_indices_into_the_keys_of_a_choice() -> None:
    results: list[Any] = []

    def choice(keys: Any) -> Any:
        for index in (-4, 3, 2**63, -(2**63), 2**70, "a", None, 1.0, slice(None), slice(2**70)):
            try:
                results.append(keys[index])
            except (IndexError, TypeError):
                results.append(None)
        return keys[-1]

    cache = KINDS[4].make(3, choice=choice)
    cache.update(a=1, b=2, c=3)
    assert cache.popitem() == ("c", 3)
    assert results[:4] == [None] * 4


NUMBERS = (
    st.integers()
    | st.floats()
    | st.integers(-(2**66), 2**66)
    | st.decimals()
    | st.fractions()
    | st.sampled_from([2**31, 2**32, 2**53, 2**62, 2**63, 2**64])
    | st.timedeltas()
    | st.datetimes()
)
ANYTHING = NUMBERS | st.none() | st.text(max_size=3) | st.complex_numbers() | st.lists(st.integers(), max_size=2)


def as_float(size: Any) -> float:
    """Return a size as the nearest float: what is not exact in 64 bits is kept in no better way."""
    try:
        return float(size)
    except OverflowError:
        return math.inf


@in_child
def test_any_maxsize(kind: Kind) -> None:
    @given(ANYTHING, st.lists(NUMBERS, max_size=5))
    def check(maxsize: Any, sizes: list[Any]) -> None:
        try:
            cache = kind.make(maxsize, getsizeof=lambda size: size)
        except REFUSALS:
            return
        for key, size in enumerate(sizes):
            attempt(lambda key=key, size=size: cache.update([(key, size)]))  # type: ignore[misc]
            cache._check()
            assert as_float(cache.currsize) <= as_float(cache.maxsize)
        use(cache)

    check()


@in_child
def test_any_time(timed_kind: Kind) -> None:
    @given(ANYTHING, st.lists(ANYTHING, min_size=1, max_size=6))
    def check(life: Any, times: list[Any]) -> None:
        try:
            cache = timed_kind.make_short_lived(3, life=life, timer=alternating(*times))
        except REFUSALS:
            return
        for key in range(10):
            attempt(lambda key=key: cache.update([(key % 5, key)]))  # type: ignore[misc]
            attempt(lambda: cache.get(0))
            attempt(lambda: len(cache))
            cache._check()
        use(cache)

    check()


@in_child
def test_any_state_for_setstate(kind: Kind) -> None:
    @given(st.dictionaries(st.text(max_size=8), ANYTHING, max_size=4) | ANYTHING)
    def check(state: Any) -> None:
        for cache in (kind.make(3), kind.cls.__new__(kind.cls)):
            try:
                cache.__setstate__(state)
            except (*REFUSALS, KeyError, AttributeError, RuntimeError):
                pass
            try:
                cache.clear()
                cache._check()
            except RuntimeError:
                assert type(cache) is kind.cls

    check()
