"""`sizeof` estimates the memory that an object keeps alive."""

from __future__ import annotations

import array
import collections
import copy
import enum
import gc
import io
import json
import math
import random
import sys
import threading
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pytest

from overdrive import sizeof

ATOMS: list[Any] = [
    0,
    1,
    -1,
    2**30 - 1,
    2**30,
    -(2**30),
    2**60 - 1,
    2**60,
    2**63,
    -(2**63),
    10**1000,
    True,
    False,
    None,
    0.5,
    1j,
    "",
    "a",
    "plain ascii",
    "é",
    "latin é",
    "snow ☃",
    "\U0001f600",
    b"",
    b"x",
    b"bytes" * 100,
    bytearray(b"array" * 100),
    (),
    [],
    {},
    set(),
    frozenset(),
    range(0),
    array.array("d", range(100)),
    io.BytesIO(b"x" * 1000),
    Decimal("1.5"),
    datetime(2026, 1, 1, tzinfo=UTC),
]


@pytest.mark.parametrize("value", ATOMS, ids=lambda value: type(value).__name__)
def test_what_holds_nothing_is_as_large_as_python_says(value: Any) -> None:
    assert sizeof(value) == pytest.approx(sys.getsizeof(value), abs=64 if isinstance(value, range | datetime) else 0)


class Plain:
    def __init__(self, number: int) -> None:
        self.name = f"name {number}"
        self.number = number + 1000
        self.tags = [f"tag {number}", f"other {number}"]


class Slotted:
    __slots__ = ("name", "number")

    def __init__(self, number: int) -> None:
        self.name = f"name {number}"
        self.number = number + 1000


class Named(NamedTuple):
    name: str
    number: int


class Grown(list[str]):
    pass


def document(number: int) -> dict[str, Any]:
    return {
        "id": number + 1000,
        "name": f"user {number}",
        "scores": [number * 0.5, number * 0.25],
        "address": {"street": f"street {number}", "zip": f"{number:05}"},
        "active": True,
    }


SHAPES: dict[str, Callable[[], Any]] = {
    "list of ints": lambda: list(range(1000, 1100)),
    "list of str": lambda: [f"item {index}" for index in range(100)],
    "dict": lambda: {f"key {index}": f"value {index}" for index in range(60)},
    "set": lambda: {f"member {index}" for index in range(50)},
    "frozenset": lambda: frozenset(range(1000, 1050)),
    "tuple of floats": lambda: tuple(index + 0.5 for index in range(100)),
    "document": lambda: [document(index) for index in range(20)],
    "json": lambda: json.loads(json.dumps([document(index) for index in range(100)])),
    "objects": lambda: [Plain(index) for index in range(100)],
    "slotted": lambda: [Slotted(index) for index in range(100)],
    "named tuples": lambda: [Named(f"name {index}", index + 1000) for index in range(100)],
    "array": lambda: np.arange(10_000),
    "array of objects": lambda: np.array([f"item {index}" for index in range(100)], dtype=object),
    "view": lambda: np.arange(10_000)[::2],
    "deque": lambda: collections.deque(f"item {index}" for index in range(100)),
    "ordered dict": lambda: collections.OrderedDict((f"key {index}", index + 1000) for index in range(100)),
    "default dict": lambda: collections.defaultdict(list, {index + 1000: [f"v {index}"] for index in range(100)}),
    "counter": lambda: collections.Counter(f"word {index}" for index in range(100)),
    "subclass of list": lambda: Grown(f"item {index}" for index in range(100)),
    "memoryview": lambda: memoryview(bytearray(10_000)),
}

LARGE: dict[str, Callable[[], Any]] = {
    "list of ints": lambda: list(range(1000, 100_000)),
    "list of str": lambda: [f"item {index}" for index in range(10_000)],
    "dict": lambda: {f"key {index}": f"value {index}" for index in range(10_000)},
    "set": lambda: {f"member {index}" for index in range(10_000)},
    "documents": lambda: [document(index) for index in range(5_000)],
    "objects": lambda: [Plain(index) for index in range(5_000)],
    "by id": lambda: {index: document(index) for index in range(5_000)},
    "lists of lists": lambda: [[[x * 0.5 for x in range(50)] for _ in range(50)] for _ in range(50)],
    "uneven": lambda: [bytes(int(random.Random(i).expovariate(0.001))) for i in range(5_000)],
    "few of many": lambda: list(map([f"word {index}" * 5 for index in range(200)].__getitem__, many(200))),
    "thousands of many": lambda: list(map([f"word {index}" * 20 for index in range(5000)].__getitem__, many(5000))),
    "one of many": lambda: [bytes(100_000)] * 10_000,
    "deque": lambda: collections.deque(f"item {index}" for index in range(10_000)),
}


def many(distinct: int) -> list[int]:
    return random.Random(4).choices(range(distinct), k=50_000)


def allocated(make: Callable[[], Any]) -> tuple[Any, int]:
    """Return what `make` makes, and how much memory that took, beyond what measuring takes."""
    value, memory = measured(make)
    return value, memory - measured(lambda: None)[1]


