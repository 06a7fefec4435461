from __future__ import annotations

import copy
import doctest
import itertools
import math
import pickle
import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overdrive._memoize import freezing
from overdrive._memoize.freezing import freeze, freeze_all, freeze_call
from tests.identifiers import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Few and small, so that values which are drawn independently are often equal.
scalars = st.sampled_from([0, 1, 1.0, True, False, -0.0, None, "", "a", "0", b"a"])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.lists(inner, max_size=2).map(tuple)
        | st.dictionaries(st.sampled_from(["a", "b", 0, 1.0]), inner, max_size=2)
        | st.sets(scalars, max_size=2)
    ),
    max_leaves=5,
)


class Boom(Exception):
    pass


class Widget:
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "same for all"


class Hashable(list[Any]):
    def __hash__(self) -> int:  # type: ignore[override]
        return len(self)


class Plain(list[Any]):
    pass


class PlainDict(dict[Any, Any]):
    pass


class OwnEq(dict[Any, Any]):
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None


@dataclass
class Query:
    text: str
    tags: Any = ()
    seen: Any = field(default=None, compare=False)


@dataclass
class Other:
    text: str
    tags: Any = ()


@dataclass(frozen=True)
class FrozenQuery:
    tags: Any


@dataclass
class Same:
    text: str

    __eq__ = object.__eq__
    __hash__ = None  # type: ignore[assignment]


Point = namedtuple("Point", "x y")  # noqa: PYI024 - it is the untyped one that is tested


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(freezing).failed == 0


# --- equality ---------------------------------------------------------------------------------


@given(a=values, b=values)
def test_stand_ins_are_equal_if_and_only_if_the_values_are(a: Any, b: Any) -> None:
    assert (freeze(a) == freeze(b)) == (a == b)
    if a == b:
        assert hash(freeze(a)) == hash(freeze(b))


@given(value=values)
def test_stand_in_of_a_copy_is_equal(value: Any) -> None:
    twin = copy.deepcopy(value)
    if isinstance(twin, dict):
        twin = dict(reversed(twin.items()))

    assert freeze(twin) == freeze(value)
    assert hash(freeze(twin)) == hash(freeze(value))


@given(value=values)
def test_stand_in_is_itself_hashable_and_can_be_pickled(value: Any) -> None:
    frozen = freeze(value)

    assert freeze(frozen) is frozen
    assert pickle.loads(pickle.dumps(frozen)) == frozen


@pytest.mark.parametrize(
    "value",
    [1, 1.5, "a", b"a", None, (1, (2, "a")), frozenset({1}), object(), int, Point(1, 2), Hashable([1])],
    ids=shown,
)
def test_hashable_value_is_its_own_stand_in(value: object) -> None:
    assert freeze(value) is value


def test_hashable_parts_are_kept_as_they_are() -> None:
    kept = Hashable([1])

    assert freeze([kept]) == freeze([Hashable([1])])
    assert freeze([kept]) != freeze([[1]])


KINDS: list[Any] = [
    [],
    (),
    {},
    set(),
    frozenset(),
    "",
    b"",
    None,
    bytearray(),
    memoryview(bytearray()),
    array("i"),
    array("l"),
    deque(),
    OrderedDict(),
    defaultdict(int),
    defaultdict(list),
    Counter(),
    Plain(),
    PlainDict(),
    ([],),
    [()],
    [[]],
    Point([], 0),
    ([], 0),
    {"a": []},
    {("a", ())},
    [("a", [])],
    Query("", []),
    Other("", []),
    ["", []],
    FrozenQuery([]),
]


def test_values_of_different_kinds_have_different_stand_ins() -> None:
    for a, b in itertools.combinations(KINDS, 2):
        assert freeze(a) != freeze(b), (a, b)
        assert freeze([a]) != freeze([b]), (a, b)


