"""The rows of decorators.py: decorated functions, how each is called, and what it is compared with."""

from __future__ import annotations

import asyncio
import atexit
import functools
import importlib
import inspect
import itertools
import threading
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import NamedTuple, TypeAlias, cast

import loops
import workload
from contenders import OURS, TTL_SECONDS, Decorator
from feeds import Arguments
from loops import Function, Loop
from operations import SMALL, Cell
from shapes import SHAPES, Shape
from workload import KeyKind

LRU_CACHE, FUNCTION, AWAIT, CACHETOOLS, CACHEBOX = "lru_cache", "function", "await", "cachetools", "cachebox"
# A pass of an asynchronous row enters the event loop once; so many calls make that vanish.
AWAITS = 20

# Makes a decorator, and with it the cache: anew for every build.
Factory: TypeAlias = Callable[[], Decorator]


class Side(NamedTuple):
    """One contender of a row: the loop that is timed, and what makes its subject."""

    loop: Function
    make: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Case:
    """One row.

    Attributes:
        group: the part of the table that it stands in.
        name: what `--only` matches.
        sides: contender -> its part; overdrive is among them.
        kind: the type of the keys.
        unseen: whether every call is a miss that evicts; otherwise every call is a hit.
        repeats: how often a pass goes over the keys.
    """

    group: str
    name: str
    sides: Mapping[str, Side]
    kind: KeyKind = "int"
    unseen: bool = False
    repeats: int = 1

    def prepare(self, contender: str) -> Cell:
        """Build one contender's subject, filled."""
        side = self.sides[contender]
        loop, subject = _synchronous(loops.fresh(side.loop)), side.make()
        loop(subject, workload.resident_keys(self.kind, SMALL))
        return Cell(loop, self._misses(subject) if self.unseen else self._hits(loop, subject))

    def _hits(self, loop: Loop, subject: object) -> Iterator[Arguments]:
        orders = workload.shuffled_orders(self.kind, SMALL)
        before = _info(subject, "misses")
        loop(subject, orders[0])
        if _info(subject, "misses") != before:
            raise OverflowError(f"does not keep {SMALL} results")
        return itertools.cycle([(subject, [*keys] * self.repeats) for keys in orders])

    def _misses(self, subject: object) -> Iterator[Arguments]:
        for keys in workload.unseen_batches(self.kind, SMALL):
            # A cache that postpones evictions would be measured doing less than the others.
            if (_info(subject, "currsize") or 0) > SMALL:
                raise OverflowError(f"keeps more than {SMALL} results")
            yield subject, keys


def cases() -> Sequence[Case]:
    """All rows, in the order of the table."""
    return (*_memoize_rows(), _await_row(), *_cached_rows())


def _memoize_rows() -> Iterator[Case]:
    lru, box = _lru_cache(), _cachebox("LRUCache")
    for name, shape in SHAPES.items():
        yield Case("memoize", name, _sides(shape, _memoize(), lru, box), shape.kind)
    shape = SHAPES["int"]
    typed = _cachebox("LRUCache", key_maker="make_typed_key")
    yield Case("memoize", "typed", _sides(shape, _memoize(typed=True), _lru_cache(typed=True), typed))
    yield Case("memoize", "method", _method_sides(_memoize(), lru))
    # functools has no time to live: overdrive's must cost no more than its lookup without one.
    timed = _cachebox("TTLCache", TTL_SECONDS)
    for name, flight in (("ttl", False), ("ttl-flight", True)):
        yield Case("memoize", name, _sides(shape, _memoize(ttl=TTL_SECONDS, single_flight=flight), lru, timed))
    yield Case("memoize", "miss-evict", _sides(shape, _memoize(), lru, box), unseen=True)
    # The ready-made names, for information.
    yield Case("memoize", "lru_cache", _sides(shape, lambda: _library(OURS).lru_cache(SMALL), lru))
    yield Case("memoize", "cache", _sides(shape, lambda: _library(OURS).cache, lambda: functools.cache))


def _await_row() -> Case:
    sides = {
        OURS: Side(loops.await_call, lambda: _memoize()()(answer)),
        AWAIT: Side(loops.await_bare, lambda: nothing),
        CACHEBOX: Side(loops.await_call, lambda: _cachebox("LRUCache")()(answer)),
    }
    return Case("await", "await", sides, repeats=AWAITS)


