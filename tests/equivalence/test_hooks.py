"""The same subclass of a cachetools class and of ours: every override must see the same calls.

An override that overdrive does not call, or calls once too often, changes what a user's subclass does,
so the calls and their arguments are compared as well as the answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.errors import UnsatisfiedAssumption

from tests.contracts.kinds import Kind
from tests.equivalence.operations import names, operations_for
from tests.strategies import Choose

#: The methods that cachetools' classes call on themselves, so that an override takes part.
HOOKS = ("__contains__", "__delitem__", "__getitem__", "__missing__", "__setitem__", "clear", "popitem")
TIMED_HOOKS = ("expire",)
#: `getsizeof` works as a method only where the constructor did not get a function of that name.
SIZE_HOOK = "getsizeof"
STEPS = 250

#: Cannot be pickled, being local; rebuilt through `copy.deepcopy` like any other class.
LEFT_OUT = ("pickle_round_trip",)

Events = list[tuple[Any, ...]]


def hooks_of(kind: Kind) -> tuple[str, ...]:
    """Return the methods of that class which a subclass may override."""
    return HOOKS + (TIMED_HOOKS if kind.timed else ()) + (SIZE_HOOK,)


def recorder(base: Any, name: str, events: Events, note: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return an override that notes the call and its result around the inherited method."""
    inherited = getattr(base, name)
    static = name == SIZE_HOOK

    def override(self: Any, *args: Any, **kwargs: Any) -> Any:
        events.append((name, note(args), note(kwargs)))
        try:
            result = inherited(*args, **kwargs) if static else inherited(self, *args, **kwargs)
        except Exception as error:
            events.append((name, "raised", type(error), str(error)))
            raise
        events.append((name, "returned", note(result)))
        return result

    return override


def missing_that_computes(self: Any, key: Any) -> Any:
    """A `__missing__` that answers without storing."""
    return "computed"


def missing_that_stores(self: Any, key: Any) -> Any:
    """A `__missing__` that stores if it can, and answers."""
    try:
        self[key] = 1
    except ValueError:
        return "too large"
    return 1


def popitem_that_refuses_once(base: Any) -> Callable[[Any], Any]:
    """Return a `popitem` that raises at every third call."""
    calls = iter(range(10**9))

    def popitem(self: Any) -> Any:
        if next(calls) % 3 == 2:
            raise LookupError("not now")
        return base.popitem(self)

    return popitem


def oversized(self: Any, value: Any) -> int:
    """A `getsizeof` method that has nothing to do with the value."""
    return 2


class Recipe:
    """Which overrides a subclass gets; applied to the class of either library."""

    def __init__(self, kind: Kind, choose: Choose) -> None:
        self.hooks = [name for name in hooks_of(kind) if choose((True, False))]
        self.behaviour = choose((None, None, "computes", "stores", "refuses", "oversized"))
        self.events: list[Events] = []
        #: Where the libraries may show different ones of several equal keys (see `Pair`), equal is enough.
        self.note: Callable[[Any], Any] = repr
        if kind.name in {"LFUCache", "TLRUCache"}:
            self.note = lambda value: value

    def __call__(self, base: Any) -> Any:
        events: Events = []
        self.events.append(events)
        body: dict[str, Any] = {}
        if self.behaviour == "computes":
            body["__missing__"] = missing_that_computes
        elif self.behaviour == "stores":
            body["__missing__"] = missing_that_stores
        elif self.behaviour == "refuses":
            body["popitem"] = popitem_that_refuses_once(base)
        elif self.behaviour == "oversized":
            body["getsizeof"] = oversized
        middle = type(base.__name__, (base,), body)
        return type(base.__name__, (middle,), {name: recorder(middle, name, events, self.note) for name in self.hooks})


def walk(kind: Kind, seed: int) -> None:
    """Perform many operations on two subclasses; after each, the overrides must have seen the same."""
    generator = random.Random(seed)
    operations = operations_for(kind)
    available = [name for name in names(operations) if name not in LEFT_OUT]
    weights = [operations.weights.get(name, 10) for name in available]
    recipe = Recipe(kind, generator.choice)
    caches = operations(kind, generator.choice, subclass=recipe)
    theirs, ours = recipe.events
    performed: list[str] = []
    try:
        for name in generator.choices(available, weights, k=STEPS):
            performed.append(name)
            getattr(caches, name)()
            assert ours == theirs
            caches._compare_without_touching()
            theirs.clear()
            ours.clear()
    except UnsatisfiedAssumption:
        return
    except AssertionError as error:
        error.add_note(f"seed {seed}, hooks {recipe.hooks}, behaviour {recipe.behaviour}, {caches._config}")
        error.add_note(f"after {len(performed)} steps: {' '.join(performed[-20:])}")
        error.add_note(f"calls in cachetools: {theirs}\ncalls in overdrive:  {ours}")
        raise


@pytest.mark.parametrize("batch", range(3))
def test_overrides_see_the_same_calls(kind: Kind, batch: int) -> None:
    walks = settings().max_examples
    for number in range(walks):
        walk(kind, batch * walks + number)


def test_every_hook_takes_part_in_some_walk(kind: Kind) -> None:
    called: set[str] = set()
    for seed in range(60):
        generator = random.Random(seed)
        recipe = Recipe(kind, generator.choice)
        operations = operations_for(kind)
        caches = operations(kind, generator.choice, subclass=recipe)
        for name in generator.choices([name for name in names(operations) if name not in LEFT_OUT], k=100):
            getattr(caches, name)()
        called.update(event[0] for event in recipe.events[1])
    assert called == set(hooks_of(kind))