@pytest.mark.parametrize("value", KINDS, ids=shown)
def test_values_of_the_same_kind_have_equal_stand_ins(value: Any) -> None:
    twin = type(value)(value) if isinstance(value, memoryview) else copy.deepcopy(value)

    assert freeze(twin) == freeze(value)
    assert hash(freeze(twin)) == hash(freeze(value))


def test_scalars_inside_are_as_equal_as_in_a_key() -> None:
    assert freeze([1]) == freeze([1.0]) == freeze([True])
    assert freeze({1: [0.0]}) == freeze({True: [-0.0]})
    assert freeze([1]) != freeze(["1"])
    assert freeze([math.nan]) == freeze([math.nan])  # one object, which a key finds by identity
    assert freeze([math.nan]) != freeze([float("nan")])


def test_order_matters_in_an_ordered_dict_only() -> None:
    assert freeze({1: [], 2: 0}) == freeze({2: 0, 1: []})
    assert freeze(defaultdict(int, {1: [], 2: 0})) == freeze(defaultdict(int, {2: 0, 1: []}))
    assert freeze(OrderedDict({1: [], 2: 0})) != freeze(OrderedDict({2: 0, 1: []}))
    assert freeze(OrderedDict({1: 1, 2: 0})) != freeze(OrderedDict({2: 0, 1: 1}))


def test_zeros_in_a_counter_do_not_count() -> None:
    assert freeze(Counter(a=1, b=0)) == freeze(Counter(a=1))
    assert freeze(Counter(a=1)) != freeze(Counter(a=2))


def test_length_limit_of_a_deque_does_not_count() -> None:
    assert freeze(deque([1, []], 5)) == freeze(deque([1, []]))


def test_dataclass_is_compared_by_its_type_and_compared_fields() -> None:
    assert freeze(Query("a", [1], seen=1)) == freeze(Query("a", [1], seen=2))
    assert freeze(Query("a", [1])) != freeze(Query("a", [2]))
    assert freeze(FrozenQuery([1])) == freeze(FrozenQuery([1]))
    assert freeze(FrozenQuery(1)) == FrozenQuery(1)


def test_own_representation_plays_no_part() -> None:
    class Named:
        def __repr__(self) -> str:
            return "same for all"

    assert freeze([Named()]) != freeze([Named()])


def test_nobody_can_imitate_a_stand_in_by_accident() -> None:
    stand_in: Any = freeze([1])
    marker, kind, content = stand_in

    assert (kind, content) == (list, (1,))
    for imitation in [(list, (1,)), ("_Frozen", list, (1,)), (None, list, (1,)), (repr(marker), list, (1,))]:
        assert imitation != freeze([1])


# --- bytes and arrays -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 10, 1024, 1025, 100_000])
@pytest.mark.parametrize(
    "make",
    [bytearray, lambda data: array("B", data), lambda data: memoryview(bytearray(data))],
    ids=["bytearray", "array", "memoryview"],
)
def test_bytes_are_compared_by_content(make: Callable[[bytes], Any], size: int) -> None:
    data = bytes(i % 251 for i in range(size))

    assert freeze(make(data)) == freeze(make(data))
    assert freeze(make(data)) != freeze(make(data + b"\0"))
    if size:
        assert freeze(make(data)) != freeze(make(data[:-1] + b"\xff"))


def test_large_content_is_not_in_the_key() -> None:
    assert len(pickle.dumps(freeze(bytearray(1_000_000)))) < 300
    assert len(pickle.dumps(freeze(array("d", bytes(800_000))))) < 300


def test_content_that_spells_a_digest_differs_from_the_digested() -> None:
    stand_in: Any = freeze(bytearray(5000))
    _, _, (size, digest) = stand_in

    assert size == 5000
    assert freeze(bytearray(digest)) != freeze(bytearray(5000))


