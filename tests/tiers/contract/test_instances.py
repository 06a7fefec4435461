"""What instances know of each other: every change of one is seen by the other after a barrier."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from overdrive import LoadContext, TieredCache
from overdrive.testing import FakeClock
from tests.tiers.contract.conftest import Kind
from tests.tiers.contract.faces import Face
from tests.tiers.servers import eventually

PATIENCE = 10.0


@pytest.fixture
def pair(make: Callable[..., TieredCache], kind: Kind, face_of: Callable[[TieredCache], Face]) -> tuple[Face, Face]:
    """Two instances that share Redis, each with a disk of its own if the kind has disks."""
    if not kind.has_redis:
        pytest.skip("needs Redis")
    return face_of(make()), face_of(make(folder="other"))


CHANGES: dict[str, Callable[[Face], None]] = {
    "set": lambda cache: cache.set("k", "new"),
    "set_many": lambda cache: cache.set_many({"k": "new"}),
    "delete": lambda cache: cache.delete("k"),
    "invalidate": lambda cache: cache.invalidate("other", "k"),
    "invalidate_tags": lambda cache: cache.invalidate_tags("t"),
    "clear": lambda cache: cache.clear(),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_change_is_seen_by_both_instances(pair: tuple[Face, Face], how: str) -> None:
    one, other = pair
    one.set("k", "old", tags="t")
    assert other.get("k") == one.get("k") == "old"
    CHANGES[how](one)
    expected = "new" if how.startswith("set") else None
    assert one.get("k") == expected  # G2: at once
    assert other.barrier()  # G7
    assert other.get("k") == expected
    assert other.get_or_load("k", lambda _: "new") == "new"
    assert one.get("k") == "new"


def test_what_one_loads_the_other_finds(pair: tuple[Face, Face]) -> None:
    one, other = pair
    assert one.get_or_load("k", lambda _: {"n": 1}) == {"n": 1}
    assert other.get_or_load("k", lambda _: pytest.fail("loaded twice")) == {"n": 1}
    result = other.get_result("k")
    assert (result.value, result.tier) == ({"n": 1}, "l1")


def test_tags_that_only_the_loader_knows_are_seen_by_both(pair: tuple[Face, Face]) -> None:
    one, other = pair

    def load(_key: str, ctx: LoadContext[str]) -> str:
        ctx.tags.add("t")
        return "old"

    assert one.get_or_load("k", load) == "old"
    assert other.get("k") == "old"
    one.invalidate_tags("t")
    assert one.get("k") is None
    assert other.barrier()
    assert other.get("k") is None


def test_what_is_set_before_the_listener_is_attached_has_an_epoch(
    pair: tuple[Face, Face],
) -> None:
    one, other = pair
    one.clear()
    one.invalidate_tags("t")
    assert other.barrier()
    backplane: Any = other.cache._tiers.backplane
    backplane._epochs.forget()  # as before the first poll
    other.set("k", "value", tags="t")
    assert one.barrier()
    assert one.get("k") == "value"


def test_private_values_of_another_instance_stay_off_the_disk_here(
    make: Callable[..., TieredCache], kind: Kind
) -> None:
    if not (kind.has_redis and kind.has_disk):
        pytest.skip("needs Redis and a disk")
    one, other = make(), make(folder="other", l1=1)
    one.set("k", "secret", private=True)
    assert other.get("k") == "secret"
    other.set("l", "something else")  # takes its place in memory
    assert other.get("l") == "something else"
    assert other.flush(PATIENCE)
    for cache in (one, other):
        assert cache._tiers.disk is not None
        assert cache._tiers.disk.get(b"k") is None


def test_a_value_that_is_none_of_ours_is_replaced(pair: tuple[Face, Face]) -> None:
    one, other = pair
    backplane: Any = one.cache._tiers.backplane
    from overdrive._tiers.l2.step import Step

    for garbage in (b"x", b"x" * 30, b"x" * 100):
        backplane.redis.call(Step("set", lambda reply: reply, ("SET", backplane.steps.values + b"k", garbage)))
        assert one.get("k") is None
        assert one.get_or_load("k", lambda _: "value") == "value"
        assert other.get("k") == "value"
        one.delete("k")
        assert other.barrier()


def test_many_keys_whose_tag_was_invalidated_are_loaded_together(pair: tuple[Face, Face]) -> None:
    one, other = pair
    keys = [f"k{number}" for number in range(5)]
    one.set_many(dict.fromkeys(keys, "old"), tags="t")
    one.invalidate_tags("t")
    assert other.barrier()
    calls: list[list[str]] = []

    def load(missing: list[str]) -> dict[str, str]:
        calls.append(missing)
        return dict.fromkeys(missing, "new")

    assert other.load_many(keys, load, tags="t") == dict.fromkeys(keys, "new")
    assert calls == [keys]
    assert one.get_many(keys) == dict.fromkeys(keys, "new")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_parent_hears_of_what_its_child_changes_and_the_other_way_round(
    make: Callable[..., TieredCache], kind: Kind
) -> None:
    if kind.is_memory_alone:
        pytest.skip("they share nothing")
    cache = make()
    cache.set("k", "old")
    cache.set("l", "old")
    said, heard = os.pipe()
    answered, ask = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            ok = cache.get("k") == "old" and cache.get("l") == "old"
            cache.set("k", "of the child")
            os.write(heard, b"1" if ok else b"0")
            os.read(answered, 1)
            if kind.has_redis:
                ok = cache.barrier(PATIENCE)
            ok = ok and cache.get("l") == "of the parent"
            os.write(heard, b"1" if ok else b"0")
        finally:
            os._exit(0)
    try:
        assert os.read(said, 1) == b"1"
        assert cache.barrier(PATIENCE)
        if kind.has_redis:
            assert cache.get("k") == "of the child"
        else:
            eventually(lambda: cache.get("k") in (None, "of the child"), "heard of it")
        cache.set("l", "of the parent")
        cache.flush(PATIENCE)
        os.write(ask, b"1")
        assert os.read(said, 1) == b"1"
    finally:
        os.waitpid(pid, 0)


def test_with_a_clock_that_stands_still_memory_is_trusted_while_redis_is_heard(
    make: Callable[..., TieredCache], kind: Kind, clock: FakeClock
) -> None:
    if not kind.has_redis:
        pytest.skip("needs Redis")
    cache = make(clock=clock)
    cache.set("k", "value")
    assert cache.is_remembered("k")
    clock.advance(60)
    eventually(lambda: cache.is_remembered("k"), "trusted again")
    clock.advance(3600)
    assert cache.get("k") is None
