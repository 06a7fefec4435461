"""Two instances on one Redis against a plain dictionary: after a barrier a value is the last one, or there is none."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from overdrive import TieredCache
from overdrive.testing import FakeClock
from tests.tiers.servers import Server, eventually

KEYS = st.sampled_from(["a", "b", "c"])
TAGS = st.sampled_from([(), ("s",), ("t",), ("s", "t")])
WHO = st.sampled_from([0, 1])
_numbers = count()


class Instances(RuleBasedStateMachine):
    """What may happen to two instances; `model` has what the last change has left, and when it ends."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(1_800_000_000.0)
        self.model: dict[str, tuple[int, tuple[str, ...], float]] = {}
        self.folder = TemporaryDirectory()

    @initialize(disk=st.booleans())
    def begin(self, disk: bool) -> None:
        namespace = f"model{next(_numbers)}"
        self.caches = [
            TieredCache(
                2 if disk else 100,
                l2=self.url,
                l3=Path(self.folder.name) / str(number) if disk and number else None,
                namespace=namespace,
                clock=self.clock,
                ttl=100,
                jitter=0.0,
                budget=5.0,
            )
            for number in range(2)
        ]
        eventually(lambda: all(cache.health().coherent for cache in self.caches), "attached")

    def teardown(self) -> None:
        for cache in getattr(self, "caches", ()):
            cache.close()
        self.folder.cleanup()

    def check(self, key: str, value: Any) -> None:
        known = self.model.get(key)
        alive = known is not None and self.clock() < known[2]
        assert value is None or (alive and known is not None and value == known[0])

    @rule(who=WHO, key=KEYS, tags=TAGS)
    def set(self, who: int, key: str, tags: tuple[str, ...]) -> None:
        value = next(_numbers)
        self.caches[who].set(key, value, tags=tags)
        self.model[key] = value, tags, self.clock() + 100
        self.check(key, self.caches[who].get(key))

    @rule(who=WHO, keys=st.lists(KEYS, unique=True))
    def invalidate(self, who: int, keys: list[str]) -> None:
        self.caches[who].invalidate(*keys)
        for key in keys:
            self.model.pop(key, None)
            assert self.caches[who].get(key) is None

    @rule(who=WHO, tag=st.sampled_from(["s", "t"]))
    def invalidate_tag(self, who: int, tag: str) -> None:
        self.caches[who].invalidate_tags(tag)
        self.model = {key: known for key, known in self.model.items() if tag not in known[1]}
        for key in "abc":
            self.check_if_known(who, key)

    def check_if_known(self, who: int, key: str) -> None:
        # Without a barrier the other instance's last change may be unknown here, its own is not.
        if key not in self.model:
            assert self.caches[who].barrier(10)
            self.check(key, self.caches[who].get(key))

    @rule(who=WHO)
    def clear(self, who: int) -> None:
        self.caches[who].clear()
        self.model.clear()
        assert self.caches[who].get_many("abc") == {}

    @rule(who=WHO, key=KEYS, tags=TAGS)
    def load(self, who: int, key: str, tags: tuple[str, ...]) -> None:
        cache = self.caches[who]
        assert cache.barrier(10)
        value = next(_numbers)
        loaded = cache.get_or_load(key, lambda _: value, tags=tags)
        if loaded == value:
            self.model[key] = value, tags, self.clock() + 100
        else:
            self.check(key, loaded)

    @rule(who=WHO, key=KEYS, inner=st.sampled_from(["set", "invalidate", "clear"]))
    def load_meanwhile(self, who: int, key: str, inner: str) -> None:
        """The other instance changes the key while it is loaded: what is loaded is stored nowhere."""
        cache, other = self.caches[who], self.caches[1 - who]
        assert cache.barrier(10)
        late, new = next(_numbers), next(_numbers)

        def load(_key: str) -> int:
            if inner == "set":
                other.set(key, new)
                self.model[key] = new, (), self.clock() + 100
            elif inner == "invalidate":
                other.invalidate(key)
                self.model.pop(key, None)
            else:
                other.clear()
                self.model.clear()
            return late

        loaded = cache.get_or_load(key, load)
        if loaded != late:
            self.check(key, loaded)
        assert cache.barrier(10)
        for each in self.caches:
            assert each.barrier(10)
            self.check(key, each.get(key))

    @rule(who=WHO, keys=st.lists(KEYS, unique=True))
    def read(self, who: int, keys: list[str]) -> None:
        assert self.caches[who].barrier(10)
        for key, value in self.caches[who].get_many(keys).items():
            self.check(key, value)
        for key in keys:
            self.check(key, self.caches[who].get(key))

    @rule(seconds=st.sampled_from([0.5, 30, 99, 101]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(who=WHO)
    def forget(self, who: int) -> None:
        """Memory loses everything, as by eviction."""
        self.caches[who].flush(10)
        self.caches[who].l1.clear()

    @precondition(lambda self: hasattr(self, "caches"))
    @rule(who=WHO)
    def suspect(self, who: int) -> None:
        """A gap in what was heard."""
        self.caches[who]._tiers.coherence.bump_all()


@pytest.mark.parametrize("family", ["redis", "valkey"])
def test_two_instances_are_as_one_dictionary(server_of: Callable[[str], Server], family: str) -> None:
    machine = type("Machine", (Instances,), {"url": server_of(family).url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