def test_memoryview_is_compared_by_format_shape_and_content() -> None:
    numbers = memoryview(array("i", [1, 2, 3, 4]))

    assert freeze(numbers) == freeze(memoryview(array("i", [1, 2, 3, 4])))
    assert freeze(numbers) != freeze(numbers.cast("B"))
    assert freeze(numbers[::2]) == freeze(memoryview(array("i", [1, 3])))
    assert freeze(numbers.cast("B").cast("i", (2, 2))) != freeze(numbers)
    assert freeze([numbers]) == freeze([memoryview(array("i", [1, 2, 3, 4]))])
    assert freeze(memoryview(b"a")) == b"a"  # hashable, and equal to its bytes


# --- what may change later --------------------------------------------------------------------


def test_later_changes_of_the_argument_do_not_reach_the_stand_in() -> None:
    inner = [1]
    arguments: list[Any] = [
        [inner],
        {"a": inner},
        (inner,),
        {1},
        deque([inner]),
        bytearray(b"a"),
        array("i", [1]),
        Query("a", inner),
        OrderedDict(a=inner),
        defaultdict(list, a=inner),
        Counter(a=1),
    ]
    frozen = [freeze(argument) for argument in arguments]
    before = [hash(stand_in) for stand_in in frozen]

    inner.append(2)
    for argument in arguments:
        if hasattr(argument, "append"):
            argument.append(1)
        elif hasattr(argument, "clear"):
            argument.clear()

    assert [hash(stand_in) for stand_in in frozen] == before
    assert frozen[0] == freeze([[1]])
    for argument, stand_in in zip(arguments, frozen, strict=True):
        assert freeze(argument) != stand_in


# --- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (Widget(), "filters"),
        ([1, Widget()], "filters[1]"),
        ({"a": [Widget()]}, "filters['a'][0]"),
        ({2: (1, Widget())}, "filters[2][1]"),
        ({Point: Widget()}, "filters[<type>]"),
        ({"it's": Widget()}, 'filters["it\'s"]'),
        ({"x" * 100: Widget()}, f"filters['{'x' * 35}...']"),
        ({10**5000: Widget()}, "filters[<int>]"),
        (OrderedDict(a=Widget()), "filters['a']"),
        (defaultdict(None, a=Widget()), "filters['a']"),
        (Counter[Any]({"a": Widget()}), "filters['a']"),
        (deque([0, Widget()]), "filters[1]"),
        (Point(1, {"a": Widget()}), "filters[1]['a']"),
        (Query("a", [Widget()]), "filters.tags[0]"),
        ([Plain([Widget()])], "filters[0][0]"),
    ],
)
def test_error_says_where_and_what(value: Any, where: str) -> None:
    with pytest.raises(TypeError) as caught:
        freeze(value, "filters")

    assert str(caught.value) == f"cannot freeze {where}: unhashable type 'Widget'"
    assert isinstance(caught.value.__cause__, TypeError)


def test_default_factory_is_named_in_errors() -> None:
    class Factory(Widget):
        def __call__(self) -> int:
            return 0

    with pytest.raises(TypeError, match=r"cannot freeze value.default_factory: unhashable type '.*Factory'"):
        freeze(defaultdict(Factory()))


def test_container_with_its_own_equality_is_refused() -> None:
    with pytest.raises(TypeError, match=r"cannot freeze value\[0\]: 'OwnEq' is a dict with its own __eq__"):
        freeze([OwnEq()])


def test_dataclass_that_compares_by_identity_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot freeze value: unhashable type 'Same'"):
        freeze(Same("a"))


def test_memoryview_of_objects_is_refused() -> None:
    numpy = pytest.importorskip("numpy")

    with pytest.raises(TypeError, match="cannot freeze value: a memoryview of objects"):
        freeze(memoryview(numpy.array([None], dtype=object)))


def cyclic_list() -> Any:
    value: list[Any] = [1]
    value.append(value)
    return value


def cyclic_dict() -> Any:
    value: dict[str, Any] = {}
    value["a"] = [{"b": value}]
    return value


def cyclic_dataclass() -> Any:
    value = Query("a")
    value.tags = (value,)
    return value


