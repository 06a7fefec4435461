"""H12: an iterator over a cache that changes, is emptied, collected or initialised meanwhile."""

from __future__ import annotations

import copy
import gc
import operator
import pickle
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import Clock, Kind
from tests.hostile.child import in_child

VIEWS: dict[str, Callable[[Any], Any]] = {
    "iter": iter,
    "keys": lambda cache: iter(cache.keys()),
    "values": lambda cache: iter(cache.values()),
    "items": lambda cache: iter(cache.items()),
}
CHANGES: dict[str, Callable[[Kind, Any], object]] = {
    "clear": lambda kind, cache: cache.clear(),
    "delete all": lambda kind, cache: [cache.pop(key, None) for key in range(100)],
    "grow": lambda kind, cache: cache.update((number, number) for number in range(200, 300)),
    "replace all": lambda kind, cache: (cache.clear(), cache.update((number, [number]) for number in range(50))),
    "initialise": lambda kind, cache: cache.__init__(maxsize=5, **kind.required),
    "popitem": lambda kind, cache: cache.popitem(),
    "shrink to one": lambda kind, cache: (cache.clear(), cache.update({49: 49})),
    "fill anew": lambda kind, cache: (cache.clear(), cache.update((number, [number]) for number in range(49, -1, -1))),
    "turn round": lambda kind, cache: [cache.update({number: cache.pop(number, None)}) for number in range(49, -1, -1)],
    "setstate of another": lambda kind, cache: cache.__setstate__(other_state(kind)),
    "setstate": lambda kind, cache: cache.__setstate__(kind.make(3).__getstate__()),
}


def other_state(kind: Kind) -> Any:
    """Return the state of a cache of as many items, in another order."""
    other = kind.make(50)
    CHANGES["fill anew"](kind, other)
    return other.__getstate__()


def drain(iterator: Any) -> int:
    """Take what is left of an iterator; being told about a change is an end like another."""
    taken = 0
    try:
        for _ in iterator:
            taken += 1
            assert taken < 10_000, "iterates for ever"
    except (RuntimeError, KeyError) as error:
        assert isinstance(error, KeyError) or "during iteration" in str(error)
    return taken


@in_child
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("before", [0, 1, 25, 50])
def test_iterator_survives(kind: Kind, view: str, change: str, before: int) -> None:
    cache = kind.make(50)
    cache.update((number, [number]) for number in range(50))
    iterator = VIEWS[view](cache)
    for _ in range(before):
        next(iterator)
    CHANGES[change](kind, cache)
    gc.collect()
    drain(iterator)
    drain(iterator)
    cache._check()


@in_child
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("view", VIEWS)
def test_iterator_survives_expired_items(timed_kind: Kind, view: str, change: str) -> None:
    for before in (0, 1, 20, 39, 40):
        cache = timed_kind.make_short_lived(50)
        cache.update((number, [number]) for number in range(10))
        cache.timer.tick(5)
        cache.update((number, [number]) for number in range(10, 50))
        iterator = VIEWS[view](cache)
        for _ in range(before):
            next(iterator)
        cache.timer.tick(5)
        CHANGES[change](timed_kind, cache)
        cache.expire()
        drain(iterator)
        cache._check()


@in_child
@pytest.mark.parametrize("view", ["values", "items"])
def test_value_is_the_one_at_the_moment_of_the_yield(kind: Kind, view: str) -> None:
    for at in range(40):
        cache = kind.make(40)
        cache.update((number, "old") for number in range(40))
        seen: list[Any] = []
        for step, got in enumerate(VIEWS[view](cache)):
            if step == at:
                cache.update((number, "new") for number in range(40))
            seen.append(got if view == "values" else got[1])
            if step == 79:
                break  # items of a timed cache that were stored again may be seen again
        assert seen[: at + 1] == ["old"] * (at + 1)
        assert set(seen[at + 1 :]) <= {"new"}


@in_child
@pytest.mark.parametrize("view", VIEWS)
def test_exhausted_iterator_asks_for_the_time_no_more(timed_kind: Kind, view: str) -> None:
    asked = 0

    def clock() -> int:
        nonlocal asked
        asked += 1
        return 0

    cache = timed_kind.make_short_lived(5, timer=clock)
    cache.update(a=1, b=2, c=3)
    iterator = VIEWS[view](cache)
    assert len(list(iterator)) == 3
    asked = 0
    for _ in range(5):
        assert list(iterator) == []
    assert asked == 0
    assert operator.length_hint(iterator, 7) == 0


@in_child
@pytest.mark.parametrize("view", VIEWS)
def test_length_hint_of_an_exhausted_iterator_is_zero(kind: Kind, view: str) -> None:
    cache = kind.make(5)
    cache.update(a=1, b=2, c=3)
    iterator = VIEWS[view](cache)
    assert drain(iterator) == 3
    cache["d"] = 4
    assert operator.length_hint(iterator, 7) == 0
    iterator = VIEWS[view](cache)
    cache.clear()
    drain(iterator)
    assert operator.length_hint(iterator, 7) == 0


