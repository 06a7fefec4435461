"""A `MemoryCache` under every policy against a dictionary with deadlines, tags, pins and weights.

What is evicted is the policy's business; so the model learns of evictions from the listener, and checks that
nothing else goes missing: what listeners were told and what is live are all that was ever set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from overdrive import CacheFullError, MemoryCache
from tests.memory.conftest import POLICIES

KEYS = st.integers(0, 11)
TAGS = st.frozensets(st.sampled_from("xyz"), max_size=2)
TTLS = st.sampled_from([None, None, None, 3.0, 8.0, math.inf, 0.0])


@dataclass
class Kept:
    """An item of the model."""

    value: int
    hard: float
    deadline: float
    tags: frozenset[str]
    pinned: bool = False


def weigh(_key: object, value: int) -> int:
    """From 0 to 3."""
    return value % 4


class Model(RuleBasedStateMachine):
    """The cache and the dictionary side by side."""

    policy = "lru"

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.serial = 0
        self.items: dict[int, Kept] = {}
        self.order: list[int] = []  # from the coldest to the hottest, for LRU and FIFO
        self.told: list[tuple[int, int, str]] = []
        self.expected: list[tuple[int, int, str]] = []
        self.cache: MemoryCache[int, int]

    @initialize(
        maxsize=st.integers(0, 8),
        weighed=st.booleans(),
        ttl=st.sampled_from([None, 10.0]),
        idle=st.sampled_from([None, None, 4.0]),
    )
    def begin(self, maxsize: int, weighed: bool, ttl: float | None, idle: float | None) -> None:
        self.maxsize, self.weighed = maxsize, weighed
        self.ttl, self.idle = ttl or math.inf, idle or math.inf
        self.cache = MemoryCache(
            maxsize,
            policy=self.policy,
            ttl=ttl,
            idle=idle,
            weigher=weigh if weighed else None,
            on_evict=lambda key, value, cause: self.told.append((key, value, cause)),
            clock=lambda: self.now,
        )

    def weight(self, value: int) -> int:
        return weigh(None, value) if self.weighed else 1

    def is_live(self, key: int) -> bool:
        return key in self.items and self.now < self.items[key].deadline

    def drop(self, key: int) -> None:
        del self.items[key]
        if key in self.order:
            self.order.remove(key)

    def used(self, key: int) -> None:
        item = self.items[key]
        item.deadline = min(item.hard, self.now + self.idle)
        if self.policy == "lru" and not item.pinned:
            self.order.remove(key)
            self.order.append(key)

    def catch_up(self) -> None:
        """Take out what the listener was told; check that there was a reason."""
        for key, value, cause in self.told:
            item = self.items.get(key)
            if item is None or item.value != value:
                assert (key, value, cause) in self.expected, (key, value, cause)
                self.expected.remove((key, value, cause))
                continue
            if cause == "size":
                assert not item.pinned
                if self.policy == "lru":
                    assert key == self.order[0], (key, self.order)
            else:
                assert cause == "expired"
                assert item.deadline <= self.now
            self.drop(key)
        assert not self.expected
        self.told.clear()

    def expect(self, key: int, cause: str) -> None:
        """Say what must be told in this step."""
        self.expected.append((key, self.items[key].value, cause))
        self.drop(key)

    @rule(key=KEYS, ttl=TTLS, tags=TAGS)
    def set(self, key: int, ttl: float | None, tags: frozenset[str]) -> None:
        self.expected = []
        self.serial += 1
        value = self.serial
        live = self.is_live(key)
        pinned = live and self.items[key].pinned
        beside = sum(
            self.weight(item.value)
            for other, item in self.items.items()
            if item.pinned and self.is_live(other) and other != key
        )
        before = dict(self.cache.items())
        try:
            self.cache.set(key, value, ttl=ttl, tags=tags)
        except CacheFullError:
            assert beside + self.weight(value) > self.maxsize
            assert dict(self.cache.items()) == before
            self.catch_up()
            return
        except ValueError:
            assert self.weight(value) > self.maxsize > 0
            assert dict(self.cache.items()) == before
            self.catch_up()
            return
        assert beside + self.weight(value) <= self.maxsize or self.maxsize == 0
        gone = [cause for told, _, cause in self.told if told == key]
        place = self.order.index(key) if live and key in self.order else None
        if live and "replaced" in gone:
            self.expect(key, "replaced")
        self.catch_up()
        hard = self.now + (self.ttl if ttl is None else ttl)
        if hard > self.now and self.weight(value) <= self.maxsize:
            assert self.cache.peek(key) == value
            keeps_pin = pinned and "replaced" in gone
            self.items[key] = Kept(value, hard, min(hard, self.now + self.idle), tags, keeps_pin)
            if not keeps_pin:
                if self.policy == "fifo" and place is not None and "replaced" in gone:
                    at = [other for other in self.cache if other in self.order or other == key].index(key)
                    self.order.insert(at, key)
                else:
                    self.order.append(key)
        else:
            assert key not in self.cache

    @rule(key=KEYS)
    def get(self, key: int) -> None:
        assert self.cache.get(key) == (self.items[key].value if self.is_live(key) else None)
        if self.is_live(key):
            self.used(key)

    @rule(key=KEYS)
    def peek(self, key: int) -> None:
        live = self.is_live(key)
        assert self.cache.peek(key) == (self.items[key].value if live else None)
        assert (key in self.cache) == live
        assert self.cache.is_pinned(key) == (live and self.items[key].pinned)
        if live:
            item = self.items[key]
            assert set(self.cache.tags(key)) == item.tags
            assert self.cache.remaining_ttl(key) == item.deadline - self.now

    @rule(key=KEYS, how=st.sampled_from(["pop", "delete", "delete_many"]))
    def delete(self, key: int, how: str) -> None:
        self.expected = []
        live = self.is_live(key)
        value = self.items[key].value if live else None
        if live:
            self.expect(key, "deleted")
        if how == "pop":
            assert self.cache.pop(key, None) == value
        elif how == "delete":
            assert self.cache.delete(key) == live
        else:
            assert self.cache.delete_many([key, key]) == live
        self.catch_up()

    @rule()
    def popitem(self) -> None:
        self.expected = []
        try:
            key, value = self.cache.popitem()
        except KeyError:
            assert all(item.pinned for key, item in self.items.items() if self.is_live(key))
        else:
            assert self.is_live(key)
            assert self.items[key].value == value
            assert not self.items[key].pinned
            self.expect(key, "deleted")
        self.catch_up()

    @rule(key=KEYS, ttl=TTLS)
    def touch(self, key: int, ttl: float | None) -> None:
        self.expected = []
        live = self.is_live(key)
        assert self.cache.touch(key, ttl=ttl) == live
        if live:
            self.used(key)
            item = self.items[key]
            item.hard = self.now + (self.ttl if ttl is None else ttl)
            item.deadline = min(item.hard, self.now + self.idle)
        self.catch_up()

    @rule(tag=st.sampled_from("xyz"))
    def invalidate(self, tag: str) -> None:
        self.expected = []
        doomed = [key for key, item in self.items.items() if tag in item.tags and self.is_live(key)]
        assert self.cache.invalidate_tag(tag) >= len(doomed)
        assert not any(key in self.cache for key in doomed)
        # What has expired already may be told as either.
        self.cache.expire()
        for key in doomed:
            self.expect(key, "deleted")
        for key, value, cause in list(self.told):
            if cause == "deleted" and key in self.items and self.items[key].value == value:
                assert tag in self.items[key].tags
                self.expect(key, "deleted")
        self.catch_up()

    @rule(key=KEYS)
    def pin(self, key: int) -> None:
        live = self.is_live(key)
        assert self.cache.pin(key) == live
        if live:
            self.items[key].pinned = True
            if key in self.order:
                self.order.remove(key)

    @precondition(lambda self: self.policy not in {"lru", "fifo"})
    @rule(key=KEYS)
    def unpin(self, key: int) -> None:
        self.expected = []
        was = self.is_live(key) and self.items[key].pinned
        if was:
            self.items[key].pinned = False
            self.order.append(key)
        assert self.cache.unpin(key) == was
        self.catch_up()

    @rule(maxsize=st.integers(0, 8))
    def resize(self, maxsize: int) -> None:
        self.expected = []
        evicted = self.cache.resize(maxsize)
        self.maxsize = maxsize
        assert evicted == sum(cause == "size" for _, _, cause in self.told)
        self.catch_up()

    @rule(step=st.sampled_from([0.001, 0.5, 1.0, 3.0, 20.0, 1e6]))
    def wait(self, step: float) -> None:
        self.now += step

    @rule(step=st.sampled_from([0.5, 2.0, 30.0]))
    def turn_back(self, step: float) -> None:
        self.now -= step

    @rule()
    def clear(self) -> None:
        self.expected = []
        for key in list(self.items):
            self.expect(key, "deleted")
        self.cache.clear()
        self.catch_up()

    @rule()
    def count(self) -> None:
        self.expected = []
        assert len(self.cache) == len(self.cache.keys() | set())
        self.catch_up()

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "cache"):
            return
        self.cache._check()
        live = {key: item.value for key, item in self.items.items() if self.is_live(key)}
        assert dict(self.cache.items()) == live
        assert sorted(self.cache.hottest()) == sorted(live.items())


@pytest.mark.parametrize("policy", POLICIES)
def test_against_the_model(policy: str) -> None:
    class OfPolicy(Model):
        pass

    OfPolicy.policy = policy
    case = OfPolicy.TestCase
    case.settings = settings(
        max_examples=40, stateful_step_count=40, derandomize=True, phases=[Phase.explicit, Phase.generate]
    )
    case().runTest()
