"""States for `__setstate__` that no cache has made: refused, or restored as a sound cache; never a panic."""

from __future__ import annotations

import copy
import itertools
import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import KINDS, TIMED_KINDS, Kind, kind_named
from tests.hostile.child import in_child
from tests.hostile.nasty import VALUES, UserError

ENTRY = "__overdrive_cache__"
REFUSALS = (TypeError, ValueError)
#: What objects that claim to be numbers raise when they are asked.
RAISED_BY_THE_VALUE = (UserError, ArithmeticError)
LFU = kind_named("LFUCache")
#: Classes whose rank is a list of runs, each with a grade.
GRADED = [
    kind_named(name)
    for name in ("ARCCache", "TwoQCache", "S3FIFOCache", "SieveCache", "LIRSCache", "WTinyLFUCache", "AdaptiveCache")
]
RANKED = [kind for kind in KINDS if kind not in (kind_named("Cache"), LFU, *GRADED)]


def weigh(value: Any) -> Any:
    """Give all values the same size."""
    return 2


def filled(kind: Kind) -> Any:
    """Return a cache of three items with sizes."""
    cache = kind.make(100, getsizeof=weigh)
    cache.update(a=1, b=2, c=3)
    return cache


def tampered(kind: Kind, **fields: Any) -> dict[str, Any]:
    """Return the state of such a cache with other fields."""
    state: dict[str, Any] = filled(kind).__getstate__()
    return {**state, ENTRY: {**state[ENTRY], **fields}}


