"""H7: an operation on two caches, while another thread does the same the other way round."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import KINDS, Kind
from tests.hostile.child import in_child

PATIENCE_SECONDS = 10
PAIRS = {f"{first}-{second}": (first, second) for first in KINDS for second in KINDS}


class Meeting:
    """A value whose comparison waits until the other thread is inside a comparison too."""

    def __init__(self, barrier: threading.Barrier) -> None:
        self.barrier = barrier

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        self.barrier.wait(PATIENCE_SECONDS)
        return True


def run_both(first: Callable[[], object], second: Callable[[], object]) -> None:
    """Run two functions in two threads; fail on what either raises, or if they do not end."""
    errors: list[BaseException] = []

    def guard(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=guard, args=(one,), daemon=True) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert not any(thread.is_alive() for thread in threads), "the threads wait for each other"
    if errors:
        raise errors[0]


@in_child
@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS.keys())
def test_comparisons_in_both_directions_overlap(one: Kind, other: Kind) -> None:
    barrier = threading.Barrier(2)
    first: Any = one.make(4)
    second: Any = other.make(4)
    first.update(a=Meeting(barrier), b=Meeting(barrier))
    second.update(a=Meeting(barrier), b=Meeting(barrier))
    run_both(lambda: first == second, lambda: second == first)
    first._check()
    second._check()


@in_child
@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS.keys())
def test_updates_in_both_directions(one: Kind, other: Kind) -> None:
    first: Any = one.make(50)
    second: Any = other.make(50)
    first.update((number, number) for number in range(50))
    second.update((number, -number) for number in range(50))

    def update(target: Any, source: Any) -> None:
        for _ in range(20):
            try:
                target.update(source)
            except (KeyError, RuntimeError):
                continue  # the source changed while it was read

    run_both(lambda: update(first, second), lambda: update(second, first))
    first._check()
    second._check()


@in_child
def test_cache_compared_with_itself(kind: Kind) -> None:
    class Incomparable:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

    cache = kind.make(4)
    cache["a"] = Incomparable()
    assert cache == cache  # identical values are equal, as in a dict


@in_child
def test_comparison_of_two_caches_inside_each_other_is_a_recursion_error(kind: Kind) -> None:
    first, second = kind.make(4), kind.make(4)
    first["other"], second["other"] = second, first
    with pytest.raises(RecursionError):
        first == second  # noqa: B015 - the comparison is the operation under test


@in_child
def test_repr_of_two_caches_inside_each_other_ends(kind: Kind) -> None:
    first, second = kind.make(4), kind.make(4)
    first["other"], second["other"] = second, first
    assert "..." in repr(first)