@in_child
def test_abandoned_iterator_thaws_the_timer_that_it_froze(timed_kind: Kind) -> None:
    first, second = Clock(), Clock(100)
    cache = timed_kind.make_short_lived(5, timer=first)
    cache.update(a=1, b=2, c=3)
    timer = cache.timer
    iterator = iter(cache)
    next(iterator)
    cache.__init__(5, getattr(cache, "ttl", None) or cache.ttu, second)
    with cache.timer as now:
        assert now == 100
        del iterator
        second.tick()
        assert cache.timer() == 100
    first.tick()
    assert timer() == 1
    assert cache.timer() == 101


@in_child
@pytest.mark.parametrize("how", ["drop", "drain", "close"])
def test_iterator_in_frozen_time_over_a_cache_that_gets_another_timer(timed_kind: Kind, how: str) -> None:
    first, second = Clock(), Clock(100)
    cache = timed_kind.make_short_lived(5, timer=first)
    cache.update(a=1, b=2, c=3)
    timer = cache.timer
    with timer:
        iterator = iter(cache)
        next(iterator)
        cache.__init__(5, getattr(cache, "ttl", None) or cache.ttu, second)
        if how == "drain":
            drain(iterator)
        elif how == "close":
            del cache
        first.tick()
        del iterator
        gc.collect()
        assert timer() == 0
    assert timer() == 1
    with pytest.raises(RuntimeError, match="not frozen"):
        timer.__exit__(None, None, None)


@in_child
@pytest.mark.parametrize("view", VIEWS)
def test_iterator_outlives_its_cache(kind: Kind, view: str) -> None:
    cache = kind.make(50)
    cache.update((number, [number]) for number in range(50))
    iterator = VIEWS[view](cache)
    next(iterator)
    del cache
    gc.collect()
    assert drain(iterator) == 49


@in_child
@pytest.mark.parametrize("view", VIEWS)
def test_iterator_of_a_cache_that_never_changes_sees_all(kind: Kind, view: str) -> None:
    cache = kind.make(5000)
    cache.update((number, number) for number in range(5000))
    assert drain(VIEWS[view](cache)) == 5000


@in_child
def test_value_deleted_by_its_own_iteration(kind: Kind) -> None:
    class Vanishing:
        def __del__(self) -> None:
            cache.pop("other", None)

    cache = kind.make(5)
    cache.update(a=Vanishing(), other=1, b=Vanishing())
    try:
        for key in cache:
            cache.pop(key, None)
    except RuntimeError as error:
        assert "during iteration" in str(error)
    cache._check()


@in_child
@pytest.mark.parametrize("view", VIEWS)
def test_iterator_shared_by_threads_gives_each_entry_once(kind: Kind, view: str) -> None:
    cache = kind.make(4000)
    cache.update((number, number) for number in range(4000))
    iterator = VIEWS[view](cache)
    taken: list[Any] = []
    refused: list[str] = []

    def take() -> None:
        while True:
            try:
                taken.append(next(iterator))
            except StopIteration:
                return
            except ValueError as error:
                refused.append(str(error))  # a generator is already executing

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 4000
    assert all("already executing" in message for message in refused)


@in_child
def test_iterators_while_other_threads_change_everything(kind: Kind) -> None:
    cache = kind.make(100)
    stop = threading.Event()
    errors: list[BaseException] = []

    def change(seed: int) -> None:
        generator = random.Random(seed)
        try:
            for step in range(1500):
                cache[generator.randrange(200)] = [step]
                cache.pop(generator.randrange(200), None)
                if step % 100 == 0:
                    cache.clear()
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    def iterate(view: str) -> None:
        try:
            while not stop.is_set():
                drain(VIEWS[view](cache))
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    changing = [threading.Thread(target=change, args=(seed,)) for seed in range(2)]
    iterating = [threading.Thread(target=iterate, args=(view,)) for view in VIEWS]
    for thread in changing + iterating:
        thread.start()
    for thread in changing:
        thread.join()
    stop.set()
    for thread in iterating:
        thread.join()
    assert errors == []
    cache._check()


@in_child
def test_iterators_cannot_be_copied_or_pickled_halfway(kind: Kind) -> None:
    cache = kind.make(5)
    cache.update(a=1, b=2)
    iterator = iter(cache)
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(iterator)


@in_child
def test_length_hint_of_an_iterator_is_no_lie(kind: Kind) -> None:
    cache = kind.make(5)
    cache.update(a=1, b=2, c=3)
    iterator = iter(cache)
    next(iterator)
    assert operator.length_hint(iterator, 2) in {2, 3}
    cache.clear()
    assert operator.length_hint(iterator, 0) >= 0


@in_child
def test_random_walks_with_many_iterators(kind: Kind) -> None:
    generator = random.Random(7)
    cache = kind.make(20)
    iterators: list[Any] = []
    for step in range(4000):
        match generator.randrange(6):
            case 0:
                iterators.append(VIEWS[generator.choice(list(VIEWS))](cache))
            case 1 | 2 if iterators:
                iterator = generator.choice(iterators)
                try:
                    next(iterator)
                except (StopIteration, RuntimeError, KeyError):
                    iterators.remove(iterator)
            case 3:
                cache.pop(generator.randrange(40), None)
            case 4 if step % 50 == 0:
                cache.clear()
            case _:
                cache[generator.randrange(40)] = step
    cache._check()