def cycle_beside_a_branch() -> Any:
    branch: Any = []
    for _ in range(60):
        branch = [branch]
    value: list[Any] = [branch]
    value.append(value)
    return value


def cycle_inside() -> Any:
    return {"a": cyclic_list()}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (cyclic_list, "it contains itself, value[1] is value"),
        (cyclic_dict, "it contains itself, value['a'][0]['b'] is value"),
        (cyclic_dataclass, "it contains itself, value.tags[0] is value"),
        (cycle_beside_a_branch, "it contains itself, value[1] is value"),
        (cycle_inside, "it contains itself, value['a'][1] is value['a']"),
    ],
)
def test_cycle_is_an_error_that_shows_it(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match="contains itself") as caught:
        freeze(make())

    assert str(caught.value) == f"cannot freeze value: {message}"


def test_same_object_twice_is_no_cycle() -> None:
    twice: list[int] = [1]

    assert freeze([twice, {"a": twice}]) == freeze([[1], {"a": [1]}])


NEST: list[Any] = [
    pytest.param(lambda inner: [inner], id="list"),
    pytest.param(lambda inner: {"a": inner}, id="dict"),
    pytest.param(lambda inner: (inner,), id="tuple"),
    pytest.param(lambda inner: Query("", inner), id="dataclass"),
    pytest.param(lambda inner: deque([inner]), id="deque"),
    pytest.param(lambda inner: Plain([inner]), id="subclass"),
]


def nested(nest: Callable[[Any], Any], depth: int, innermost: Any) -> Any:
    for _ in range(depth):
        innermost = nest(innermost)
    return innermost


@pytest.mark.parametrize("nest", NEST)
def test_deep_nesting_has_a_stand_in_that_can_be_compared(nest: Callable[[Any], Any]) -> None:
    assert {freeze(nested(nest, 199, [1])): 1}[freeze(nested(nest, 199, [1]))] == 1
    assert freeze(nested(nest, 199, [1])) != freeze(nested(nest, 199, [2]))
    assert freeze(nested(nest, 198, [1])) != freeze(nested(nest, 199, [1]))


@pytest.mark.parametrize("nest", NEST)
def test_deeper_nesting_is_an_error(nest: Callable[[Any], Any]) -> None:
    for depth in (201, 10 * sys.getrecursionlimit()):
        with pytest.raises(RecursionError, match="cannot freeze value: it is nested more than 200 levels deep"):
            freeze(nested(nest, depth, [[]]))


def test_failure_at_the_deepest_level_is_told_as_itself() -> None:
    with pytest.raises(TypeError, match="unhashable type 'Widget'"):
        freeze(nested(lambda inner: [inner], 200, Widget()))


def raising(*_: object) -> Any:
    raise Boom


def raising_type_error(*_: object) -> Any:
    raise TypeError("mine")


HOSTILE: list[Any] = [
    pytest.param(type("Hash", (), {"__hash__": raising})(), id="hash"),
    pytest.param(type("Iter", (list,), {"__iter__": raising})(), id="iter"),
    pytest.param(type("Items", (dict,), {"items": raising})(a=[]), id="items"),
    pytest.param(type("Set", (set,), {"__iter__": raising})(), id="set"),
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "inside",
    [
        lambda v: v,
        lambda v: [v],
        lambda v: ([], v),
        lambda v: {"a": v},
        lambda v: Query("", v),
        lambda v: deque([[], v]),
    ],
)
def test_exception_of_user_code_is_passed_on(value: Any, inside: Callable[[Any], Any]) -> None:
    with pytest.raises(Boom) as caught:
        freeze(inside(value))

    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_exception_of_an_own_equality_is_passed_on() -> None:
    for error in (raising, raising_type_error):
        collide = type("Collide", (), {"__hash__": lambda self: 1, "__eq__": error})
        # Of pairs with equal hashes and keys, the values are compared.
        key = type("Key", (), {"__hash__": lambda self: 1, "__eq__": error})

        with pytest.raises((Boom, TypeError), match="mine|^$"):
            freeze({key(): collide(), 1: collide()})


