"""Everything that can be done to a cache, done to one of each library at once.

Each method whose name does not start with an underscore is an operation. `_choose` decides what
comes next, so the same operations serve hypothesis and a seeded generator.
"""

from __future__ import annotations

import copy
import operator
import pickle
import random
from typing import Any, ClassVar

import cachetools

from tests.contracts.kinds import Kind
from tests.equivalence.comparison import Operation, Pair
from tests.strategies import UNHASHABLE, Choose, Config, draw_config

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


class CacheOperations:
    """What every cache class has."""

    #: How often a random walk picks an operation; 10 where not named.
    weights: ClassVar[dict[str, int]] = {
        "setitem": 60,
        "getitem": 30,
        "delete": 15,
        "clear": 2,
        "deepcopy": 2,
        "initialise": 1,
        "pickle_round_trip": 2,
        "unhashable": 3,
    }

    def __init__(self, kind: Kind, choose: Choose, subclass: Any = lambda base: base) -> None:
        self._kind = kind
        self._choose = choose
        self._config = draw_config(kind, choose)
        self._pair = Pair(
            theirs=subclass(getattr(cachetools, kind.name))(**self._config.arguments(kind)),
            ours=subclass(kind.cls)(**self._config.arguments(kind)),
            draws=self._draws,
            equal_keys_are_one=kind.name in {"LFUCache", "TLRUCache"},
        )

    @property
    def _draws(self) -> bool:
        return self._kind.name == "RRCache" and self._config.choice in {None, random.choice}

    def _agree(self, operation: Operation) -> None:
        self._pair.agree(operation)

    def _key(self) -> Any:
        return self._choose(self._config.keys)

    def _value(self) -> Any:
        return self._choose(self._config.values)

    def _items(self) -> list[tuple[Any, Any]]:
        return [(self._key(), self._value()) for _ in range(self._choose((0, 1, 2, 5)))]

    def _compare_without_touching(self) -> None:
        """Compare what can be seen without expiring or touching anything that the next operation finds."""
        # list(cache) would ask for the length first, and that expires.
        self._agree(lambda cache: list(iter(cache)))
        if not self._kind.timed:
            self._agree(lambda cache: f"{cache!r} {len(cache)} {cache.currsize!r}")
        self._pair.ours._check()

    def setitem(self) -> None:
        key, value = self._key(), self._value()
        self._agree(lambda cache: operator.setitem(cache, key, value))

    def getitem(self) -> None:
        key = self._key()
        self._agree(lambda cache: cache[key])

    def get(self) -> None:
        key, default = self._key(), self._value()
        self._agree(lambda cache: (cache.get(key), cache.get(key, default), cache.get(key=key, default=default)))

    def contains(self) -> None:
        key = self._key()
        self._agree(lambda cache: key in cache)

    def delete(self) -> None:
        key = self._key()
        self._agree(lambda cache: operator.delitem(cache, key))

    def pop(self) -> None:
        key = self._key()
        self._agree(lambda cache: cache.pop(key))

    def pop_with_default(self) -> None:
        key, default = self._key(), self._value()
        self._agree(lambda cache: cache.pop(key, default))
        self._agree(lambda cache: cache.pop(key=key, default=default))

    def popitem(self) -> None:
        self._agree(lambda cache: cache.popitem())

    def setdefault(self) -> None:
        key, value = self._key(), self._value()
        self._agree(lambda cache: cache.setdefault(key, value))

    def setdefault_to_none(self) -> None:
        key = self._key()
        self._agree(lambda cache: cache.setdefault(key))

    def update_from_pairs(self) -> None:
        items = self._items()
        self._agree(lambda cache: cache.update(items))

    def update_from_mapping(self) -> None:
        items = dict(self._items())
        self._agree(lambda cache: cache.update(items))

    def update_from_keywords(self) -> None:
        if "a" in self._config.keys:
            value = self._value()
            self._agree(lambda cache: cache.update((), a=value, b=value))

    def clear(self) -> None:
        self._agree(lambda cache: cache.clear())

    def measure(self) -> None:
        self._agree(lambda cache: f"{len(cache)} {bool(cache)} {cache.currsize!r} {cache.maxsize!r}")

    def list_keys(self) -> None:
        self._agree(list)

    def currsize(self) -> None:
        self._agree(lambda cache: repr(cache.currsize))

    def show(self) -> None:
        self._agree(repr)

    def views(self) -> None:
        key, value = self._key(), self._value()
        self._agree(lambda cache: list(cache.keys()))
        self._agree(lambda cache: list(cache.items()))
        self._agree(lambda cache: list(cache.values()))
        self._agree(lambda cache: value in cache.values())
        self._agree(lambda cache: (key, value) in cache.items())
        self._agree(lambda cache: (len(cache.items()), len(cache.keys() & set(self._config.keys))))

    def compare(self) -> None:
        self._agree(lambda cache: (cache == dict(cache.items()), cache == {}, cache == 1, cache != []))
        assert self._pair.ours == self._pair.theirs
        assert self._pair.theirs == self._pair.ours

    def size_of(self) -> None:
        value = self._value()
        self._agree(lambda cache: cache.getsizeof(value))

    def unhashable(self) -> None:
        key, value = self._choose(UNHASHABLE), self._value()
        self._agree(len)  # so that nothing is left that cachetools would expire before it sees the key
        self._agree(lambda cache: cache.get(key))
        self._agree(lambda cache: operator.setitem(cache, key, value))

    def pickle_round_trip(self) -> None:
        protocol = self._choose(PROTOCOLS)
        self._pair.replace(lambda cache: pickle.loads(pickle.dumps(cache, protocol)))

    def deepcopy(self) -> None:
        self._pair.replace(copy.deepcopy)

    def initialise(self) -> None:
        config = draw_config(self._kind, self._choose)
        # cachetools keeps an earlier getsizeof unless it is given a new one.
        sizes = (config.sizes or (1, 2)) if self._config.sizes else None
        self._config = Config(**{**vars(config), "sizes": sizes})
        self._pair.draws = self._draws
        self._agree(lambda cache: cache.__init__(**self._config.arguments(self._kind)))


