"""The libraries that are compared, each behind one adapter that says how to construct its caches.

Adapters end where the timed loop begins: the loop gets the library's own object, never a wrapper.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import platform
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Literal, NamedTuple, TypeAlias

Form: TypeAlias = Literal["mapping", "call", "methods"]
Decorator: TypeAlias = Callable[[Callable[..., object]], Callable[..., object]]

CLASSES = ("Cache", "FIFO", "LRU", "LFU", "RR", "TTL", "TLRU")
# Long enough that nothing expires while it is measured.
TTL_SECONDS = 3600.0
OURS = "overdrive"
DEFAULT = (OURS, "dict", "lru_cache", "cachetools", "cachebox")


class Recipe(NamedTuple):
    """How to construct one class of one library."""

    type: Callable[..., object]
    extra: tuple[object, ...] = ()
    sized: bool = True

    def arguments(self, maxsize: float) -> tuple[object, ...]:
        """The positional arguments for a cache of this size."""
        return (maxsize, *self.extra) if self.sized else self.extra


@dataclass(frozen=True, slots=True)
class Contender:
    """One library, as the operations see it.

    Attributes:
        form: what its caches look like: a mapping, a function `f(k)`, or `get` and `set` methods.
        recipes: class name -> how to construct it; the classes that it does not have are absent.
        bounded: whether it evicts; a dict does not.
        getsizeof: what to pass as `getsizeof`; None if it has no weights.
        hooks: whether overriding `__getitem__`, `popitem` or `__missing__` has cachetools' meaning.
        cached: makes the decorator that stores results in a given cache.
        func: (class name, maxsize) -> the ready-made decorator, as in `cachetools.func`.
    """

    name: str
    version: str
    form: Form
    recipes: Mapping[str, Recipe]
    bounded: bool = True
    getsizeof: Callable[..., int] | None = None
    hooks: bool = False
    cached: Callable[[object], Decorator] | None = None
    func: Mapping[str, Callable[[int], Decorator]] = field(default_factory=dict)

    def build(self, policy: str, maxsize: float) -> object:
        """Construct an empty cache."""
        recipe = self.recipes[policy]
        return recipe.type(*recipe.arguments(maxsize))


def load(names: Sequence[str]) -> tuple[list[Contender], list[str]]:
    """Return the contenders that are installed, and the names of those that are not."""
    found, missing = [], []
    for name in names:
        try:
            found.append(LOADERS[name]())
        except ModuleNotFoundError:
            missing.append(name)
    return found, missing


def identity(key: Hashable) -> Hashable:
    return key


def weigh_value(value: bytes) -> int:
    return len(value)


def weigh_item(_: Hashable, value: bytes) -> int:
    return len(value)


def use_until(_key: Hashable, _value: object, now: float) -> float:
    return now + TTL_SECONDS


def _like_cachetools(module: str) -> Contender:
    library = importlib.import_module(module)
    extra: Mapping[str, tuple[object, ...]] = {"TTL": (TTL_SECONDS,), "TLRU": (use_until,)}
    return Contender(
        name=module,
        version=importlib.metadata.version(module),
        form="mapping",
        recipes={name: Recipe(_class(library, name), extra.get(name, ())) for name in CLASSES},
        getsizeof=weigh_value,
        hooks=True,
        cached=getattr(library, "cached", None),
        func=_ready_made(f"{module}.func"),
    )


def _ready_made(module: str) -> Mapping[str, Callable[[int], Decorator]]:
    try:
        func = importlib.import_module(module)
    except ModuleNotFoundError:
        return {}
    names = ("FIFO", "LRU", "LFU", "RR", "TTL")
    return {name: getattr(func, f"{name.lower()}_cache") for name in names}


def _cachebox() -> Contender:
    library = importlib.import_module("cachebox")
    # No TLRU: its VTTLCache takes a time to live per call of `insert`, not a function.
    names = [name for name in CLASSES if name != "TLRU"]
    extra: Mapping[str, tuple[object, ...]] = {"TTL": (TTL_SECONDS,)}
    return Contender(
        name="cachebox",
        version=importlib.metadata.version("cachebox"),
        form="mapping",
        recipes={name: Recipe(_class(library, name), extra.get(name, ())) for name in names},
        getsizeof=weigh_item,
        # Its fastest options: no lock per key, no copy of the result.
        cached=functools.partial(library.cached, lock=None, postprocess=None),
    )


def _dict() -> Contender:
    return Contender(
        name="dict",
        version=platform.python_version(),
        form="mapping",
        recipes=dict.fromkeys(CLASSES, Recipe(dict, sized=False)),
        bounded=False,
    )


def _lru_cache() -> Contender:
    def bounded(maxsize: int) -> Callable[[Hashable], Hashable]:
        return functools.lru_cache(maxsize)(identity)

    return Contender(
        name="lru_cache",
        version=platform.python_version(),
        form="call",
        recipes={"LRU": Recipe(bounded)},
        func={"LRU": functools.lru_cache},
    )


def _single(name: str, distribution: str, module: str, cls: str, form: Form) -> Contender:
    library = importlib.import_module(module)
    version = importlib.metadata.version(distribution)
    return Contender(name, version, form, {"LRU": Recipe(getattr(library, cls))})


def _class(library: ModuleType, name: str) -> Callable[..., object]:
    cls: Callable[..., object] = getattr(library, name if name == "Cache" else f"{name}Cache")
    return cls


# The last three run only when they are asked for: theine and moka-py are adaptive, not LRU, and
# lru-dict can crash the process.
LOADERS: Mapping[str, Callable[[], Contender]] = {
    OURS: functools.partial(_like_cachetools, OURS),
    "dict": _dict,
    "lru_cache": _lru_cache,
    "cachetools": functools.partial(_like_cachetools, "cachetools"),
    "cachebox": _cachebox,
    "lru-dict": functools.partial(_single, "lru-dict", "lru-dict", "lru", "LRU", "mapping"),
    "theine": functools.partial(_single, "theine", "theine", "theine", "Cache", "methods"),
    "moka-py": functools.partial(_single, "moka-py", "moka-py", "moka_py", "Moka", "methods"),
}
