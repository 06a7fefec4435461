"""Subjects: the objects that the timed loops work on, made by one contender for one class."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeAlias, cast

import loops
import workload
from contenders import Contender, Form, identity


class Subject(NamedTuple):
    """What a loop works on, and which form of the loop fits it."""

    form: Form
    object: object


Maker: TypeAlias = Callable[[Contender, str, int], Subject | None]


def cache(contender: Contender, policy: str, entries: int) -> Subject | None:
    """A cache that holds just the resident keys."""
    if policy not in contender.recipes:
        return None
    return Subject(contender.form, contender.build(policy, entries))


def bounded_cache(contender: Contender, policy: str, entries: int) -> Subject | None:
    """A cache of a library that evicts."""
    return cache(contender, policy, entries) if contender.bounded else None


def weighted_cache(contender: Contender, policy: str, entries: int) -> Subject | None:
    """A cache whose size is the sum of its entries' weights."""
    if policy not in contender.recipes or contender.getsizeof is None:
        return None
    recipe = contender.recipes[policy]
    maxsize = int(entries * workload.MEAN_WEIGHT)
    return Subject("mapping", recipe.type(*recipe.arguments(maxsize), getsizeof=contender.getsizeof))


def hooked_cache(hook: str) -> Maker:
    """Make an instance of a subclass that overrides one method, as users of cachetools do."""

    def make(contender: Contender, policy: str, entries: int) -> Subject | None:
        if policy not in contender.recipes or not contender.hooks:
            return None
        recipe = contender.recipes[policy]
        base = cast("type[loops.Cache]", recipe.type)

        def getitem(self: loops.Cache, key: Hashable) -> object:
            return base.__getitem__(self, key)

        def popitem(self: loops.Cache) -> tuple[Hashable, object]:
            return base.popitem(self)

        def missing(_self: loops.Cache, key: Hashable) -> object:
            return key

        override = {"__getitem__": getitem, "popitem": popitem, "__missing__": missing}[hook]
        subclass = type("Hooked", (base,), {hook: override})
        return Subject("mapping", subclass(*recipe.arguments(entries)))

    return make


def cached_function(contender: Contender, policy: str, entries: int) -> Subject | None:
    """A function behind `cached(cache)`."""
    if contender.name == "lru_cache" and policy == "LRU":
        return Subject("call", contender.func[policy](entries)(one_or_two))
    if policy not in contender.recipes or contender.cached is None:
        return None
    return Subject("call", contender.cached(contender.build(policy, entries))(one_or_two))


def ready_made_function(contender: Contender, policy: str, entries: int) -> Subject | None:
    """A function behind a decorator that brings its own cache and lock, as in `cachetools.func`."""
    if policy not in contender.func:
        return None
    return Subject("call", contender.func[policy](entries)(identity))


def constructor(contender: Contender, policy: str, entries: int) -> Subject | None:
    """The class itself, with the arguments for one instance."""
    if policy not in contender.recipes or contender.form != "mapping":
        return None
    recipe = contender.recipes[policy]
    return Subject("mapping", (recipe.type, recipe.arguments(entries)))


def one_or_two(key: Hashable, option: Hashable = None) -> Hashable:
    return option or key
