"""H20: pickles that cross processes, contain themselves, or change the cache while it is being read."""

from __future__ import annotations

import copy
import io
import pickle
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import Kind, kind_named
from tests.hostile.child import in_child, run_python

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

DUMP = """
import pickle, sys
from tests.hostile.test_h20_pickles import sample
from tests.contracts.kinds import kind_named
print(pickle.dumps(sample(kind_named(sys.argv[1])), int(sys.argv[2])).hex())
"""
LOAD = """
import pickle, sys
from tests.contracts.kinds import kind_named
from tests.hostile.test_h20_pickles import assert_sample
assert_sample(kind_named(sys.argv[1]), pickle.loads(bytes.fromhex(sys.stdin.read())))
"""


def sample(kind: Kind) -> Any:
    """Return a cache whose string keys hash differently in each process."""
    cache = kind.make(100)
    cache.update((f"key {number}", number) for number in range(100))
    cache["tuple", frozenset({"a", "b"})] = "tuple"
    cache["key 50"]
    return cache


def assert_sample(kind: Kind, cache: Any) -> None:
    """Fail unless the cache is like the sample, and works."""
    cache._check()
    assert len(cache) == 100
    assert cache["tuple", frozenset({"a", "b"})] == "tuple"
    assert all(cache[key] == int(key[4:]) for key in cache if isinstance(key, str))
    assert sum(f"key {number}" in cache for number in range(100)) == 99
    cache["one more"] = 1
    assert len(cache) == 100


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_pickle_crosses_processes_with_other_hashes(kind: Kind, protocol: int) -> None:
    dumped = run_python(DUMP, kind.name, str(protocol), PYTHONHASHSEED="1")
    dumped.assert_clean()
    assert_sample(kind, pickle.loads(bytes.fromhex(dumped.stdout.strip())))


@in_child
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol(kind: Kind, protocol: int) -> None:
    assert_sample(kind, pickle.loads(pickle.dumps(sample(kind), protocol)))


@in_child
def test_pure_python_pickler(kind: Kind) -> None:
    buffer = io.BytesIO()
    pickle._Pickler(buffer).dump(sample(kind))
    assert_sample(kind, pickle._loads(buffer.getvalue()))  # type: ignore[attr-defined]


@in_child
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_cycles(kind: Kind, protocol: int) -> None:
    cache = kind.make(5)
    cache["self"] = cache
    cache["list"] = [cache, {"cache": cache}]
    cache.attribute = cache
    for again in (pickle.loads(pickle.dumps(cache, protocol)), copy.deepcopy(cache)):
        assert again["self"] is again
        assert again["list"][1]["cache"] is again
        assert again.attribute is again
        again._check()


class Holder:
    """A key that refers to the cache it is a key of: hashed before its state is restored."""

    cache: Any = None


@in_child
def test_key_that_refers_to_its_cache(kind: Kind) -> None:
    cache, key = kind.make(5), Holder()
    key.cache = cache
    cache[key] = 1
    again = pickle.loads(pickle.dumps(cache))
    (key_again,) = again
    assert key_again.cache is again
    assert again[key_again] == 1
    again._check()


@in_child
def test_two_caches_in_each_other(kind: Kind) -> None:
    first, second = kind.make(5), kind.make(5)
    first["other"], second["other"] = second, first
    again = pickle.loads(pickle.dumps(first))
    assert again["other"]["other"] is again


class Meddling:
    """A value whose pickling changes the cache that is being pickled."""

    cache: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        self.cache.clear()
        self.cache.update((number, number) for number in range(20))
        return str, ("meddled",)

    def __deepcopy__(self, memo: object) -> str:
        self.cache.clear()
        return "meddled"


@in_child
def test_cache_that_changes_while_it_is_pickled(kind: Kind) -> None:
    duplicates: tuple[Callable[[Any], Any], ...] = (lambda c: pickle.loads(pickle.dumps(c)), copy.deepcopy)
    for duplicate in duplicates:
        cache = kind.make(10)
        for number in range(10):
            cache[number] = Meddling()
            cache[number].cache = cache
        again = duplicate(cache)
        again._check()
        cache._check()
        assert len(again) == 10


class BadKey:
    """Unhashable once unpickled."""

    def __init__(self, good: bool = True) -> None:
        self.good = good

    def __hash__(self) -> int:
        if not self.good:
            raise ZeroDivisionError("hash")
        return 1

    def __reduce__(self) -> tuple[Any, ...]:
        return BadKey, (False,)


@in_child
def test_key_that_cannot_be_hashed_after_unpickling(kind: Kind) -> None:
    cache = kind.make(5)
    cache[BadKey()] = 1
    with pytest.raises(ZeroDivisionError, match="hash"):
        pickle.loads(pickle.dumps(cache))


@in_child
def test_truncated_pickles_are_errors(kind: Kind) -> None:
    data = pickle.dumps(sample(kind))
    for length in range(0, len(data), max(1, len(data) // 60)):
        with pytest.raises((pickle.UnpicklingError, EOFError)):
            pickle.loads(data[:length])


@in_child
def test_pickling_while_other_threads_change_the_cache(kind: Kind) -> None:
    cache = kind.make(50)
    stop = threading.Event()

    def change() -> None:
        for step in iter(int, 1):
            if stop.is_set():
                return
            cache[step % 99] = [step]
            cache.pop(step % 50, None)

    threads = [threading.Thread(target=change) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            again = pickle.loads(pickle.dumps(cache))
            again._check()
            assert len(again) <= 50
            copy.copy(cache)._check()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@in_child
def test_size_of_a_cache_is_counted_by_sys(kind: Kind) -> None:
    small, large = kind.make(10_000), kind.make(10_000)
    large.update((number, number) for number in range(10_000))
    assert sys.getsizeof(large) > sys.getsizeof(small) + 10_000 * 16
    large.clear()
    assert kind_named(kind.name) is kind
