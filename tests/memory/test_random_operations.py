"""Random operations on a `MemoryCache`, next to a model that is too simple to be wrong.

What a policy evicts is its own affair, except for LRU and FIFO, whose order the model knows. For all of them:
what is live is what was set and not told to have left, each item leaves once, for a reason that the model
allows, and the limits hold.
"""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from overdrive import CacheFullError, MemoryCache
from overdrive.testing import FakeClock
from tests.memory.policies import POLICIES, Telling

KEYS = st.sampled_from(["a", "b", "c", "d", "e", "f", 1, 2.5, ("t", 1), None])
WEIGHTS = st.integers(0, 4)
TTLS = st.sampled_from([None, None, 0.25, 1, 2, 7.5, 60, math.inf, 0, -1])
TAGS = st.sampled_from([None, "x", "y", ("x", "y"), ("y", "z", "y"), ()])
NAMES = ("x", "y", "z", "never")
_NOTHING: Any = object()


def weigh(key: object, value: Any) -> int:
    """Values are pairs of a serial number and a weight."""
    return int(value[1])


@dataclass
class Record:
    """What the model knows of an item."""

    value: Any
    deadline: float
    hard: float
    tags: frozenset[str]
    pinned: bool = False
    stale: bool = field(default=False)


class Machine(RuleBasedStateMachine):
    """The cache, the model, and what both go through."""

    @initialize(
        policy=st.sampled_from(POLICIES),
        maxsize=st.sampled_from([1, 2, 3, 5, 8, 100, None]),
        weighed=st.booleans(),
        ttl=st.sampled_from([None, None, 3, 10]),
        idle=st.sampled_from([None, None, 2, 5]),
    )
    def begin(self, policy: str, maxsize: int | None, weighed: bool, ttl: float | None, idle: float | None) -> None:
        self.clock = FakeClock(100.0)
        self.listener = Telling()
        self.ttl = math.inf if ttl is None else ttl
        self.idle = math.inf if idle is None else idle
        self.weighed = weighed
        self.serial = 0
        self.records: dict[Any, Record] = {}
        #: What is not pinned, the next to leave first: for policies whose order is known.
        self.order: list[Any] = []
        self.is_ordered = policy in {"lru", "fifo"}
        self.counts_uses = policy == "lru"
        self.cache: MemoryCache[Any, Any] = MemoryCache(
            maxsize,
            policy=policy,
            ttl=ttl,
            idle=idle,
            weigher=weigh if weighed else None,
            on_evict=self.listener,
            clock=self.clock,
        )

    # --- the model ----------------------------------------------------------------------------------

    def is_live(self, key: Any) -> bool:
        record = self.records.get(key)
        return record is not None and not record.stale and self.clock() < record.deadline

    def weight(self, value: Any) -> int:
        return weigh(None, value) if self.weighed else 1

    def used(self, key: Any) -> None:
        record = self.records[key]
        record.deadline = min(record.hard, max(record.deadline, self.clock() + self.idle))
        if self.counts_uses:
            self.renew(key)

    def renew(self, key: Any) -> None:
        if not self.records[key].pinned:
            self.order.remove(key)
            self.order.append(key)

    def heard(self, *, but: Any = _NOTHING, allowed: frozenset[str] = frozenset()) -> None:
        """Take what the listener was told out of the model; all but one item needs a reason to leave."""
        for key, value, cause in self.listener.take():
            record = self.records.pop(key)
            assert record.value == value
            if cause == "expired":
                assert record.deadline <= self.clock()
            elif cause == "deleted":
                assert record.stale or "deleted" in allowed
            elif cause == "replaced":
                assert key == but
                assert "replaced" in allowed
            else:
                assert cause == "size"
                assert not record.pinned
                assert "size" in allowed
                if self.is_ordered:
                    assert self.order[0] == key
            if not record.pinned:
                self.order.remove(key)

    def expected(self) -> dict[Any, Any]:
        return {key: record.value for key, record in self.records.items() if self.is_live(key)}

    def new_value(self, weight: int) -> Any:
        self.serial += 1
        return (self.serial, weight)

    def stored(self, key: Any, value: Any, ttl: float | None, tags: Any, *, pinned: bool) -> None:
        """Follow what storing did: the listener was told what it replaced, unless that was dead."""
        names = (tags,) if isinstance(tags, str) else tags or ()
        lives = self.ttl if ttl is None else ttl
        hard = self.clock() + lives
        if lives <= 0:
            return
        record = Record(value, min(hard, self.clock() + self.idle), hard, frozenset(names), pinned)
        self.records[key] = record
        if not pinned:
            self.order.append(key)

    # --- operations ---------------------------------------------------------------------------------

    @rule(key=KEYS, weight=WEIGHTS, ttl=TTLS, tags=TAGS)
    def set(self, key: Any, weight: int, ttl: float | None, tags: Any) -> None:
        value = self.new_value(weight)
        was_pinned = self.is_live(key) and self.records[key].pinned
        before = self.expected()
        try:
            if ttl is None and tags is None:
                self.cache[key] = value
            else:
                self.cache.set(key, value, ttl=ttl, tags=tags)
        except ValueError as error:
            self.heard()
            assert self.expected() == before
            if isinstance(error, CacheFullError):
                pins = sum(
                    self.weight(record.value)
                    for other, record in self.records.items()
                    if record.pinned and other != key and self.is_live(other)
                )
                assert pins + self.weight(value) > self.cache.maxsize
            else:
                assert self.weight(value) > self.cache.maxsize
            return
        self.heard(but=key, allowed=frozenset({"replaced", "size"}))
        kept_nothing = self.cache.maxsize == 0 and key not in before and self.weight(value) > 0
        if not kept_nothing:
            self.stored(key, value, ttl, tags, pinned=was_pinned)

    @rule(key=KEYS)
    def get(self, key: Any) -> None:
        expected = self.expected().get(key)
        assert self.cache.get(key) == expected
        if self.is_live(key):
            self.used(key)
            assert self.cache[key] == expected
            assert self.cache.get_many([key]) == {key: expected}
        else:
            assert self.cache.get_many([key]) == {}
        self.heard()

    @rule(key=KEYS)
    def look(self, key: Any) -> None:
        expected = self.expected()
        assert self.cache.peek(key) == expected.get(key)
        assert (key in self.cache) == (key in expected)
        if key in expected:
            record = self.records[key]
            assert self.cache.remaining_ttl(key) == record.deadline - self.clock()
            assert set(self.cache.tags(key)) == record.tags
            assert self.cache.is_pinned(key) == record.pinned
        self.heard()

    @rule(key=KEYS, how=st.sampled_from(["pop", "del", "delete", "delete_many"]))
    def delete(self, key: Any, how: str) -> None:
        live = self.is_live(key)
        value = self.expected().get(key)
        if how == "pop":
            assert self.cache.pop(key, None) == value
        elif how == "delete":
            assert self.cache.delete(key) is live
        elif how == "delete_many":
            assert self.cache.delete_many([key]) == live
        elif live:
            del self.cache[key]
        else:
            with pytest.raises(KeyError):
                del self.cache[key]
        self.heard(allowed=frozenset({"deleted"}))
        assert not live or key not in self.records

    @rule()
    def popitem(self) -> None:
        free = [key for key in self.order if self.is_live(key)]
        if free:
            key, value = self.cache.popitem()
            assert self.expected()[key] == value
            assert key in free
            if self.is_ordered:
                assert key == free[0]
        else:
            with pytest.raises(KeyError):
                self.cache.popitem()
        self.heard(allowed=frozenset({"deleted"}))

    @rule(key=KEYS, weight=WEIGHTS)
    def setdefault(self, key: Any, weight: int) -> None:
        value = self.new_value(weight)
        present = self.expected().get(key)
        try:
            got = self.cache.setdefault(key, value)
        except ValueError:
            self.heard()
            assert present is None
            return
        self.heard(allowed=frozenset({"size"}))
        if present is not None:
            assert got == present
            self.used(key)
        else:
            assert got == value
            if self.cache.maxsize > 0 or self.weight(value) == 0:
                self.stored(key, value, None, None, pinned=False)

    @rule(key=KEYS, weight=WEIGHTS, ttl=TTLS, tags=TAGS, outdate=st.booleans())
    def load(self, key: Any, weight: int, ttl: float | None, tags: Any, outdate: bool) -> None:
        value = self.new_value(weight)
        present = self.expected().get(key)

        def loader(asked: Any) -> Any:
            assert asked == key
            if outdate:
                self.cache.delete(key)
            return value

        got = self.cache.get_or_load(key, loader, ttl=ttl, tags=tags)
        self.heard(allowed=frozenset({"size"}))
        if present is not None:
            assert got == present
            self.used(key)
            return
        assert got == value
        if self.cache.peek(key) == value:
            assert not outdate
            self.stored(key, value, ttl, tags, pinned=False)

    @rule(key=KEYS, ttl=TTLS)
    def touch(self, key: Any, ttl: float | None) -> None:
        live = self.is_live(key)
        assert self.cache.touch(key, ttl=ttl) is live
        if live:
            record = self.records[key]
            lives = self.ttl if ttl is None else ttl
            if lives <= 0:
                record.deadline = -math.inf
            else:
                record.hard = self.clock() + lives
                record.deadline = min(record.hard, self.clock() + self.idle)
            if self.counts_uses:
                self.renew(key)
        self.heard()

    @rule(key=KEYS)
    def pin(self, key: Any) -> None:
        live = self.is_live(key)
        assert self.cache.pin(key) is live
        if live and not self.records[key].pinned:
            self.records[key].pinned = True
            self.order.remove(key)
        self.heard()

    @rule(key=KEYS)
    def unpin(self, key: Any) -> None:
        pinned = self.is_live(key) and self.records[key].pinned
        assert self.cache.unpin(key) is pinned
        if pinned:
            self.records[key].pinned = False
            self.order.append(key)
        self.heard(allowed=frozenset({"size"}))

    @rule(name=st.sampled_from(NAMES))
    def invalidate(self, name: str) -> None:
        there = {key for key in self.expected() if name in self.records[key].tags}
        assert self.cache.invalidate_tag(name) >= len(there)
        for record in self.records.values():
            record.stale |= name in record.tags
        self.heard()

    @rule(maxsize=st.sampled_from([0, 1, 2, 3, 5, 8, 100, None]))
    def resize(self, maxsize: int | None) -> None:
        before = len(self.expected())
        evicted = self.cache.resize(maxsize)
        self.heard(allowed=frozenset({"size"}))
        assert evicted == before - len(self.expected())

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.heard(allowed=frozenset({"deleted"}))
        assert self.records == {}

    @rule()
    def expire(self) -> None:
        expired = [key for key, record in self.records.items() if record.deadline <= self.clock()]
        assert self.cache.expire() == len(expired)
        self.heard()
        assert self.records.keys() == self.expected().keys()

    @rule(seconds=st.sampled_from([0.0001, 0.25, 0.25, 0.5, 1, 1, 2, 5, 100, 1e5]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([0.0001, 0.25, 1, 50]))
    def set_back(self, seconds: float) -> None:
        self.clock.set(self.clock() - seconds)

    @precondition(lambda self: len(self.records) > 1)
    @rule(how=st.sampled_from(["copy", "deepcopy", "pickle"]))
    def compare_with_copy(self, how: str) -> None:
        if how == "copy":
            new = copy.copy(self.cache)
        elif how == "deepcopy":
            new = copy.deepcopy(self.cache)
        else:
            new = pickle.loads(pickle.dumps(self.cache))
        new._check()
        assert dict(new.items()) == self.expected()
        for key in new:
            # Setting counts as a use, by a clock that may have been set back.
            assert new.remaining_ttl(key) >= min(self.cache.remaining_ttl(key), self.idle)
            assert new.tags(key) == self.cache.tags(key)
            assert new.is_pinned(key) == self.cache.is_pinned(key)
        assert new.currsize == sum(map(self.weight, self.expected().values()))
        self.heard()

    # --- always -------------------------------------------------------------------------------------

    @invariant()
    def cache_is_sound(self) -> None:
        self.cache._check()

    @invariant()
    def what_is_live_is_as_expected(self) -> None:
        expected = self.expected()
        assert dict(self.cache.items()) == expected
        ranked = self.cache.coldest()
        assert dict(ranked) == expected
        assert len(ranked) == len(expected)
        if self.is_ordered:
            free = [key for key in self.order if key in expected]
            assert [key for key, _ in ranked][: len(free)] == free

    @invariant()
    def limits_hold(self) -> None:
        length, size = len(self.cache), self.cache.currsize
        self.heard()  # what has expired
        expected = self.expected()
        assert length == len(expected)
        assert size == sum(map(self.weight, expected.values()))
        assert size <= self.cache.maxsize or all(map(self.cache.is_pinned, expected))


TestModel = Machine.TestCase