def test_type_error_of_an_own_hash_counts_as_unhashable() -> None:
    value = type("Fails", (), {"__hash__": raising_type_error})()

    with pytest.raises(TypeError, match=r"cannot freeze value\[0\]: unhashable type 'Fails'") as caught:
        freeze([value])
    assert str(caught.value.__cause__) == "mine"


def test_missing_field_of_a_dataclass_is_an_attribute_error() -> None:
    unfinished = Query.__new__(Query)

    with pytest.raises(AttributeError, match="text"):
        freeze(unfinished)


def test_subclass_is_copied_by_what_it_iterates_over() -> None:
    class Doubled(list[int]):
        def __iter__(self) -> Iterator[int]:
            return (2 * item for item in super().__iter__())

    class Plural(Doubled):
        pass

    assert freeze(Doubled([1])) == freeze(Doubled([1]))
    assert freeze(Doubled([1])) != freeze(Plural([1]))
    assert freeze(Doubled([1]))[2] == (2,)  # type: ignore[index]


# --- calls ------------------------------------------------------------------------------------


def test_call_is_frozen_only_where_it_is_not_hashable() -> None:
    kept = object()

    args, kwargs = freeze_call((kept, [1]), {"a": kept, "b": {}})

    assert args == (kept, freeze([1]))
    assert kwargs == {"a": kept, "b": freeze({})}
    assert freeze_call((), {}) == ((), {})


def test_errors_of_a_call_name_the_argument() -> None:
    with pytest.raises(TypeError, match=r"cannot freeze args\[1\]\['a'\]: unhashable"):
        freeze_call((1, {"a": Widget()}), {})
    with pytest.raises(TypeError, match=r"cannot freeze filters\[0\]: unhashable"):
        freeze_call((), {"filters": [Widget()]})
    with pytest.raises(TypeError, match=r"cannot freeze rest\[0\]: unhashable"):
        freeze_all((Widget(),), "rest")


# --- numpy ------------------------------------------------------------------------------------


def test_numpy_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)  # importing it fails

    with pytest.raises(TypeError, match="unhashable type 'Widget'"):
        freeze(Widget())
    assert freeze([bytearray(b"a")]) == freeze([bytearray(b"a")])


@pytest.mark.parametrize("length", [0, 3, 5000])
@pytest.mark.parametrize(
    "dtype",
    ["?", "i1", "<i4", ">i4", "f2", "f8", "c16", "g", "U3", "S3", "V2", "M8[s]", "m8[ms]", "O", "i4,f8", "i4,O"],
)
def test_array_is_compared_by_type_shape_and_content(dtype: str, length: int) -> None:
    np = pytest.importorskip("numpy")
    one = (
        np.arange(length).astype("V2" if dtype == "V2" else "i4").astype(dtype)
        if dtype != "V2"
        else np.zeros(length, dtype)
    )

    assert freeze(one) == freeze(one.copy())
    assert hash(freeze(one)) == hash(freeze(one.copy()))
    assert freeze(one) != freeze(one[:-1]) or not length
    assert freeze(one) != freeze(one.reshape(1, -1))
    assert freeze(one) != freeze(one.tolist())
    if length and dtype != "V2":
        changed = one.copy()
        changed[-1] = changed[0]
        assert freeze(one) != freeze(changed)


def test_types_of_arrays_matter() -> None:
    np = pytest.importorskip("numpy")
    kinds = ["i4", ">i4", "u4", "f4", "i8", "M8[s]", "M8[ms]", "O", [("a", "i4")], [("b", "i4")]]

    stand_ins = [freeze(np.zeros(3, kind)) for kind in kinds]

    assert len(set(stand_ins)) == len(kinds)