def measured(make: Callable[[], Any]) -> tuple[Any, int]:
    """Return what `make` makes, and the middle of some measurements."""
    values = [make() for _ in range(3)]
    tries = []
    for index in range(len(values)):
        gc.collect()
        gc.disable()  # what others do on a collection would count as well
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            values[index] = make()
            tries.append(tracemalloc.get_traced_memory()[0] - before)
        finally:
            tracemalloc.stop()
            gc.enable()
    return values[0], sorted(tries)[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_common_shapes_within_a_tenth(shape: str) -> None:
    value, memory = allocated(SHAPES[shape])
    assert sizeof(value) == pytest.approx(memory, rel=0.1)


@pytest.mark.parametrize("shape", LARGE)
def test_large_ones_within_a_quarter(shape: str) -> None:
    value, memory = allocated(LARGE[shape])
    assert sizeof(value) == pytest.approx(memory, rel=0.25)


def test_shared_objects_count_once() -> None:
    block = bytes(1_000_000)
    assert sizeof([block, [block], {"a": block}, (block, block)]) < 1_001_000
    base = np.zeros(1_000_000, dtype=np.uint8)
    assert sizeof([base, base[1:], base[::2], base[:10]]) < 1_001_000


def test_a_small_view_counts_with_what_it_keeps_alive() -> None:
    assert sizeof(np.zeros(1_000_000, dtype=np.uint8)[:1]) > 1_000_000
    assert sizeof(memoryview(bytes(1_000_000))[:1]) > 1_000_000


def test_what_the_process_has_anyway_counts_nothing() -> None:
    for shared in (int, Plain, len, sizeof, sys, test_shared_objects_count_once):
        assert sizeof(shared) == 0
    assert sizeof([int, len, sys, None, True, 1, "", "a", ()]) == sys.getsizeof([None] * 9)


def test_cycles_end() -> None:
    cycle: list[Any] = [1000]
    cycle.append({"self": cycle, "again": [cycle]})
    assert 0 < sizeof(cycle) < 2000
    loop = Plain(1)
    loop.itself = loop  # type: ignore[attr-defined]
    assert 0 < sizeof(loop) < 2000


def test_depth_needs_no_stack() -> None:
    deep: Any = None
    for _ in range(200_000):
        deep = [deep]
    sizes: list[int] = []
    before = threading.stack_size(128 * 1024)
    try:
        thread = threading.Thread(target=lambda: sizes.append(sizeof(deep)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert sizes[0] > 100_000
    while deep:
        [deep] = deep


def test_the_cost_is_bounded() -> None:
    class Counting:
        asked = 0

        def __sizeof__(self) -> int:
            Counting.asked += 1
            return 100

    wide = [[[Counting() for _ in range(60)] for _ in range(60)] for _ in range(60)]
    estimate = sizeof(wide)
    assert Counting.asked < 20_000
    assert estimate == pytest.approx(60**3 * 124 + 60**2 * 550 + 60 * 550, rel=0.25)


class Trusted:
    """Says what it holds, so that its attributes are not looked at."""

    def __init__(self) -> None:
        self.held = bytes(1_000_000)

    def __sizeof__(self) -> int:
        return 5000


class Buffer:
    """Says what it holds as arrays do."""

    def __init__(self, nbytes: Any) -> None:
        self._nbytes = nbytes

    @property
    def nbytes(self) -> Any:
        return self._nbytes


def test_a_class_with_a_sizeof_of_its_own_is_trusted() -> None:
    assert 5000 <= sizeof(Trusted()) < 5100
    assert 5000 <= sizeof([Trusted()]) < 5200
    assert 7000 <= sizeof(Buffer(7000)) < 7200
    assert sizeof(Buffer("many")) < 1000


class Interrupting:
    def __sizeof__(self) -> int:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "answer",
    [-1, 1.5, "many", None, math.inf, 2**70, ZeroDivisionError, RecursionError],
    ids=repr,
)
def test_an_answer_that_is_none_counts_as_an_object_without_contents(answer: Any) -> None:
    class Hostile:
        def __sizeof__(self) -> int:
            if isinstance(answer, type):
                raise answer
            return answer  # type: ignore[no-any-return]

    assert 16 <= sizeof(Hostile()) < 200
    assert 16 <= sizeof([Hostile(), Hostile()]) < 500


def test_an_interrupt_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt):
        sizeof([Interrupting()])


class Evasive:
    """Attributes run code, and none of it is needed."""

    def __init__(self) -> None:
        object.__setattr__(self, "held", bytes(1_000_000))

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)


def test_attributes_are_found_without_code_of_the_class() -> None:
    assert sizeof(Evasive()) > 1_000_000


def test_a_container_that_is_changed_meanwhile() -> None:
    victim: list[Any] = []

    class Changing:
        def __sizeof__(self) -> int:
            victim.clear()
            return 100

    victim.extend(Changing() for _ in range(100))
    held = {"list": victim, "dict": dict.fromkeys(range(100), victim)}
    assert sizeof(held) > 0


def test_numbers_of_subclasses() -> None:
    class Level(enum.IntEnum):
        HIGH = 10**30

    class Number(int):
        def bit_length(self) -> int:
            raise AssertionError

    assert 36 <= sizeof(Number(10**30)) < 500
    assert sizeof(Level.HIGH) > 36


def test_a_bare_argument_by_position() -> None:
    with pytest.raises(TypeError):
        sizeof(obj=1)  # type: ignore[call-arg]
    assert sizeof(copy.copy("text")) == sys.getsizeof("text")
