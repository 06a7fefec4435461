"""Positions in the stream, and what is concluded from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overdrive._tiers.l2.positions import StreamId, gap_reason, is_caught_up

ids = st.builds(StreamId, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


@given(ids)
def test_id_is_read_as_it_is_written(stream_id: StreamId) -> None:
    assert StreamId.parse(str(stream_id)) == stream_id
    assert StreamId.parse(str(stream_id).encode()) == stream_id


@given(ids, ids)
def test_ids_are_ordered_by_time_and_then_by_number(one: StreamId, other: StreamId) -> None:
    assert (one < other) == ((one.ms, one.seq) < (other.ms, other.seq))
    assert StreamId(9, 10) > StreamId(9, 9) > StreamId(8, 11)  # not as texts are


@pytest.mark.parametrize("text", ["", "-", "5", "5-", "-5", "a-1", "1-b", "1-2-3", "+1-2", " 1-2", "1_0-2"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the id of an entry"):
        StreamId.parse(text)


@pytest.mark.parametrize(
    ("position", "newest", "reason"),
    [
        (None, None, "first attach"),
        (None, StreamId(5, 0), "first attach"),
        (StreamId(5, 0), None, "gone"),
        (StreamId(5, 1), StreamId(5, 0), "went back"),
        (StreamId(5, 0), StreamId(4, 9), "went back"),
        (StreamId(5, 0), StreamId(5, 1), "trimmed or flushed"),
        (StreamId(5, 0), StreamId(9, 0), "trimmed or flushed"),
        (StreamId(5, 0), StreamId(5, 0), "trimmed or flushed"),  # begun anew between the two questions
    ],
)
def test_reason_of_a_gap_says_what_became_of_the_stream(
    position: StreamId | None, newest: StreamId | None, reason: str
) -> None:
    assert reason in gap_reason(position, newest)


@pytest.mark.parametrize(("applied", "caught_up"), [(0, True), (9, True), (10, False)])
def test_full_answer_does_not_show_the_end_of_the_stream(applied: int, caught_up: bool) -> None:
    assert is_caught_up(applied, 10) is caught_up
