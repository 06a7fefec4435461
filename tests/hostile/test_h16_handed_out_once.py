"""H16: several threads take the same entries; each entry is handed out exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import Kind
from tests.hostile.child import in_child

THREADS = 8
ENTRIES = 2000


def in_threads(work: Callable[[int], None], count: int = THREADS) -> None:
    """Run a function in several threads that start together; raise what any of them raised."""
    start = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def filled(kind: Kind, entries: int = ENTRIES, **arguments: Any) -> Any:
    """Return a cache of that many entries."""
    cache = kind.make(entries, **arguments)
    cache.update((number, object()) for number in range(entries))
    return cache


def take_with_popitem(cache: Any, number: int) -> list[Any]:
    """Pop until there is nothing left."""
    taken = []
    while True:
        try:
            taken.append(cache.popitem()[0])
        except KeyError:
            return taken


def take_with_pop(cache: Any, number: int) -> list[Any]:
    """Pop every key."""
    missing = object()
    return [key for key in range(ENTRIES) if cache.pop(key, missing) is not missing]


def take_with_pop_that_raises(cache: Any, number: int) -> list[Any]:
    """Pop every key, in another order for each thread."""
    taken = []
    for key in range(ENTRIES) if number % 2 else reversed(range(ENTRIES)):
        try:
            cache.pop(key)
        except KeyError:
            continue
        taken.append(key)
    return taken


def take_with_del(cache: Any, number: int) -> list[Any]:
    """Delete every key."""
    taken = []
    for key in range(ENTRIES):
        try:
            del cache[key]
        except KeyError:
            continue
        taken.append(key)
    return taken


TAKING = {
    "popitem": take_with_popitem,
    "pop": take_with_pop,
    "pop that raises": take_with_pop_that_raises,
    "del": take_with_del,
}


@in_child
@pytest.mark.parametrize("how", TAKING)
def test_each_entry_is_taken_once(kind: Kind, how: str) -> None:
    cache = filled(kind)
    taken: list[Any] = []
    in_threads(lambda number: taken.extend(TAKING[how](cache, number)))
    assert sorted(taken) == list(range(ENTRIES))
    assert len(cache) == 0
    cache._check()


@in_child
def test_each_entry_is_taken_once_by_mixed_means(kind: Kind) -> None:
    cache = filled(kind)
    taken: list[Any] = []
    ways = list(TAKING.values())
    in_threads(lambda number: taken.extend(ways[number % len(ways)](cache, number)))
    assert sorted(taken) == list(range(ENTRIES))


@in_child
def test_each_expired_entry_is_listed_once(timed_kind: Kind) -> None:
    cache = timed_kind.make_short_lived(ENTRIES)
    cache.update((number, number) for number in range(ENTRIES))
    cache.timer.tick(10)
    listed: list[Any] = []
    in_threads(lambda number: listed.extend(key for key, _ in cache.expire()))
    assert sorted(listed) == list(range(ENTRIES))


@in_child
def test_setdefault_has_one_winner(kind: Kind) -> None:
    cache = kind.make(ENTRIES)
    answers: list[dict[int, Any]] = []

    def claim(number: int) -> None:
        mine = object()
        answers.append({key: cache.setdefault(key, mine) for key in range(ENTRIES)})

    in_threads(claim)
    assert all(answer == answers[0] for answer in answers)
    assert dict(cache.items()) == answers[0]


@in_child
def test_each_entry_stored_is_kept_evicted_or_replaced(kind: Kind) -> None:
    evicted: list[Any] = []

    class Watched(kind.cls):  # type: ignore[misc, name-defined]
        def popitem(self) -> Any:
            item = super().popitem()
            evicted.append(item[0])
            return item

    cache = kind.make(50, cls=Watched)
    in_threads(lambda number: cache.update(((number, key), key) for key in range(300)))
    assert len(evicted) == len(set(evicted))
    assert len(evicted) + len(cache) == THREADS * 300
    assert set(evicted).isdisjoint(iter(cache))
    cache._check()
