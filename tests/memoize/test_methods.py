"""Memoized methods: each instance has results of its own."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import weakref
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest

from overdrive import memoize
from tests.decorators.concurrency import PATIENCE, Call


class Service:
    def __init__(self, factor: int = 1) -> None:
        self.factor = factor
        self.calls = 0

    @memoize
    def scale(self, n: int) -> int:
        """Scale it."""
        self.calls += 1
        return n * self.factor


class Unhashable(Service):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


def test_each_instance_has_results_of_its_own() -> None:
    one, two = Service(1), Service(2)
    assert (one.scale(3), two.scale(3), one.scale(3), two.scale(3)) == (3, 6, 3, 6)
    assert (one.calls, two.calls) == (1, 1)
    assert one.scale.cache_info()[:2] == (1, 1)


def test_results_do_not_keep_the_instance() -> None:
    service = Service()
    service.scale(1)
    gone = weakref.ref(service)
    del service
    assert gone() is None


@pytest.mark.parametrize("options", [{}, {"ttl": 10}, {"normalize": True}, {"freeze": True}, {"ttl": lambda value: 1}])
def test_no_option_keeps_the_instance(options: dict[str, Any]) -> None:
    class Owner:
        @memoize(**options)
        def get(self, n: int) -> int:
            return n

    owner = Owner()
    assert owner.get(1) == owner.get(1) == 1
    gone = weakref.ref(owner)
    del owner
    assert gone() is None


def test_instances_need_not_be_hashable_and_equal_ones_are_separate() -> None:
    one, two = Unhashable(1), Unhashable(2)
    assert one == two
    assert (one.scale(3), two.scale(3)) == (3, 6)


def test_instances_without_weak_references_are_refused_clearly() -> None:
    class Slotted:
        __slots__ = ()

        @memoize
        def get(self) -> int:
            return 1

        @memoize(method=False)
        def get_by_key(self) -> int:
            return 2

    @dataclass(slots=True)
    class Data:
        n: int

        @memoize
        def get(self) -> int:
            return self.n

    for instance in (Slotted(), Data(1)):
        with pytest.raises(TypeError, match="add '__weakref__'"):
            instance.get()
    assert Slotted().get_by_key() == 2


def test_slots_with_weak_references_will_do() -> None:
    class Slotted:
        __slots__ = ("__weakref__", "n")

        def __init__(self, n: int) -> None:
            self.n = n

        @memoize
        def get(self) -> int:
            return self.n

    assert [Slotted(n).get() for n in range(3)] == [0, 1, 2]


def test_overrides_and_super_have_results_of_their_own() -> None:
    class Base:
        @memoize
        def get(self, n: int) -> str:
            return f"base {n}"

    class Derived(Base):
        @memoize
        def get(self, n: int) -> str:
            return f"derived {super().get(n)}"

    derived = Derived()
    assert derived.get(1) == derived.get(1) == "derived base 1"
    assert Base.get(derived, 1) == "base 1"
    assert Base().get(1) == "base 1"
    assert derived.get.cache_info()[:2] == (1, 1)


def test_static_and_class_methods_in_both_orders() -> None:
    class Base:
        name = "base"

        @staticmethod
        @memoize
        def inner_static(n: int) -> int:
            return n

        @memoize
        @staticmethod
        def outer_static(n: int) -> int:
            return n

        @classmethod
        @memoize
        def inner_class(cls, n: int) -> str:
            return f"{cls.name} {n}"

        @memoize
        @classmethod
        def outer_class(cls, n: int) -> str:
            return f"{cls.name} {n}"

    class Derived(Base):
        name = "derived"

    for _ in range(2):
        assert Base.inner_static(1) == Base().inner_static(1) == Base.outer_static(1) == Base().outer_static(1) == 1
        assert Base.inner_class(1) == Base().inner_class(1) == Base.outer_class(1) == "base 1"
        assert Derived.inner_class(1) == Derived().outer_class(1) == "derived 1"


def test_property_keeps_results_per_instance() -> None:
    class Owner:
        def __init__(self, n: int) -> None:
            self.n = n

        @property
        @memoize(method=True)
        def value(self) -> int:
            return self.n

    one, two = Owner(1), Owner(2)
    assert (one.value, two.value, one.value) == (1, 2, 1)
    gone = weakref.ref(one)
    del one
    assert gone() is None


def test_call_through_the_class_shares_the_results_of_the_instance() -> None:
    service = Service(2)
    assert Service.scale(service, 3) == service.scale(3) == 6
    assert service.calls == 1
    assert Service.scale.cached(service, 3)
    assert Service.scale.invalidate(service, 3)
    assert not service.scale.cached(3)
    Service.scale.put(7, service, 3)
    assert service.scale(3) == service.scale.peek(3) == 7
    with pytest.raises(TypeError, match="missing 2 required positional arguments"):
        Service.scale()  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["peek", "cached", "invalidate", "refresh"])
def test_missing_instance_is_an_error_that_says_so(name: str) -> None:
    with pytest.raises(TypeError, match="scale.*(instance|self)"):
        getattr(Service.scale, name)()


def test_bound_method_keeps_the_instance_and_is_equal_to_another() -> None:
    service = Service(2)
    method = service.scale
    assert method == service.scale
    assert hash(method) == hash(service.scale)
    assert method != Service(2).scale
    gone = weakref.ref(service)
    del service
    assert method(3) == 6
    assert method.__name__ == "scale"  # type: ignore[attr-defined]
    assert method.__doc__ == "Scale it."
    assert method.__self__ is gone()
    del method
    assert gone() is None


def test_instances_can_be_pickled_and_copied_without_their_results() -> None:
    service = Service(2)
    service.scale(3)
    for other in (copy.copy(service), copy.deepcopy(service), pickle.loads(pickle.dumps(service))):
        other.factor = 5
        assert other.scale(3) == 15
        assert service.scale(3) == 6
    method = pickle.loads(pickle.dumps(service.scale))
    assert method(4) == 8


def test_one_method_under_two_names_is_one() -> None:
    class Owner:
        def __init__(self) -> None:
            self.calls = 0

        @memoize
        def first(self, n: int) -> int:
            self.calls += 1
            return n

        second = first

    owner = Owner()
    assert owner.first(1) == owner.second(1) == 1
    assert owner.calls == 1


def test_function_of_a_module_named_in_a_class_is_no_method() -> None:
    @memoize
    def describe(instance: object, n: int) -> int:
        return n

    class Owner:
        get = describe

    owner = Owner()
    assert owner.get(1) == describe(owner, 1) == 1
    assert describe.cache_info()[:2] == (1, 1)


def test_cache_can_be_given_by_the_instance() -> None:
    class Owner:
        def __init__(self) -> None:
            self.results: dict[Any, Any] = {}

        @memoize(cache=lambda self: self.results)
        def get(self, n: int) -> int:
            return n

    owner = Owner()
    assert owner.get(1) == owner.get(1) == 1
    assert list(owner.results.values()) == [1]
    assert Owner().results == {}
    gone = weakref.ref(owner)
    del owner
    assert gone() is None


def test_mapping_is_refused_as_the_cache_of_a_method() -> None:
    # Python 3.11 wraps what `__set_name__` raises.
    with pytest.raises((TypeError, RuntimeError)) as caught:

        class Owner:
            @memoize(cache={})
            def get(self) -> int:
                return 1

    assert "each instance has a cache of its own" in str(caught.value.__cause__ or caught.value)


def test_threads_that_first_use_an_instance_at_once_share_its_results() -> None:
    for _ in range(50):
        service = Service(2)
        begun = Barrier(8)

        def call(service: Service = service, begun: Barrier = begun) -> int:
            begun.wait(PATIENCE)
            return service.scale(3)

        assert {call.result() for call in [Call(call) for _ in range(8)]} == {6}
        assert service.calls == 1


# --- instances that are gone ------------------------------------------------------------------


def test_instance_at_the_address_of_a_dead_one_has_no_results() -> None:
    class Owner(Service):
        @memoize
        def get(self) -> int:
            return self.factor

    addresses = set()
    for factor in range(2000):
        owner = Owner(factor)
        addresses.add(id(owner))
        assert owner.get() == factor
    assert len(addresses) < 2000, "no address was used again"
    assert len(Owner.get._memos()) == 1


def test_instance_that_dies_where_no_callback_can_run_leaves_no_results_to_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)

    def drop_at_the_limit(box: list[Service]) -> None:
        try:
            drop_at_the_limit(box)
        except RecursionError:
            box.clear()  # there is no room for one more call

    reused = wrong = 0
    for _ in range(20):
        box = [Service(1)]
        address = id(box[0])
        box[0].scale(1)
        drop_at_the_limit(box)
        services = [Service(2) for _ in range(10)]
        reused += any(id(service) == address for service in services)
        wrong += sum(service.scale(1) != 2 for service in services)
    assert reused
    assert wrong == 0


def test_class_that_a_finalizer_saved_from_the_collector_does_not_confuse_instances() -> None:
    saved: list[Any] = []

    class Owner:
        last: Any

        def __init__(self, n: int) -> None:
            self.n = n

        @memoize
        def get(self) -> int:
            return self.n

    class Saviour:
        def __init__(self, owner: type) -> None:
            self.owner = owner

        def __del__(self) -> None:
            saved.append(self.owner)

    Owner.last = Owner(1)
    Owner.saviour = Saviour(Owner)  # type: ignore[attr-defined]
    assert Owner.last.get() == 1
    del Owner
    gc.collect()
    [owner] = saved
    address = id(owner.last)
    del owner.last  # its weak references were cleared without their callbacks
    instances = [owner(2)]
    while id(instances[-1]) != address and len(instances) < 1000:
        instances.append(owner(2))
    if id(instances[-1]) != address:
        pytest.skip("the address was not used again")
    assert instances[-1].get() == 2


def test_finalizer_of_an_instance_may_call_its_method() -> None:
    results = []

    class Owner:
        @memoize
        def get(self, n: int) -> int:
            return n

        def __del__(self) -> None:
            results.append(self.get(2))

    for _ in range(100):
        Owner().get(1)
    assert results == [2] * 100
    assert len(Owner.get._memos()) == 0