def test_layout_of_an_array_does_not_matter() -> None:
    np = pytest.importorskip("numpy")
    for side in (3, 60):
        plain = np.arange(side * side, dtype="i8").reshape(side, side)
        wide = np.zeros((side, 2 * side), "i8")
        wide[:, ::2] = plain
        for kind in ("i8", "O", "M8[s]", "i8,i2"):
            wanted = freeze(plain.astype(kind))
            assert freeze(np.asfortranarray(plain.astype(kind))) == wanted
            assert freeze(wide.astype(kind)[:, ::2]) == wanted
            assert freeze(plain.T.astype(kind)) != wanted
            read_only = plain.astype(kind)
            read_only.flags.writeable = False
            assert freeze(read_only) == wanted


def test_array_without_dimensions_has_a_stand_in() -> None:
    np = pytest.importorskip("numpy")
    for kind in ("i4", "O", "g", "i4,O"):
        assert freeze(np.zeros((), kind)) == freeze(np.zeros((), kind))
        assert freeze(np.zeros((), kind)) != freeze(np.zeros((1,), kind))


def test_numbers_in_an_array_are_compared_by_their_bits() -> None:
    np = pytest.importorskip("numpy")

    assert freeze(np.array([math.nan])) == freeze(np.array([math.nan]))
    assert freeze(np.array([0.0])) != freeze(np.array([-0.0]))


def test_gaps_in_an_array_do_not_matter() -> None:
    np = pytest.importorskip("numpy")
    gaps = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    one, two = np.frombuffer(bytearray(32), gaps), np.frombuffer(bytearray(b"\xff" * 32), gaps)
    one["a"] = two["a"] = 1
    one["b"] = two["b"] = 2

    assert one.tobytes() != two.tobytes()
    assert freeze(one) == freeze(two)


def test_strings_of_any_length_are_compared_by_content() -> None:
    np = pytest.importorskip("numpy", minversion="2.0")
    kind = np.dtypes.StringDType()

    assert freeze(np.array(["a" * 100, "b"], kind)) == freeze(np.array(["a" * 100, "b"], kind))
    assert freeze(np.array(["a" * 100, "b"], kind)) != freeze(np.array(["c" * 100, "b"], kind))


def test_objects_in_an_array_are_frozen_one_by_one() -> None:
    np = pytest.importorskip("numpy")

    def make(inner: Any) -> Any:
        made = np.empty((2, 2), object)
        made[1, 0] = inner
        return made

    assert freeze(make([1])) == freeze(make([1]))
    assert freeze(make([1])) != freeze(make([2]))
    with pytest.raises(TypeError, match=r"cannot freeze value.flat\[2\]: unhashable type 'Widget'"):
        freeze(make(Widget()))
    with pytest.raises(TypeError, match=r"cannot freeze value\['b'\]\[0\]: unhashable type 'Widget'"):
        freeze(np.array([(1, Widget())], [("a", int), ("b", object)]))
    cyclic = make(None)
    cyclic[0, 1] = cyclic
    with pytest.raises(ValueError, match=r"it contains itself, value.flat\[1\] is value"):
        freeze(cyclic)


def test_large_array_is_not_in_the_key() -> None:
    np = pytest.importorskip("numpy")

    assert len(pickle.dumps(freeze({"a": np.zeros((1000, 1000))}))) < 500


def test_later_changes_of_an_array_do_not_reach_the_stand_in() -> None:
    np = pytest.importorskip("numpy")
    for length in (3, 5000):
        numbers = np.zeros(length)
        frozen = freeze(numbers)
        numbers[0] = 1

        assert frozen == freeze(np.zeros(length))
        assert frozen != freeze(numbers)


def test_subclass_of_an_array_is_refused() -> None:
    np = pytest.importorskip("numpy")

    with pytest.raises(TypeError, match=r"cannot freeze value\[0\]: 'MaskedArray' is a subclass of numpy.ndarray"):
        freeze([np.ma.array([1], mask=[True])])


def test_scalars_of_numpy_are_their_own_stand_ins() -> None:
    np = pytest.importorskip("numpy")

    assert freeze(np.float64(1.5)) == 1.5
    assert freeze([np.int32(1)]) == freeze([1])
