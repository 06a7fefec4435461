"""Keys that count."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from overdrive._tiers.prefetch.strides import Strides, may_count, numbered


@pytest.mark.parametrize(
    ("key", "rest", "number", "next_key"),
    [
        ("page:41", "page:", 41, "page:42"),
        ("page:009", "page:", 9, "page:010"),
        ("0", "", 0, "1"),
        (("page", 41), ("page",), 41, ("page", 42)),
        ((7,), (), 7, (8,)),
    ],
)
def test_key_is_taken_apart(key: Hashable, rest: Hashable, number: int, next_key: Hashable) -> None:
    parts = numbered(key)

    assert may_count(key)
    assert parts is not None
    assert (parts.rest, parts.number) == (rest, number)
    assert parts.rebuilt(number) == key
    if number:
        assert parts.rebuilt(number + 1) == next_key


@pytest.mark.parametrize(
    "key", ["page", "", "41a", 41, True, (), ("a", True), ("a", "b"), b"page1", "n" + "1" * 19, "²"]
)
def test_other_keys_do_not_count(key: Hashable) -> None:
    assert numbered(key) is None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([1, 2], []),
        ([1, 2, 3], ["p4", "p5"]),
        ([10, 20, 30], ["p40", "p50"]),
        ([9, 8, 7], ["p6", "p5"]),
        ([3, 2, 1], ["p0"]),
        ([1, 2, 4], []),
        ([5, 5, 5], []),
        ([1, 2, 2, 3], ["p4", "p5"]),
        ([1, 2, 3, 4], ["p6"]),
        ([1, 2, 3, 4, 4], []),
        ([1, 2, 3, 9, 10, 11], ["p12", "p13"]),
    ],
)
def test_a_step_that_repeats_is_followed(asked: list[int], expected: list[str]) -> None:
    strides = Strides()

    found = [strides.observe(1, f"p{number}", 2) for number in asked]

    assert found[-1] == expected


def test_sequences_of_contexts_and_rests_do_not_mix() -> None:
    strides = Strides()
    for number in range(3):
        strides.observe(1, f"a{number}", 1)
        strides.observe(2, f"a{number * 7}", 1)

    assert strides.observe(1, "a3", 1) == ["a4"]
    assert strides.observe(2, "a21", 1) == ["a28"]
    assert strides.observe(3, "a4", 1) == []


def test_more_is_named_when_it_is_to_look_farther_ahead() -> None:
    strides = Strides()
    for number in range(3):
        strides.observe(1, f"p{number}", 2)

    assert strides.observe(1, "p3", 5) == ["p5", "p6", "p7", "p8"]
    assert strides.observe(1, "p4", 2) == []


def test_trust_is_lost_by_waste_and_won_by_use() -> None:
    strides = Strides()
    strides.wasted("a9")
    lengths = []
    for _ in range(4):
        strides.observe(1, "a1000000", 1)
        lengths.append(next(at for at in range(1, 99) if strides.observe(1, f"a{at}", 1)))
        strides.used("a9")

    # The step to 1 is the first of another run, so one more is needed than repetitions.
    assert lengths == [5, 4, 3, 3]


def test_tables_are_bounded() -> None:
    strides = Strides(size=10)
    for at in range(1000):
        strides.observe(at, f"key{at}:1", 1)
        strides.wasted(f"key{at}:1")

    assert len(strides) == 10
    assert len(strides._needed) == 10
    strides.clear()
    assert len(strides) == 0
