"""What cannot be saved is refused by name and place, before any file is touched."""

from __future__ import annotations

import collections
import dataclasses
import enum
import threading
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from overdrive import SnapshotError
from overdrive._snapshots import load_records, save_records


class Colour(enum.IntEnum):
    RED = 1


class Point(NamedTuple):
    x: int


@dataclasses.dataclass
class Data:
    x: int


class Text(str):
    __slots__ = ()


class Zone(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta()

    dst = utcoffset

    def tzname(self, moment: datetime | None) -> str:
        return "zone"


def record(key: Any, value: Any) -> tuple[Any, ...]:
    return (key, value, None, None, False, None)


def ours(name: str) -> str:
    return f"<class 'tests.snapshots.test_refusals.{name}'>"


REFUSED: list[tuple[Any, str]] = [
    (Colour.RED, "<enum 'Colour'>"),
    (Point(1), ours("Point")),
    (Data(1), ours("Data")),
    (Text("a"), ours("Text")),
    (collections.OrderedDict(), "<class 'collections.OrderedDict'>"),
    (collections.defaultdict(list), "<class 'collections.defaultdict'>"),
    (object(), "<class 'object'>"),
    (int, "<class 'type'>"),
    (len, "<class 'builtin_function_or_method'>"),
    (memoryview(b""), "<class 'memoryview'>"),
    (np.array([object()]), "numpy.ndarray of object"),
    (np.zeros(2, dtype=[("a", "i4")]), "numpy.ndarray of [('a', '<i4')]"),
    (np.ma.array([1]), "<class 'numpy.ma"),
    (np.float64, "<class 'type'>"),
    (np.dtype("i4"), "<class 'numpy.dtype"),
    (Zone(), ours("Zone")),
]


@pytest.mark.parametrize(("value", "name"), REFUSED, ids=[name for _, name in REFUSED])
def test_types_are_refused_by_name(value: Any, name: str, tmp_path: Path) -> None:
    path = tmp_path / "refused.snapshot"
    with pytest.raises(TypeError) as caught:
        save_records(path, [record("a", value)], meta={})
    message = str(caught.value)
    assert message.startswith(f"value of key 'a': overdrive cannot store {name}")
    assert message.endswith("in a snapshot; pass codec=...")
    assert list(tmp_path.iterdir()) == []


PATHS: list[tuple[Any, Any, str]] = [
    ("a", [0, 1, 2, Data(1)], "value of key 'a': item 3: "),
    ("a", {"x": (Data(1),)}, "value of key 'a': the value of 'x': item 0: "),
    ("a", {Colour.RED: 1}, "value of key 'a': the key <Colour.RED: 1>: "),
    ("a", {Point(7)}, "value of key 'a': the member Point(x=7): "),
    ("a", datetime(2026, 1, 1, tzinfo=Zone()), "value of key 'a': its tzinfo: "),
    ((1, Colour.RED), 1, "key (1, <Colour.RED: 1>): item 1: "),
]


@pytest.mark.parametrize(("key", "value", "where"), PATHS, ids=[where for *_, where in PATHS])
def test_the_error_says_where(key: Any, value: Any, where: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError) as caught:
        save_records(tmp_path / "path", [record(key, value)], meta={})
    assert str(caught.value).startswith(where + "overdrive cannot store ")


def test_a_refusal_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "old.snapshot"
    save_records(path, [record("a", 1)], meta={})
    before = path.read_bytes()
    big = [record(index, bytes(1 << 20)) for index in range(3)]
    with pytest.raises(TypeError):
        save_records(path, [*big, record("b", object())], meta={})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "deep"
    save_records(path, [record("a", nested(100)), record(("k",), {1: nested(99)})], meta={})
    assert load_records(path).records[0][1] == nested(100)
    with pytest.raises(SnapshotError, match="nest deeper than 100"):
        save_records(path, [record("a", nested(101))], meta={})
    with pytest.raises(SnapshotError, match="nest deeper than 100"):
        save_records(path, [record("a", nested(100_000))], meta={})


def test_the_deepest_values_fit_the_smallest_stack(tmp_path: Path) -> None:
    path = tmp_path / "deep"
    done: list[Any] = []

    def both() -> None:
        save_records(path, [record("a", nested(100))], meta={})
        done.extend(load_records(path).records)

    before = threading.stack_size(128 * 1024)
    try:
        thread = threading.Thread(target=both)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert len(done) == 1


def test_cycles_are_refused(tmp_path: Path) -> None:
    cycle: list[Any] = []
    cycle.append({"again": (cycle,)})
    with pytest.raises(SnapshotError, match="item 0: the value of 'again': item 0: .* contains itself"):
        save_records(tmp_path / "cycle", [record("a", cycle)], meta={})
    shared = [1]
    save_records(tmp_path / "shared", [record("a", [shared, shared])], meta={})
    assert load_records(tmp_path / "shared").records[0][1] == [[1], [1]]


def test_items_can_be_skipped(tmp_path: Path) -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    path = tmp_path / "skipped"
    items = [record("a", 1), record("b", object()), record(Point(1), 1), record("c", cycle), record("d", 2)]
    report = save_records(path, items, meta={}, skip_unsupported=True)
    assert (report.items, report.skipped) == (2, 3)
    assert [item[0] for item in load_records(path).records] == ["a", "d"]


MALFORMED: list[tuple[Any, type[Exception], str]] = [
    ("ab", TypeError, "a record must be a tuple"),
    (("a", 1), TypeError, "a record must be a tuple"),
    (["a", 1, None, None, False, None], TypeError, "a record must be a tuple"),
    (("a", 1, float("nan"), None, False, None), ValueError, "ttl of a record"),
    (("a", 1, "soon", None, False, None), TypeError, ""),
    (("a", 1, None, ["x"], False, None), TypeError, "tags must be a tuple or None, got ['x']"),
    (("a", 1, None, None, 1, None), TypeError, ""),
]


@pytest.mark.parametrize(("item", "error", "message"), MALFORMED)
def test_malformed_records(item: Any, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error) as caught:
        save_records(tmp_path / "malformed", [item], meta={})
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_metadata_is_of_built_in_types(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="metadata: the value of 'policy': overdrive cannot store"):
        save_records(tmp_path / "meta", [], meta={"policy": object()})


def test_values_may_change_while_others_are_written(tmp_path: Path) -> None:
    values = {"a": 1, "b": 2}

    def dumps(value: object) -> bytes:
        values.clear()
        return b""

    path = tmp_path / "changing"
    items = [record("first", [object()]), record("second", values)]
    save_records(path, items, meta={}, codec=(dumps, len))
    assert [item[:2] for item in load_records(path, codec=(dumps, len)).records] == [("first", 0), ("second", {})]


def test_an_exception_of_the_records_passes_through(tmp_path: Path) -> None:
    def failing() -> Any:
        yield record("a", 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        save_records(tmp_path / "failing", failing(), meta={})
    assert list(tmp_path.iterdir()) == []