def assert_sound(cache: Any) -> None:
    """Fail unless all invariants hold, and keep holding while the cache is filled and emptied."""
    cache._check()
    assert len(cache) <= cache.maxsize
    list(cache.items())
    for number in range(60):
        cache[number] = number
        cache.get(number)
    cache._check()
    for _ in range(len(cache) // 2):
        cache.popitem()
    cache._check()
    copy.copy(cache)._check()
    cache.clear()
    cache._check()


def assert_refused(kind: Kind, state: Any, *others: type[Exception]) -> None:
    """Fail unless the state is refused, by a new object and by one that is in use and stays as it is."""
    for cache in (kind.cls.__new__(kind.cls), filled(kind)):
        before = repr(cache) if cache.__dict__ else None
        with pytest.raises((*REFUSALS, *others)) as caught:
            cache.__setstate__(state)
        assert str(caught.value)
        if before is not None:
            assert repr(cache) == before
            assert_sound(cache)


def assert_refused_or_sound(kind: Kind, state: Any, *, may_be_restored: bool = False) -> None:
    """Fail unless the state is refused, or makes a cache that works."""
    cache = filled(kind)
    before = repr(cache)
    try:
        cache.__setstate__(state)
    except (*REFUSALS, *RAISED_BY_THE_VALUE):
        if not may_be_restored:
            assert repr(cache) == before
            assert_sound(cache)
    cache._check()
    cache.clear()
    cache._check()


FIELDS = tuple(filled(KINDS[0]).__getstate__()[ENTRY])
SHAPES: tuple[Any, ...] = (
    {},
    {"a": 1},
    [],
    (),
    [[]],
    [()],
    [("a", 1)],
    [("a", 1), ("a", 2), ("a", 3)],
    [("a",)] * 3,
    [("a", 1, 2)] * 3,
    [([], 1), ("b", 2), ("c", 3)],
    [0],
    [0, 0, 0],
    [0, 1, 3],
    [0, 1, -1],
    [2**63, 2**64, 10**30],
    [None] * 3,
    [1.5] * 3,
    ["a", "b", "c"],
    [(1, [0, 1])],
    [(1, [0, 1, 2, 2])],
    [(1, None)],
    [(0, 1.0), (1, 2.0), (2, 3.0)],
    [(None, 1.0)] * 5,
    [(7, 1.0)],
    range(3),
    iter([0, 1, 2]),
    lambda *args: 1,
)


@in_child
@pytest.mark.parametrize("field", FIELDS)
def test_field_of_any_value_is_refused_or_works(kind: Kind, field: str) -> None:
    for value in (*VALUES.values(), *SHAPES):
        try:
            # As in cachetools, a TTLCache is restored before it looks for items that have expired.
            late = (kind.name, field) == ("TTLCache", "deadlines")
            assert_refused_or_sound(kind, tampered(kind, **{field: value}), may_be_restored=late)
        except BaseException as error:
            error.add_note(f"with {field} = {value!r:.100}")
            raise


@in_child
@pytest.mark.parametrize("field", FIELDS)
def test_field_that_is_missing_is_refused(kind: Kind, field: str) -> None:
    state = tampered(kind)
    del state[ENTRY][field]
    if field == "heap" and kind.name != "TLRUCache":
        assert_refused_or_sound(kind, state)
    else:
        assert_refused(kind, state)


@in_child
def test_state_without_its_entry_is_refused(kind: Kind) -> None:
    states: tuple[dict[str, Any], ...] = ({}, {"label": 1}, {ENTRY: None}, {ENTRY: []}, {ENTRY: {}})
    for state in states:
        assert_refused(kind, state)


@in_child
def test_state_of_another_format_is_refused(kind: Kind) -> None:
    for number in (0, 2, -1, 2**64, "1", None):
        assert_refused(kind, tampered(kind, format=number))


@in_child
def test_state_of_another_class_is_refused_or_works(kind: Kind) -> None:
    for other in KINDS:
        assert_refused_or_sound(kind, filled(other).__getstate__())


@in_child
def test_lists_of_different_lengths_are_refused(kind: Kind) -> None:
    for sizes in ([], [2], [2, 2], [2, 2, 2, 2]):
        assert_refused(kind, tampered(kind, sizes=sizes))


@in_child
def test_deadlines_of_another_length_are_refused(timed_kind: Kind) -> None:
    for deadlines in ([], [1e300], [1e300] * 4):
        assert_refused(timed_kind, tampered(timed_kind, deadlines=deadlines))


@in_child
def test_negative_sizes_are_refused(kind: Kind) -> None:
    for sizes in ([-1, 2, 2], [2, 2, -0.5], [-(2**70), 2, 2], [float("-inf"), 2, 2], [float("nan"), 2, 2]):
        assert_refused(kind, tampered(kind, sizes=sizes))


@in_child
def test_more_than_fits_is_refused(kind: Kind) -> None:
    assert_refused(kind, tampered(kind, sizes=[50, 50, 50]))
    assert_refused(kind, tampered(kind, maxsize=5))


@in_child
@pytest.mark.parametrize("rank", [[0, 1], [0], []], ids=str)
def test_rank_that_leaves_items_out(rank: list[int]) -> None:
    for kind in RANKED:
        assert_refused_or_sound(kind, tampered(kind, rank=rank))


@in_child
@pytest.mark.parametrize("rank", [[0, 1, 3], [0, 1, 2, 3], [3, 4, 5], [0, 1, -1], [0, 1, 2**64]], ids=str)
@pytest.mark.parametrize("kind", RANKED, ids=repr)
def test_rank_that_names_no_item_is_refused(kind: Kind, rank: list[int]) -> None:
    assert_refused(kind, tampered(kind, rank=rank), OverflowError)


@in_child
@pytest.mark.parametrize("rank", [[0, 1, 2, 0], [0, 0, 1, 2], [2, 1, 0, 1, 2], [0, 0, 0], [1, 1, 2]])
def test_rank_that_names_an_item_twice(rank: list[int]) -> None:
    for kind in RANKED:
        assert_refused_or_sound(kind, tampered(kind, rank=rank))
    assert_refused_or_sound(LFU, tampered(LFU, rank=[(1, rank)]))
    assert_refused_or_sound(LFU, tampered(LFU, rank=[(1, rank), (2, rank)]))


@in_child
@pytest.mark.parametrize("rank", [[(0, [0, 1, 3])], [(0, [0, 1, 2]), (1, [3])], [(1, [0, 1, -1])]], ids=str)
@pytest.mark.parametrize("kind", GRADED, ids=repr)
def test_grades_of_no_item_are_refused(kind: Kind, rank: list[Any]) -> None:
    assert_refused(kind, tampered(kind, rank=rank), OverflowError)


@in_child
@pytest.mark.parametrize("grade", [8, -1, 255, 256, 2**32, 2**64, 1.5, None, "1"])
@pytest.mark.parametrize("kind", GRADED, ids=repr)
def test_grades_that_a_class_does_not_have_are_refused(kind: Kind, grade: Any) -> None:
    assert_refused(kind, tampered(kind, rank=[(0, [0]), (grade, [1, 2])]), OverflowError)


@in_child
@pytest.mark.parametrize(
    "rank",
    [
        [(0, [0, 1, 2])],
        [(1, [0, 1, 2])],
        [(1, [0]), (0, [1]), (1, [2])],
        [(0, [0, 1]), (1, [1, 2, 0])],
        [(0, [0, 1])],
        [],
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", GRADED, ids=repr)
def test_grades_in_any_order(kind: Kind, rank: list[Any]) -> None:
    assert_refused_or_sound(kind, tampered(kind, rank=rank))


@in_child
@pytest.mark.parametrize("count", [0, -1, 2**63, 2**64 - 1, 2**64, 1.5, None, "1"])
def test_use_counts_that_no_cache_reaches_are_refused(count: Any) -> None:
    assert_refused(LFU, tampered(LFU, rank=[(count, [0, 1, 2])]), OverflowError)
    assert_refused(LFU, tampered(LFU, rank=[(1, [0]), (count, [1, 2])]), OverflowError)


@in_child
def test_large_use_counts_leave_room_for_more() -> None:
    cache = LFU.cls.__new__(LFU.cls)
    cache.__setstate__(tampered(LFU, rank=[(1, [0]), (2**63 - 1, [1, 2])]))
    for _ in range(100):
        cache["b"]
    cache._check()
    assert [cache.popitem()[0] for _ in range(3)] == ["a", "c", "b"]


@in_child
@pytest.mark.parametrize(
    "rank",
    [
        [(5, [0]), (1, [1]), (3, [2])],
        [(1, [0]), (1, [1]), (1, [2])],
        [(1, []), (2, [0, 1, 2]), (3, [])],
        [(1, [0, 1])],
        [],
    ],
    ids=str,
)
def test_use_counts_out_of_order(rank: list[Any]) -> None:
    assert_refused_or_sound(LFU, tampered(LFU, rank=rank))


@in_child
def test_argument_that_is_not_callable_is_refused() -> None:
    values: tuple[Any, ...] = (None, 1, "choice", [])
    for field, kind in (("choice", KINDS[4]), ("ttu", TIMED_KINDS[1])):
        for value in values:
            assert_refused(kind, tampered(kind, **{field: value}))


@in_child
def test_timer_that_is_no_timer_is_refused(timed_kind: Kind) -> None:
    for timer in (1, "timer", lambda: 0):
        assert_refused(timed_kind, tampered(timed_kind, timer=timer))


@in_child
@pytest.mark.parametrize(
    "heap",
    [
        [],
        [(0, 1e300)],
        [(0, 1e300)] * 3,
        [(0, 1e300), (1, 1e300), (2, 1e300), (2, 1e300)],
        [(3, 1e300)],
        [(-1, 1e300)],
        [(2**64, 1e300)],
        [(None, 1e300)] * 10,
        [(0, 3e300), (1, 2e300), (2, 1e300)],
        [(None, 1e300), (2, 1e300), (1, 1e300), (0, 1e300), (None, 0.0)],
        [(0, None), (1, "due"), (2, 1.0)],
        [(0, float("nan")), (1, float("nan")), (2, 1.0)],
    ],
    ids=str,
)
def test_heap_that_does_not_fit_the_items(heap: list[Any]) -> None:
    kind = TIMED_KINDS[1]
    try:
        assert_refused_or_sound(kind, tampered(kind, heap=heap))
    except OverflowError:
        assert any(position is not None and position not in range(3) for position, _ in heap)


# --- keys that have become equal -----------------------------------------------------------------------------


class Merging:
    """Equal to its like only when `merged`."""

    merged = False

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return 5

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Merging) and (Merging.merged or self.number == other.number)

    def __reduce__(self) -> tuple[Any, ...]:
        return Merging, (self.number,)


def assert_collapses(kind: Kind, make: Callable[[Kind], Any], survivors: int) -> None:
    """Pickle a cache, let its keys become equal, and unpickle it."""
    Merging.merged = False
    cache = make(kind)
    ways: tuple[Callable[[Any], Any], ...] = (copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache)))
    for how in ways:
        try:
            Merging.merged = True
            again = how(cache)
        finally:
            Merging.merged = False
        again._check()
        assert len(again) == survivors
        assert again.currsize == sum(map(again.getsizeof, again.values()))
        assert_sound(again)
    cache._check()


