"""Which keys a context is loading: others are not disturbed, and nothing piles up."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from overdrive._tiers import own_loads
from overdrive._tiers.own_loads import OwnLoad, is_own_load

TIERS: Any = object()


class Asked:
    def __init__(self, key: bytes) -> None:
        self.key = key


def load(key: bytes) -> OwnLoad:
    asked: Any = Asked(key)
    return OwnLoad(TIERS, [asked])


def test_a_key_is_covered_while_it_is_loaded_and_in_copies_of_the_context_until_then() -> None:
    with load(b"k"):
        with load(b"j"):
            assert is_own_load(TIERS, b"k")
            assert is_own_load(TIERS, b"j")
        assert not is_own_load(TIERS, b"j")
        assert not is_own_load(object(), b"k")  # type: ignore[arg-type]
        copied = copy_context()
        assert copied.run(is_own_load, TIERS, b"k")
    assert not is_own_load(TIERS, b"k")
    assert not copied.run(is_own_load, TIERS, b"k")


def test_what_is_over_is_not_handed_on() -> None:
    context = copy_context()

    def successor() -> None:
        nonlocal context
        with load(b"k"):
            context = copy_context()

    for _ in range(50):
        context.run(successor)
    assert len(context.run(own_loads._loads.get)) == 1


def test_a_load_that_is_ended_from_another_context_leaves_the_marks_of_that_one() -> None:
    closed = load(b"closed")
    copy_context().run(closed.__enter__)
    with load(b"own"):
        closed.__exit__(None, None, None)
        assert is_own_load(TIERS, b"own")
