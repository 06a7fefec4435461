"""What is known of tags, against a model that remembers everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overdrive._tiers.l2.epochs import TagEpochs, Verdict

ALIVE = Verdict(dead=False)


def test_nothing_is_known_before_the_first_reset() -> None:
    epochs = TagEpochs()
    assert epochs.judge(5, [1, 2]) == Verdict(dead=False, unknown=(1, 2))


def test_value_is_dead_if_a_tag_was_invalidated_after_its_load_began() -> None:
    epochs = TagEpochs()
    epochs.reset(10)
    epochs.learn(1, 12)
    assert epochs.judge(11, [1]).dead
    assert epochs.judge(11, [2, 1]).dead
    assert epochs.judge(12, [1]) == ALIVE
    assert epochs.judge(11, [2]) == ALIVE
    assert epochs.known_clock == 12


def test_value_from_before_the_position_has_to_be_looked_up() -> None:
    epochs = TagEpochs()
    epochs.reset(10)
    assert epochs.judge(9, [1]).unknown == (1,)
    epochs.learn_looked_up({1: 9}, epochs.generation)
    assert epochs.judge(8, [1]).dead


def test_what_was_looked_up_before_everything_was_forgotten_is_dropped() -> None:
    epochs = TagEpochs()
    epochs.reset(10)
    generation = epochs.generation
    epochs.reset(11)
    epochs.learn_looked_up({1: 50}, generation)
    assert epochs.judge(20, [1]) == ALIVE
    assert epochs.known_clock == 11


def test_older_clock_does_not_replace_a_newer_one() -> None:
    epochs = TagEpochs()
    epochs.reset(10)
    epochs.learn(1, 15)
    epochs.learn(1, 12)
    assert epochs.judge(14, [1]).dead


def test_forget_keeps_nothing() -> None:
    epochs = TagEpochs()
    epochs.reset(10)
    epochs.learn(1, 15)
    epochs.forget()
    assert len(epochs) == 0
    assert epochs.floor is None
    assert epochs.judge(99, [1]).unknown == (1,)


def test_child_of_a_fork_knows_nothing_and_waits_for_no_lock() -> None:
    epochs = TagEpochs()
    epochs.reset(10)
    epochs._lock.acquire()  # by a thread that a fork leaves behind
    epochs.after_fork()
    assert epochs.judge(99, [1]).unknown == (1,)


def test_capacity_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity must be at least 1, got 0"):
        TagEpochs(0)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=60), st.integers(1, 8))
def test_no_verdict_is_wrong_however_small_the_table(changes: list[tuple[int, int]], capacity: int) -> None:
    epochs = TagEpochs(capacity)
    epochs.reset(100)
    model: dict[int, int] = {}
    clock = 100
    for tag, step in changes:
        clock += step
        model[tag] = clock
        epochs.learn(tag, clock)
        assert len(epochs) <= capacity
        for epoch in (100, clock - step, clock - 1, clock):
            for judged in {*model, 31}:
                verdict = epochs.judge(epoch, [judged])
                if not verdict.unknown:
                    assert verdict.dead == (model.get(judged, 0) > epoch)
