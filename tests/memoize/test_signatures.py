from __future__ import annotations

import builtins
import doctest
import functools
import gc
import inspect
import pickle
import sys
import weakref
from array import array
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from overdrive._memoize import signatures
from overdrive._memoize.freezing import freeze
from overdrive._memoize.signatures import normalizing_key, unhashable_argument

if TYPE_CHECKING:
    from collections.abc import Callable

# Names that the generated source might use itself, or that mean something in Python.
NAMES = ["a", "b", "self", "_", "__", "___", "_0", "_key", "_type", "type", "sorted", "tuple", "match", "_pairs", "é"]
DEFAULTS = [0, 1, 1.5, None, "x", ("y",)]


class Unhashable:
    __hash__ = None  # type: ignore[assignment]


class Hostile:
    def __hash__(self) -> int:
        raise RuntimeError("mine")


@st.composite
def functions(draw: st.DrawFn) -> Callable[..., Any]:
    """Functions of all signatures, with names and defaults that get in the way."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6))
    of_kind = st.sampled_from(list(inspect._ParameterKind))
    kinds = sorted(draw(st.lists(of_kind, min_size=len(names), max_size=len(names))))
    parameters: list[inspect.Parameter] = []
    required = True
    for name, kind in zip(names, kinds, strict=True):
        before = [parameter.kind for parameter in parameters]
        if kind in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD):
            if kind not in before:
                parameters.append(inspect.Parameter(name, kind))
            continue
        # Once one of the positional parameters has a default, the others need one too.
        optional = draw(st.booleans()) or (not required and kind is not inspect.Parameter.KEYWORD_ONLY)
        required = required and not optional
        default = draw(st.sampled_from(DEFAULTS)) if optional else inspect.Parameter.empty
        parameters.append(inspect.Parameter(name, kind, default=default))
    source = f"def function{inspect.Signature(parameters)}: pass"
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    return namespace["function"]  # type: ignore[no-any-return]


calls = st.tuples(
    st.lists(st.integers(0, 3), max_size=4).map(tuple),
    st.dictionaries(st.sampled_from([*NAMES, "other"]), st.sampled_from([0, 1, 1.0, "x"]), max_size=3),
)


def bound(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """What `inspect` says that the key should be."""
    arguments = inspect.signature(function).bind(*args, **kwargs)
    arguments.apply_defaults()
    return tuple(
        tuple(sorted(value.items()))
        if arguments.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        else value
        for name, value in arguments.arguments.items()
    )


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(signatures).failed == 0


# --- what the key is --------------------------------------------------------------------------


@given(function=functions(), call=calls, typed=st.booleans(), freezes=st.booleans())
def test_key_is_what_the_signature_binds(
    function: Callable[..., Any], call: tuple[tuple[Any, ...], dict[str, Any]], typed: bool, freezes: bool
) -> None:
    args, kwargs = call
    key = normalizing_key(function, typed=typed, freeze=freezes)

    try:
        function(*args, **kwargs)
    except TypeError as error:
        with pytest.raises(TypeError) as caught:
            key(*args, **kwargs)
        assert str(caught.value) == str(error)
    else:
        try:
            wanted = bound(function, args, kwargs)
        except TypeError:
            # `inspect` refuses `f(a=1)` of `def f(a=0, /, **kwargs)`, which CPython accepts.
            reject()
        made = key(*args, **kwargs)
        assert isinstance(made, tuple)
        assert made[: len(wanted)] == wanted
        assert len(made) == len(wanted) * (1 + typed)


@given(function=functions(), call=calls, other=calls)
def test_typed_keys_are_equal_if_values_and_types_are(
    function: Callable[..., Any],
    call: tuple[tuple[Any, ...], dict[str, Any]],
    other: tuple[tuple[Any, ...], dict[str, Any]],
) -> None:
    key, typed = normalizing_key(function), normalizing_key(function, typed=True)
    try:
        one, two = key(*call[0], **call[1]), key(*other[0], **other[1])
    except TypeError:
        return

    assert (typed(*call[0], **call[1]) == typed(*other[0], **other[1])) == (repr(one) == repr(two))


def every_kind(a: Any, /, b: Any = 2, *args: Any, c: Any, d: Any = 4, **kwargs: Any) -> None:
    pass


def test_key_of_every_kind_of_parameter() -> None:
    key = normalizing_key(every_kind)

    assert key(1, c=3) == (1, 2, (), 3, 4, ())
    assert key(1, 2, 5, 6, c=3, z=8, y=7, a=9) == (1, 2, (5, 6), 3, 4, (("a", 9), ("y", 7), ("z", 8)))
    assert key(1, y=7, z=8, c=3, b=2) == key(1, 2, c=3, d=4, z=8, y=7)


def test_key_is_a_tuple_whatever_the_number_of_parameters() -> None:
    assert normalizing_key(lambda: None)() == ()
    assert normalizing_key(lambda a: None)(1) == (1,)
    assert normalizing_key(lambda a: None)((1,)) == ((1,),)
    assert normalizing_key(lambda *a: None)() == ((),)
    assert normalizing_key(lambda **a: None)() == ((),)


def test_typed_key_has_the_types_of_variadic_arguments() -> None:
    key = normalizing_key(lambda *args, **kwargs: None, typed=True)

    assert key(1, a=2) != key(1.0, a=2)
    assert key(1, a=2) != key(1, a=2.0)
    assert key(1, b=2.0, a=1) == key(1, a=1, b=2.0)
    assert normalizing_key(lambda *args, **kwargs: None)(1, a=2) == ((1,), (("a", 2),))


# --- the first parameter ----------------------------------------------------------------------


@pytest.mark.parametrize("typed", [False, True])
def test_instance_is_left_out(typed: bool) -> None:
    class Service:
        def plain(self, a: int, b: int = 2) -> None: ...
        def positional_only(self, /, a: int, **self_: int) -> None: ...
        def variadic(*args: Any) -> None: ...

    types = (int, int) if typed else ()
    plain = normalizing_key(Service.plain, skip_first=True, typed=typed)
    assert plain(Unhashable(), 1) == plain(Unhashable(), b=2, a=1) == (1, 2, *types)
    positional_only = normalizing_key(Service.positional_only, skip_first=True, typed=typed)
    assert positional_only(Unhashable(), 1)[:2] == (1, ())  # type: ignore[index]
    variadic = normalizing_key(Service.variadic, skip_first=True, typed=typed)
    assert variadic(Unhashable(), 1, 2) == ((1, 2), *([(int, int)] if typed else []))


@pytest.mark.parametrize("function", [lambda: None, lambda *, a: None, lambda **a: None])
def test_function_without_a_positional_parameter_has_no_instance(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"<lambda>\(\) has no positional parameter, so it cannot be a method"):
        normalizing_key(function, skip_first=True)


def test_wrong_call_of_a_method_counts_as_the_method_itself_does() -> None:
    def method(self: Any, a: int) -> None: ...

    with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
        normalizing_key(method, skip_first=True)(None, 1, 2)


# --- defaults and unhashable values -----------------------------------------------------------


def test_defaults_are_the_objects_themselves() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "); raise SystemExit("

    odd = Odd()

    def function(a: Any = odd, *, b: Any = odd) -> None: ...

    assert normalizing_key(function)() == (odd, odd)


def test_unhashable_default_does_not_spoil_the_key() -> None:
    def function(a: Any, b: Any = [], *, c: Any = {}, d: Any = Unhashable()) -> None: ...  # noqa: B006, B008

    key = normalizing_key(function)

    assert hash(key(1)) == hash(key(a=1))
    assert key(1) == key(a=1) != key(2)
    assert pickle.loads(pickle.dumps(key(1))) == key(1)
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        hash(key(1, []))
    assert hash(normalizing_key(function, typed=True)(1)) is not None


def test_frozen_default_equals_the_same_value_given() -> None:
    def function(a: Any, b: Any = [1], *, c: Any = {}) -> None: ...  # noqa: B006

    key = normalizing_key(function, freeze=True)

    assert key(1) == key(1, [1], c={}) == (1, freeze([1]), freeze({}))
    assert key(1) != key(1, [2])


def test_freezing_key_freezes_every_kind_of_parameter() -> None:
    key = normalizing_key(every_kind, freeze=True)

    assert key([1], {2}, [3], c=[4], z=[5]) == (
        freeze([1]),
        freeze({2}),
        (freeze([3]),),
        freeze([4]),
        4,
        (("z", freeze([5])),),
    )


def test_types_in_a_freezing_key_are_those_of_the_values() -> None:
    key = normalizing_key(lambda a: None, typed=True, freeze=True)

    assert key([1]) == (freeze([1]), list)


@pytest.mark.parametrize(
    ("args", "kwargs", "where"),
    [
        (([Unhashable()],), {}, "a[0]"),
        ((1, {"x": Unhashable()}), {}, "b['x']"),
        ((1, 2, 3, [Unhashable()]), {}, "args[1][0]"),
        ((1,), {"d": (Unhashable(),)}, "d[0]"),
        ((1,), {"z": Unhashable()}, "z"),
    ],
)
def test_what_cannot_be_frozen_is_told_with_its_parameter(
    args: tuple[Any, ...], kwargs: dict[str, Any], where: str
) -> None:
    key = normalizing_key(every_kind, freeze=True)

    with pytest.raises(TypeError) as caught:
        key(*args, **{"c": 3, **kwargs})
    assert str(caught.value) == f"cannot freeze {where}: unhashable type 'Unhashable'"


# --- callables --------------------------------------------------------------------------------


def test_wrong_call_is_refused_in_the_words_of_the_function() -> None:
    class Outer:
        def method(self, a: int) -> None: ...

    functions: list[Callable[..., None]] = [Outer.method, every_kind, lambda a: None]
    for function in functions:
        with pytest.raises(TypeError) as theirs:
            function()
        with pytest.raises(TypeError) as ours:
            normalizing_key(function)()
        assert str(ours.value) == str(theirs.value)


def test_wrapper_is_taken_as_it_is_called_itself() -> None:
    def function(connection: Any, a: Any, b: Any = 2) -> None: ...

    @functools.wraps(function)
    def connected(*args: Any, **kwargs: Any) -> None: ...

    key = normalizing_key(connected)

    assert key(1) == ((1,), ())
    assert key(a=1) == ((), (("a", 1),))


def test_bound_methods_partial_calls_classes_and_instances_are_callables_too() -> None:
    class Model:
        def __init__(self, size: int, depth: int = 2) -> None: ...
        def __call__(self, x: int, y: int = 3) -> None: ...
        def fit(self, x: int, y: int = 4) -> None: ...

    model = Model(1)
    assert normalizing_key(Model)(depth=2, size=1) == (1, 2)
    assert normalizing_key(model)(1) == (1, 3)
    assert normalizing_key(model.fit)(1) == (1, 4)
    assert normalizing_key(functools.partial(model.fit, y=5))(1) == (1, 5)
    assert normalizing_key(functools.partial(model.fit, 1))() == (4,)
    with pytest.raises(TypeError, match=r"Model.fit\(\) takes"):
        normalizing_key(functools.partial(model.fit, y=5))(1, 2)


def test_builtins_with_a_signature_have_a_key() -> None:
    assert normalizing_key(len)("a") == ("a",)
    assert normalizing_key(sorted)([], reverse=True)
    assert normalizing_key(str.upper)("a") == ("a",)


def test_declared_signature_is_followed() -> None:
    def function(*args: Any, **kwargs: Any) -> None: ...

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("a", kind), inspect.Parameter("b", kind, default=2)]
    )

    assert normalizing_key(function)(1) == (1, 2)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated when the function is defined")
def test_annotations_are_not_evaluated() -> None:
    namespace: dict[str, Any] = {}
    exec(compile("def function(a: missing, b: 1 / 0 = 2): ...", "annotated", "exec", dont_inherit=True), namespace)

    assert normalizing_key(namespace["function"])(1) == (1, 2)


def test_positional_parameter_may_have_a_name_that_python_reserves() -> None:
    def function(*args: Any) -> None: ...

    parameter = inspect.Parameter("from", inspect.Parameter.POSITIONAL_ONLY)
    function.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]

    assert normalizing_key(function)(1) == (1,)
    assert normalizing_key(function, freeze=True, typed=True)([1]) == (freeze([1]), list)


def test_error_names_the_callable_without_a_signature() -> None:
    nameless = next(
        (value for value in vars(builtins).values() if callable(value) and not has_signature(value)), builtins.dict
    )
    with pytest.raises(ValueError, match=f"cannot tell the parameters of {nameless.__qualname__}"):
        normalizing_key(nameless)
    with pytest.raises(TypeError, match="cannot tell the parameters of int: 3 is not a callable object"):
        normalizing_key(3)  # type: ignore[arg-type]


def has_signature(value: Any) -> bool:
    try:
        inspect.signature(value)
    except ValueError:
        return False
    return True


def test_key_function_is_freed_without_the_garbage_collector() -> None:
    key = normalizing_key(every_kind)
    reference = weakref.ref(key)
    enabled = gc.isenabled()
    gc.disable()
    try:
        del key
        assert reference() is None
    finally:
        if enabled:
            gc.enable()


# --- which argument it was --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "wanted"),
    [
        ((1,), {"c": 3}, None),
        (([],), {"c": 3}, "argument 'a' is unhashable (list)"),
        ((1, {}), {"c": []}, "argument 'b' is unhashable (dict)"),
        ((1,), {"c": [], "b": {}}, "argument 'b' is unhashable (dict)"),
        ((1, 2, 3, set()), {"c": 3}, "argument 'args[1]' is unhashable (set)"),
        ((1,), {"c": 3, "z": []}, "argument 'z' is unhashable (list)"),
        ((1, (2, [])), {"c": 3}, "argument 'b' is unhashable (list in a tuple)"),
        ((1, (2, ({},))), {"c": 3}, "argument 'b' is unhashable (dict in a tuple)"),
        ((1, Unhashable()), {"c": 3}, "argument 'b' is unhashable (Unhashable)"),
        # Calls that do not fit the signature.
        ((1, []), {}, "positional argument 1 is unhashable (list)"),
        ((), {"c": [], "z": 1}, "argument 'c' is unhashable (list)"),
        # Not for a `TypeError`.
        ((Hostile(), []), {"c": 3}, None),
        (((1, Hostile()),), {"c": 3}, None),
        ((memoryview(array("i")),), {"c": 3}, None),
    ],
)
def test_unhashable_argument_is_named(args: tuple[Any, ...], kwargs: dict[str, Any], wanted: str | None) -> None:
    assert unhashable_argument(every_kind, args, kwargs) == wanted


def test_unhashable_instance_is_not_meant() -> None:
    def method(self: Any, a: Any) -> None: ...

    assert unhashable_argument(method, (Unhashable(), 1), {}, skip_first=True) is None
    assert unhashable_argument(method, (Unhashable(), []), {}, skip_first=True) == "argument 'a' is unhashable (list)"
    assert unhashable_argument(method, (), {}, skip_first=True) is None


def test_unhashable_argument_of_a_callable_without_signature_is_numbered() -> None:
    assert unhashable_argument(dict, (1, []), {}) == "positional argument 1 is unhashable (list)"
    assert unhashable_argument(dict, (), {"a": []}) == "argument 'a' is unhashable (list)"