def size_of_number(value: int) -> int:
    """Give values different sizes."""
    return value + 1


def only_equal(kind: Kind) -> Any:
    """Return a cache whose keys all become equal."""
    cache = kind.make(50)
    cache.update((Merging(number), number) for number in range(10))
    return cache


def sized(kind: Kind) -> Any:
    """Return a cache whose keys become equal and whose items have sizes."""
    cache = kind.make(60, getsizeof=size_of_number)
    cache.update((Merging(number), number) for number in range(5))
    return cache


def among_others(kind: Kind) -> Any:
    """Return a cache in which some keys become equal, some used more than others."""
    cache = kind.make(50)
    for number in range(10):
        cache[Merging(number)] = number
        cache[number] = number
        for _ in range(number % 4):
            cache[Merging(number)]
            cache[number]
    return cache


def with_dead_deadlines(kind: Kind) -> Any:
    """Return a cache in which items were deleted and stored again."""
    cache = among_others(kind)
    for number in range(0, 10, 3):
        del cache[Merging(number)], cache[number]
        cache[Merging(number)] = number
    return cache


@in_child
@pytest.mark.parametrize(
    ("make", "survivors"),
    [(only_equal, 1), (sized, 1), (among_others, 11), (with_dead_deadlines, 7)],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_keys_that_have_become_equal(kind: Kind, make: Callable[[Kind], Any], survivors: int) -> None:
    assert_collapses(kind, make, survivors)


@in_child
def test_equal_keys_in_a_handmade_state(kind: Kind) -> None:
    for keys in itertools.product("ab", repeat=3):
        state = tampered(kind, items=[(key, number) for number, key in enumerate(keys)])
        cache = kind.cls.__new__(kind.cls)
        cache.__setstate__(state)
        assert dict(cache.items()) == {key: number for number, key in enumerate(keys)}
        assert cache.currsize == 2 * len(set(keys))
        assert_sound(cache)


@in_child
def test_key_whose_hash_uses_the_cache_that_is_restored(kind: Kind) -> None:
    class Meddling:
        def __hash__(self) -> int:
            operator.setitem(cache, "meddled", 1)
            return 1

    cache = filled(kind)
    cache.__setstate__(tampered(kind, items=[(Meddling(), 1), ("b", 2), ("c", 3)]))
    assert len(cache) == 3
    assert "meddled" not in cache
    cache._check()
