"""The checker on histories made by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.tiers.history.checker import Read, Write, check


def write(version: int, committed: float, acked: float | None, *, node: int = 0, key: int = 0) -> Write:
    return Write(node, key, version, committed, acked)


def read(version: int, began: float, *, node: int = 1, key: int = 0) -> Read:
    return Read(node, key, version, began, began + 0.001)


def test_read_of_what_was_there_when_it_began_is_not_stale() -> None:
    found = check([write(1, 1.0, 1.1)], [read(0, 0.5), read(1, 1.05), read(0, 1.09), read(1, 2.0)])
    assert found.stale == ()
    assert found.worst == 0.0
    assert found.invented == ()


def test_read_that_began_after_an_acknowledgement_of_something_newer_is_stale_by_the_time_between() -> None:
    found = check([write(1, 1.0, 1.1), write(2, 1.2, 1.3)], [read(0, 1.5), read(1, 1.5), read(2, 1.5)])
    assert [round(each.seconds, 6) for each in found.stale] == [0.4, 0.2]  # since the first newer one
    assert round(found.worst, 6) == 0.4


def test_acknowledgement_of_a_later_version_covers_an_earlier_one_that_has_none() -> None:
    found = check([write(1, 1.0, None), write(2, 1.2, 1.3)], [read(0, 1.4)])
    assert round(found.worst, 6) == 0.1
    assert [each.version for each in found.unacknowledged] == [1]


def test_acknowledgements_out_of_order_count_from_the_earliest() -> None:
    found = check([write(1, 1.0, 1.9), write(2, 1.1, 1.2)], [read(0, 1.5), read(1, 1.5)])
    assert [round(each.seconds, 6) for each in found.stale] == [0.3, 0.3]


def test_keys_are_apart() -> None:
    assert check([write(1, 1.0, 1.1, key=5)], [read(0, 2.0, key=6)]).stale == ()


def test_stale_read_on_the_node_that_wrote_is_told_apart() -> None:
    found = check([write(1, 1.0, 1.1, node=1)], [read(0, 1.2, node=1), read(0, 1.2, node=2)])
    assert len(found.stale) == 2
    assert [each.read.node for each in found.own_stale] == [1]


def test_version_that_the_origin_never_had_or_not_yet_is_invented() -> None:
    found = check([write(1, 1.0, 1.1)], [read(1, 0.5), read(7, 2.0), read(1, 1.0)])
    assert [each.began for each in found.invented] == [0.5, 2.0]


def test_what_differs_from_the_origin_at_the_end_is_left_over() -> None:
    found = check([write(3, 1.0, 1.1)], [], origin={0: 3}, final=[read(3, 9.0, node=0), read(2, 9.0, node=2)])
    assert found.left_over == ((2, 0),)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 10), st.none() | st.floats(0, 3)), max_size=12),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.floats(0, 15)), max_size=12),
)
def test_staleness_is_what_the_definition_says(
    changes: list[tuple[int, float, float | None]], calls: list[tuple[int, int, float]]
) -> None:
    writes = [
        write(version, committed, None if delay is None else committed + delay, node=node)
        for version, (node, committed, delay) in enumerate(changes, 1)
    ]
    reads = [read(version, began, node=node) for node, version, began in calls]

    found = check(writes, reads)

    expected = []
    for each in reads:
        newer = [w.acked for w in writes if w.version > each.version and w.acked is not None and w.acked <= each.began]
        if newer:
            expected.append((each, each.began - min(newer)))
    assert sorted((each.read, each.seconds) for each in found.stale) == sorted(expected)