class TimedOperations(CacheOperations):
    """What the classes whose items expire add."""

    weights: ClassVar[dict[str, int]] = {**CacheOperations.weights, "tick": 80, "thaw": 20}

    _frozen = 0

    def _step(self) -> Any:
        return self._choose(self._config.steps)

    def tick(self) -> None:
        step = self._step()
        self._agree(lambda cache: cache.timer.tick(step))

    def expire(self) -> None:
        self._agree(lambda cache: cache.expire())

    def expire_at(self) -> None:
        step = self._step()
        self._agree(lambda cache: cache.expire(cache.timer() + step))
        self._agree(lambda cache: cache.expire(time=cache.timer() + step))

    def now(self) -> None:
        self._agree(lambda cache: (cache.timer(), cache.timer.now))

    def freeze(self) -> None:
        if self._frozen < 3:
            self._agree(lambda cache: cache.timer.__enter__())
            self._frozen += 1

    def thaw(self) -> None:
        if self._frozen > 0:
            self._agree(lambda cache: cache.timer.__exit__(None, None, None))
            self._frozen -= 1

    def pickle_round_trip(self) -> None:
        super().pickle_round_trip()
        self._frozen = 0

    def deepcopy(self) -> None:
        super().deepcopy()
        self._frozen = 0

    def initialise(self) -> None:
        super().initialise()
        self._frozen = 0


def operations_for(kind: Kind) -> type[CacheOperations]:
    """Return the operations that the class has."""
    return TimedOperations if kind.timed else CacheOperations


def names(operations: type[CacheOperations]) -> list[str]:
    """Return the names of all operations."""
    return [name for name in dir(operations) if not name.startswith("_") and name != "weights"]
