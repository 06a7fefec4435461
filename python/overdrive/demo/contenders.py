"""The ways to serve a request that are compared: no cache, cachetools, overdrive.

cachetools is not thread-safe; its documentation asks for a lock around it, and that is how a server uses it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from threading import Lock
from types import ModuleType
from typing import NamedTuple

import overdrive

__all__ = ("BASELINE", "Contender", "Handler", "Serve", "contenders", "find_cachetools", "shuffled")

# From the number of a product to its page: the backend alone, and the backend behind a cache.
Serve = Callable[[int], bytes]

BASELINE = "no cache"


class Handler(NamedTuple):
    """One cache put before a backend."""

    serve: Serve
    # All of a sequence of requests in a row, so that nothing but the cache and a loop is timed.
    replay: Callable[[Sequence[int]], None]


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to serve requests; `build(load, maxsize)` makes a fresh cache before the backend `load`."""

    name: str
    package: str | None
    build: Callable[[Serve, int], Handler]


def find_cachetools() -> ModuleType | None:
    """The package compared with, if it is installed."""
    try:
        return importlib.import_module("cachetools")
    except ImportError:
        return None


def contenders() -> list[Contender]:
    """All that can run here, the one without a cache first."""
    theirs = find_cachetools()
    found = [Contender(BASELINE, None, _uncached)]
    if theirs is not None:
        found += [
            Contender("cachetools.cached + Lock", "cachetools", partial(_decorated_locked, theirs)),
            Contender("cachetools.cached, no Lock", "cachetools", partial(_decorated, theirs)),
            Contender("cachetools.LRUCache + Lock", "cachetools", partial(_mapping_locked, theirs)),
        ]
    return [
        *found,
        Contender("overdrive.cached", "overdrive", partial(_decorated, overdrive)),
        Contender("overdrive.memoize", "overdrive", _memoized),
        Contender("overdrive.LRUCache", "overdrive", partial(_mapping, overdrive)),
    ]


def shuffled(contenders: Sequence[Contender], turn: int) -> list[Contender]:
    """An order for a turn: by chance, so that nobody always follows the same one; alike in every run."""
    return Random(turn).sample(contenders, len(contenders))


def _uncached(load: Serve, _: int) -> Handler:
    return Handler(load, partial(_call_each, load))


def _decorated(package: ModuleType, load: Serve, maxsize: int) -> Handler:
    serve = package.cached(package.LRUCache(maxsize))(load)
    return Handler(serve, partial(_call_each, serve))


def _decorated_locked(package: ModuleType, load: Serve, maxsize: int) -> Handler:
    serve = package.cached(package.LRUCache(maxsize), lock=Lock())(load)
    return Handler(serve, partial(_call_each, serve))


def _memoized(load: Serve, maxsize: int) -> Handler:
    serve = overdrive.memoize(maxsize)(load)
    return Handler(serve, partial(_call_each, serve))


def _mapping(package: ModuleType, load: Serve, maxsize: int) -> Handler:
    cache = package.LRUCache(maxsize)

    def serve(product: int) -> bytes:
        page: bytes | None = cache.get(product)
        if page is None:
            page = cache[product] = load(product)
        return page

    def replay(requests: Sequence[int]) -> None:
        for product in requests:
            if cache.get(product) is None:
                cache[product] = load(product)

    return Handler(serve, replay)


def _mapping_locked(package: ModuleType, load: Serve, maxsize: int) -> Handler:
    cache = package.LRUCache(maxsize)
    lock = Lock()

    def serve(product: int) -> bytes:
        with lock:
            page: bytes | None = cache.get(product)
        if page is None:
            page = load(product)
            with lock:
                cache[product] = page
        return page

    def replay(requests: Sequence[int]) -> None:
        for product in requests:
            with lock:
                page = cache.get(product)
            if page is None:
                page = load(product)
                with lock:
                    cache[product] = page

    return Handler(serve, replay)


def _call_each(serve: Serve, requests: Sequence[int]) -> None:
    for product in requests:
        serve(product)