def _cached_rows() -> Iterator[Case]:
    for suffix, lock in (("", None), ("-lock", threading.Lock), ("-rlock", threading.RLock)):
        factories: dict[str, Factory] = {name: partial(_cached, name, lock) for name in (OURS, CACHETOOLS)}
        # cachebox takes a lock of its own choice, and computes once, which the others do with a condition only.
        factories[CACHEBOX] = _cachebox("LRUCache", lock=lock is not None)
        yield Case("cached", f"cached{suffix}", _by_factory(factories))
    for policy in ("lru", "ttl"):
        factories = {name: partial(_ready_made, name, f"{policy}_cache") for name in (OURS, CACHETOOLS)}
        yield Case("cached", f"func-{policy}", _by_factory(factories))


# --- contenders ---------------------------------------------------------------------------------


def _memoize(**options: object) -> Factory:
    return lambda: _library(OURS).memoize(SMALL, **options)


def _lru_cache(typed: bool = False) -> Factory:
    return lambda: functools.lru_cache(SMALL, typed)


def _cachebox(policy: str, *extra: object, key_maker: str = "make_key", lock: bool = False) -> Factory:
    def make() -> Decorator:
        library = _library(CACHEBOX)
        cache = getattr(library, policy)(SMALL, *extra)
        # Without a copy of the result: its fastest option, and what the others do.
        decorator: Decorator = library.cached(cache, getattr(library, key_maker), lock=lock, postprocess=None)
        return decorator

    return make


def _cached(library: str, lock: Callable[[], object] | None) -> Decorator:
    module = _library(library)
    decorator: Decorator = module.cached(module.LRUCache(SMALL), lock=lock and lock())
    return decorator


def _ready_made(library: str, name: str) -> Decorator:
    decorator: Decorator = getattr(_library(f"{library}.func"), name)(SMALL)
    return decorator


def _undecorated(function: Function) -> Function:
    return function


def _library(name: str) -> ModuleType:
    # Late and by name, so that one that is not installed is missing in its own rows only.
    return importlib.import_module(name)


# --- subjects -----------------------------------------------------------------------------------


def _sides(shape: Shape, ours: Factory, lru_cache: Factory, cachebox: Factory | None = None) -> Mapping[str, Side]:
    """A row of a native decorator: against lru_cache, and against no decorator at all."""
    factories = {OURS: ours, LRU_CACHE: lru_cache, FUNCTION: lambda: _undecorated}
    if cachebox is not None:
        factories[CACHEBOX] = cachebox
    return _by_factory(factories, shape)


def _by_factory(factories: Mapping[str, Factory], shape: Shape = SHAPES["int"]) -> Mapping[str, Side]:
    return {name: Side(shape.loop, partial(_decorate, make, shape.function)) for name, make in factories.items()}


def _decorate(make: Factory, function: Function) -> Function:
    return make()(function)


def _method_sides(ours: Factory, lru_cache: Factory) -> Mapping[str, Side]:
    factories = {OURS: ours, LRU_CACHE: lru_cache, FUNCTION: lambda: _undecorated}
    return {name: Side(loops.call_method, partial(_service, make)) for name, make in factories.items()}


def _service(make: Factory) -> object:
    decorator = make()

    class Service:
        @decorator
        def find(self, key: Hashable) -> Hashable:
            return key

    return Service()


async def answer(key: Hashable) -> Hashable:
    return key


async def nothing() -> None:
    pass


def _info(subject: object, name: str) -> int | None:
    """A figure of `cache_info()`, where there is one."""
    info = getattr(getattr(subject, "find", subject), "cache_info", None)
    return getattr(info(), name, None) if callable(info) else None


# --- asynchronous rows --------------------------------------------------------------------------


def _synchronous(loop: Function) -> Loop:
    """The loop itself, or what runs it if it is a coroutine function."""
    if not inspect.iscoroutinefunction(loop):
        return cast("Loop", loop)

    def run(function: Callable[..., Awaitable[object]], keys: workload.Keys) -> None:
        _runner().run(loop(function, keys))

    return run


@functools.cache
def _runner() -> asyncio.Runner:
    """One event loop for everything: to make one takes longer than a pass."""
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner
