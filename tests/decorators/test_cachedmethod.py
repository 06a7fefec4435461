from __future__ import annotations

import copy
import gc
import inspect
import pickle
import weakref
from threading import Condition, Lock, RLock
from typing import Any
from unittest import mock

import pytest

from overdrive import Cache, LRUCache, cachedmethod
from overdrive.keys import methodkey, typedmethodkey


class Service:
    """Methods that are cached in every way; each returns how many calls came before."""

    def __init__(self, cache: Any = None) -> None:
        self.cache = {} if cache is None else cache
        self.calls = 0
        self.make_guards()

    def make_guards(self) -> None:
        self.lock = RLock()
        self.condition = Condition(self.lock)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["lock"], state["condition"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.make_guards()

    def count(self) -> int:
        self.calls += 1
        return self.calls - 1

    @cachedmethod(lambda self: self.cache, info=True)
    def plain(self, n: object) -> int:
        """Count calls."""
        return self.count()

    @cachedmethod(lambda self: self.cache, lock=lambda self: self.lock, info=True)
    def locked(self, n: object) -> int:
        return self.count()

    @cachedmethod(lambda self: self.cache, condition=lambda self: self.condition, info=True)
    def conditional(self, n: object) -> int:
        return self.count()

    @cachedmethod(
        lambda self: self.cache,
        lock=lambda self: self.lock,
        condition=lambda self: self.condition,
        info=True,
    )
    def guarded(self, n: object) -> int:
        return self.count()

    @cachedmethod(lambda self: self.cache)
    def uncounted(self, n: object) -> int:
        return self.count()

    @cachedmethod(lambda self: self.cache, key=typedmethodkey)
    def typed(self, n: object) -> int:
        return self.count()

    @cachedmethod(lambda self: self.cache, condition=lambda self: self.condition)
    def failing(self, n: object) -> int:
        raise LookupError(self.count())


class Child(Service):
    def __init__(self) -> None:
        super().__init__()
        self.own_cache: dict[Any, Any] = {}

    @cachedmethod(lambda self: self.own_cache, info=True)
    def plain(self, n: object) -> int:
        return super().plain(n) + 100


class Unhashable(Service):
    __hash__ = None  # type: ignore[assignment]


every_way = pytest.mark.parametrize("name", ["plain", "locked", "conditional", "guarded"])


@every_way
def test_second_call_with_equal_arguments_is_answered_from_the_cache(name: str) -> None:
    service = Service()
    method = getattr(service, name)

    assert [method(1), method(2), method(1), method(n=2)] == [0, 1, 0, 2]
    assert service.cache == {methodkey(service, 1): 0, methodkey(service, 2): 1, methodkey(service, n=2): 2}


@every_way
def test_hits_and_misses_are_counted_for_each_instance(name: str) -> None:
    cache: LRUCache[Any, int] = LRUCache(maxsize=2)
    first, second = getattr(Service(cache), name), getattr(Service(cache), name)

    first(1)
    second(1)
    second(1)

    assert first.cache_info() == (0, 1, 2, 1)
    assert second.cache_info() == (2, 0, 2, 1)


@every_way
def test_cache_clear_empties_the_cache_and_counts_from_zero(name: str) -> None:
    service = Service()
    method = getattr(service, name)
    method(1)

    method.cache_clear()

    assert service.cache == {}
    assert method.cache_info() == (0, 0, None, 0)


@every_way
def test_value_that_is_too_large_is_returned_but_not_kept(name: str) -> None:
    service = Service(Cache(maxsize=0))
    method = getattr(service, name)

    assert [method(1), method(1)] == [0, 1]


@every_way
def test_instance_need_not_be_hashable(name: str) -> None:
    method = getattr(Unhashable(), name)

    assert [method(1), method(1)] == [0, 0]


def test_exception_is_passed_on_and_not_cached() -> None:
    service = Service()

    for attempt in range(2):
        with pytest.raises(LookupError) as caught:
            service.failing(1)
        assert caught.value.args == (attempt,)
    assert service.cache == {}


def test_key_function_may_tell_types_apart() -> None:
    service = Service()

    assert [service.typed(1), service.typed(1.0), service.typed(1)] == [0, 1, 0]


def test_cache_is_the_one_that_the_instance_names_at_the_time() -> None:
    service = Service()
    service.plain(1)
    before = service.cache

    service.cache = {}
    service.plain(1)

    assert before == {(1,): 0}
    assert service.cache == {(1,): 1}
    assert service.plain.cache is service.cache


def test_attributes_are_those_of_the_instance() -> None:
    service = Service()

    assert service.guarded.cache is service.cache
    assert service.guarded.cache_lock is service.lock
    assert service.guarded.cache_condition is service.condition
    assert service.conditional.cache_lock is service.condition
    assert service.plain.cache_lock is None
    assert service.plain.cache_condition is None
    assert service.plain.cache_key(1, n=2) == methodkey(service, 1, n=2)


def test_statistics_are_absent_unless_asked_for() -> None:
    assert not hasattr(Service().uncounted, "cache_info")


def test_condition_made_with_another_lock_is_reported_on_the_first_miss() -> None:
    service = Service()
    service.lock = Lock()  # type: ignore[assignment]
    service.condition = Condition()

    with pytest.raises(RuntimeError):
        service.guarded(1)


def test_wrapper_is_made_once_and_kept_in_the_dictionary_of_the_instance() -> None:
    service = Service()

    method = service.plain

    assert service.plain is method
    assert vars(service)["plain"] is method


def test_method_looks_like_the_original() -> None:
    service = Service()
    original = Service.plain.__wrapped__

    assert service.plain.__name__ == Service.plain.__name__ == "plain"
    assert service.plain.__qualname__ == Service.plain.__qualname__ == "Service.plain"
    assert service.plain.__doc__ == Service.plain.__doc__ == "Count calls."
    assert service.plain.__wrapped__ is original
    assert repr(service.plain) == f"<cachedmethod {original!r} of {object.__repr__(service)}>"
    assert repr(Service.plain) == f"<cachedmethod {original!r}>"
    assert list(inspect.signature(Service.plain).parameters) == ["self", "n"]


def test_instance_is_freed_with_its_wrappers() -> None:
    service = Service()
    service.guarded(1)
    alive = weakref.ref(service)

    del service
    gc.collect()

    assert alive() is None


# --- through super() --------------------------------------------------------------------------


def test_override_and_overridden_method_have_caches_of_their_own() -> None:
    child = Child()

    assert [child.plain(1), child.plain(1)] == [100, 100]
    assert child.own_cache == {(1,): 100}
    assert child.cache == {(1,): 0}
    assert child.plain.cache_info() == (1, 1, None, 1)
    assert super(Child, child).plain.cache_info() == (0, 1, None, 1)


def test_overridden_method_has_one_wrapper_in_a_dictionary_of_its_own() -> None:
    child = Child()

    method = super(Child, child).plain

    assert super(Child, child).plain is method
    assert list(vars(child)["__cachetools_cachedmethods"].values()) == [method]
    assert "plain" not in vars(child)


def test_override_that_is_not_cached_stays_in_effect() -> None:
    class Loud(Service):
        def plain(self, n: object) -> int:  # type: ignore[override]
            return super().plain(n) + 1000

    loud = Loud()

    assert [loud.plain(1), loud.plain(1)] == [1000, 1000]
    assert loud.calls == 1


# --- through the class ------------------------------------------------------------------------


def test_class_access_gives_a_callable_that_takes_the_instance() -> None:
    service = Service()

    assert Service.plain(service, 1) == service.plain(1) == 0
    assert Service.plain(self=service, n=2) == 1  # type: ignore[call-arg]
    assert Service.plain(service, n=2) == 1


def test_class_access_always_gives_the_same_object() -> None:
    assert Service.plain is Service.plain
    assert Unhashable.plain is Service.plain


@pytest.mark.parametrize("name", ["cache", "cache_key", "cache_lock", "cache_condition", "cache_clear", "cache_info"])
def test_class_access_has_no_cache(name: str) -> None:
    assert not hasattr(Service.plain, name)


def test_call_through_the_class_needs_an_instance() -> None:
    class Odd:
        @cachedmethod(lambda self: {})
        def positional(self, /, n: int) -> int:
            return n

        @cachedmethod(lambda self: {})  # type: ignore[arg-type]
        def nothing() -> int:
            return 0

    odd: Any = Odd
    service: Any = Service

    for method, arguments in (
        (service.plain, {}),
        (service.plain, {"n": 1}),
        (service.plain, {"this": Service(), "n": 1}),
        (odd.positional, {"self": Odd(), "n": 1}),
        (odd.nothing, {}),
    ):
        with pytest.raises(TypeError, match="without an instance"):
            method(**arguments)


def test_keyword_may_be_named_self() -> None:
    class Odd:
        @cachedmethod(lambda this: {})
        def method(this, *, self: int) -> int:  # noqa: N805
            return self

    assert Odd().method(self=1) == 1
    assert Odd.method(Odd(), self=2) == 2


def test_alias_in_a_subclass_is_the_same_method() -> None:
    class Alias(Service):
        another = Service.plain

    alias = Alias()

    assert Alias.another is Service.plain
    assert alias.another(1) == alias.plain(1) == 0
    assert alias.another is alias.plain


def test_method_taken_from_a_class_that_lost_it_still_works() -> None:
    class Changing(Service):
        @cachedmethod(lambda self: self.cache)
        def lost(self, n: int) -> int:
            return self.count()

    lost = Changing.lost
    changing = Changing()
    del Changing.lost

    assert [lost(changing, 1), lost(changing, 1)] == [0, 0]


def test_autospec_of_an_instance_takes_no_instance() -> None:
    spec = mock.create_autospec(Service, instance=True)

    spec.plain(1)
    spec.plain(n=1)

    assert spec.plain.call_count == 2


# --- copies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda obj: pickle.loads(pickle.dumps(obj))])
def test_copy_of_an_instance_has_a_copy_of_the_cache_and_counts_from_zero(duplicate: Any) -> None:
    child = Child()
    child.plain(1)
    child.guarded(2)

    copied = duplicate(child)

    assert copied.own_cache == child.own_cache
    assert copied.own_cache is not child.own_cache
    assert copied.plain.cache is copied.own_cache
    assert copied.plain.cache_info() == (0, 0, None, 1)
    assert copied.plain(1) == 100
    assert super(Child, copied).plain.cache is copied.cache
    assert super(Child, copied).plain.cache_info() == (0, 0, None, 2)
    assert copied.plain.cache_info() == (1, 0, None, 1)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_class_access_is_pickled_and_copied_by_name(protocol: int) -> None:
    assert pickle.loads(pickle.dumps(Service.plain, protocol)) is Service.plain
    assert copy.copy(Service.plain) is Service.plain
    assert copy.deepcopy(Service.plain) is Service.plain


# --- what cannot be decorated -----------------------------------------------------------------


def test_instance_without_a_dictionary_is_refused() -> None:
    class Slots:
        __slots__ = ("cache",)

        @cachedmethod(lambda self: self.cache)
        def method(self) -> int:
            return 1

    class Override(Slots):
        __slots__ = ()

        def method(self) -> int:  # type: ignore[override]
            return super().method()

    for cls in (Slots, Override):
        with pytest.raises(TypeError, match=rf"No '__dict__' attribute on '{cls.__name__}'.*'method'"):
            cls().method()


def test_instance_whose_dictionary_cannot_be_written_to_is_refused() -> None:
    class Frozen(dict[str, Any]):
        def setdefault(self, key: str, default: Any = None) -> Any:
            raise TypeError("frozen")

    service = Service()
    service.__dict__ = Frozen(service.__dict__)

    with pytest.raises(TypeError, match=r"does not support item assignment.*'plain'"):
        service.plain(1)


def test_error_in_the_making_of_a_wrapper_is_passed_on() -> None:
    no_key: Any = None

    class Odd:
        @cachedmethod(lambda self: {}, key=no_key)
        def method(self) -> int:
            return 1

    with pytest.raises(TypeError, match="must be callable"):
        Odd().method()


def test_class_method_is_refused() -> None:
    class Odd:
        @classmethod
        @cachedmethod(lambda cls: {})
        def method(cls) -> int:
            return 1

    odd: Any = Odd

    with pytest.raises(TypeError, match="class method"):
        odd.method()
    with pytest.raises(TypeError, match="class method"):
        odd().method()


def test_descriptor_cannot_have_two_names() -> None:
    with pytest.raises((TypeError, RuntimeError)) as caught:

        class Odd:
            @cachedmethod(lambda self: {})
            def first(self) -> int:
                return 1

            second = first

    error = caught.value if isinstance(caught.value, TypeError) else caught.value.__cause__
    assert isinstance(error, TypeError)
    assert "two names, 'first' and 'second'" in str(error)


def test_descriptor_may_have_the_same_name_in_two_classes() -> None:
    class Other(Service):
        plain = Service.__dict__["plain"]

    assert Other().plain(1) == 0


def test_descriptor_that_was_not_told_its_name_is_refused() -> None:
    class Late:
        method: Any

    Late.method = cachedmethod(lambda self: {})(lambda self: 1)

    with pytest.raises(TypeError, match="class body"):
        Late().method()
    with pytest.raises(TypeError, match="class body"):
        Late.method(Late())
