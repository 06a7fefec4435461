"""Threads that do everything to one cache at once."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

THREADS = 8
STEPS = 5000
KEYS = 120
BUDGET_SECONDS = 1.0
PATIENCE_SECONDS = 30

Step = Callable[[Any, Any, random.Random], object]


def value_for(key: Any) -> tuple[str, Any]:
    """Return the only value that is ever stored under a key."""
    return ("value", key)


def check_value(key: Any, value: Any) -> None:
    """Fail if a value belongs to another key."""
    assert value is None or value == value_for(key), (key, value)


def iterate(cache: Any, key: Any, generator: random.Random) -> None:
    """Walk over the items; being interrupted by a change is fine."""
    try:
        for each, value in cache.items():
            check_value(each, value)
    except KeyError:
        pass  # a view that reads each item finds it gone
    except RuntimeError as error:
        assert "during iteration" in str(error)


def popitem(cache: Any, key: Any, generator: random.Random) -> None:
    """Take some item out."""
    with suppress(KeyError):
        check_value(*cache.popitem())


def delete(cache: Any, key: Any, generator: random.Random) -> None:
    """Delete a key that may not be there."""
    with suppress(KeyError):
        del cache[key]


def subscript(cache: Any, key: Any, generator: random.Random) -> None:
    """Read a key that may not be there."""
    with suppress(KeyError):
        check_value(key, cache[key])


def within_limit(cache: Any, key: Any, generator: random.Random) -> None:
    """No other thread may see more than fits."""
    assert cache.currsize <= cache.maxsize


#: With how often each is picked.
STEPS_AND_WEIGHTS: tuple[tuple[Step, float], ...] = (
    (lambda cache, key, generator: cache.__setitem__(key, value_for(key)), 30),
    (subscript, 20),
    (lambda cache, key, generator: check_value(key, cache.get(key)), 20),
    (lambda cache, key, generator: check_value(key, cache.setdefault(key, value_for(key))), 10),
    (lambda cache, key, generator: check_value(key, cache.pop(key, None)), 10),
    (delete, 5),
    (popitem, 5),
    (lambda cache, key, generator: key in cache, 5),
    (within_limit, 5),
    (lambda cache, key, generator: cache.update((k, value_for(k)) for k in generator.sample(range(KEYS), 5)), 2),
    (iterate, 1),
    (lambda cache, key, generator: repr(cache), 1),
    (lambda cache, key, generator: cache.clear(), 0.2),
)


@contextmanager
def switching_often() -> Iterator[None]:
    """Let threads take turns a thousand times more often than usual."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def run_threads(work: Callable[[int], object], count: int = THREADS) -> None:
    """Run a function in threads that start together; raise the first error of any of them."""
    start = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait(PATIENCE_SECONDS)
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert not any(thread.is_alive() for thread in threads), "threads wait for each other"
    if errors:
        raise errors[0]


def hammer(
    cache: Any,
    make_key: Callable[[int], Any] = lambda number: number,
    *,
    extra: tuple[Step, ...] = (),
    tolerated: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> None:
    """Let threads perform random steps on a cache; all invariants must hold after that."""
    steps = [step for step, _ in STEPS_AND_WEIGHTS] + list(extra)
    weights = [weight for _, weight in STEPS_AND_WEIGHTS] + [5] * len(extra)
    deadline = time.monotonic() + BUDGET_SECONDS

    def work(number: int) -> None:
        generator = random.Random(number)
        for count, step in enumerate(generator.choices(steps, weights, k=STEPS)):
            try:
                step(cache, make_key(generator.randrange(KEYS)), generator)
            except tolerated:
                continue
            if count % 100 == 99 and time.monotonic() > deadline:
                return

    run_threads(work)
    cache._check()
    assert cache.currsize <= cache.maxsize
    sizes = [cache.getsizeof(value) for value in cache.values()]
    assert cache.currsize == sum(sizes)
    assert len(cache) == len(sizes) == len(set(cache))
    for key, value in cache.items():
        check_value(key, value)
