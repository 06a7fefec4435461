"""Each operation happens at once: no thread sees, or makes, half of one."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.contracts.kinds import Clock, Kind
from tests.threads.hammer import THREADS, run_threads, switching_often

ROUNDS = 400


@pytest.fixture(autouse=True)
def hurry() -> Any:
    """Switch threads as often as possible."""
    with switching_often():
        yield


def test_pop_hands_out_a_value_once(kind: Kind) -> None:
    cache, taken = kind.make(ROUNDS), [[] for _ in range(THREADS)]  # type: ignore[var-annotated]
    cache.update((number, number) for number in range(ROUNDS))
    run_threads(lambda number: taken[number].extend(cache.pop(key, None) for key in range(ROUNDS)))
    handed_out = [value for values in taken for value in values if value is not None]
    assert sorted(handed_out) == list(range(ROUNDS))


def test_setdefault_keeps_the_first(kind: Kind) -> None:
    cache = kind.make(ROUNDS)
    answers: list[list[Any]] = [[] for _ in range(THREADS)]
    run_threads(lambda number: answers[number].extend(cache.setdefault(key, object()) for key in range(ROUNDS)))
    for key, kept in enumerate(zip(*answers, strict=True)):
        assert all(value is kept[0] for value in kept)
        assert cache[key] is kept[0]


def test_setdefault_of_a_subclass_without_hooks_keeps_the_first(kind: Kind) -> None:
    cache = kind.make(ROUNDS, cls=type("Mine", (kind.cls,), {"label": 1}))
    answers: list[list[Any]] = [[] for _ in range(THREADS)]
    run_threads(lambda number: answers[number].extend(cache.setdefault(key, object()) for key in range(ROUNDS)))
    assert all(len(set(map(id, kept))) == 1 for kept in zip(*answers, strict=True))


def test_replaced_value_is_old_or_new_never_missing(kind: Kind) -> None:
    cache = kind.make(4)
    cache["key"] = 0
    stop = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            for value in range(3000):
                cache["key"] = value
            stop.set()
        else:
            while not stop.is_set():
                assert cache.get("key") is not None
                assert "key" in cache
                assert cache["key"] >= 0

    run_threads(work)


def test_full_cache_is_never_seen_overfull(kind: Kind) -> None:
    cache = kind.make(10, getsizeof=lambda value: value)
    stop = threading.Event()

    def work(number: int) -> None:
        if number < 4:
            for step in range(800):
                cache[step % 30] = 1 + (step + number) % 5
            stop.set()
        else:
            while not stop.is_set():
                assert cache.currsize <= 10
                assert len(cache) <= 10

    run_threads(work)
    cache._check()


def test_eviction_loses_no_other_item_than_it_must(kind: Kind) -> None:
    cache = kind.make(100)
    run_threads(lambda number: [cache.__setitem__((number, key), key) for key in range(200)])
    assert len(cache) == 100


def test_frozen_time_of_one_thread_is_not_the_time_of_another(timed_kind: Kind) -> None:
    clock = Clock()
    cache = timed_kind.make_short_lived(10, timer=clock)
    frozen, ticked = threading.Barrier(2), threading.Barrier(2)

    def work(number: int) -> None:
        if number == 0:
            with cache.timer as now:
                frozen.wait(10)
                ticked.wait(10)
                assert cache.timer() == now == 0
            assert cache.timer() == 5
        else:
            frozen.wait(10)
            clock.tick(5)
            assert cache.timer() == 5
            with cache.timer as now:
                assert now == 5
            ticked.wait(10)

    run_threads(work, count=2)


def test_freezing_in_many_threads_leaves_no_thread_frozen(timed_kind: Kind) -> None:
    clock = Clock()
    cache = timed_kind.make_short_lived(10, timer=clock)

    def work(number: int) -> None:
        for _ in range(ROUNDS):
            with cache.timer as outer, cache.timer as inner:
                assert outer == inner
                clock.tick()
                cache[number] = 1
                assert cache.timer() == outer

    run_threads(work)
    before = cache.timer()
    clock.tick()
    assert cache.timer() == before + 1


def test_threads_that_end_while_frozen_leave_nothing_behind(timed_kind: Kind) -> None:
    clock = Clock()
    cache = timed_kind.make_short_lived(10, timer=clock)
    for _ in range(50):
        thread = threading.Thread(target=cache.timer.__enter__)
        thread.start()
        thread.join()
    clock.tick(3)
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(cache.timer()))
    thread.start()
    thread.join()
    assert seen == [3]
    assert cache.timer() == 3


def test_lru_order_is_some_order_of_the_uses(kind: Kind) -> None:
    cache = kind.make(THREADS)
    cache.update((number, number) for number in range(THREADS))
    run_threads(lambda number: [cache.get(number) for _ in range(ROUNDS)])
    assert sorted(cache.popitem()[0] for _ in range(THREADS)) == list(range(THREADS))
