"""Keys, values and access sequences: what the operations run on, the same in every run."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Hashable, Iterator, Sequence
from typing import Literal, TypeAlias

Keys: TypeAlias = Sequence[Hashable]
KeyKind: TypeAlias = Literal["int", "str", "tuple"]
Pair: TypeAlias = tuple[Hashable, bytes]

# Past the integers that the interpreter keeps as singletons, so that equal need not mean identical.
FIRST = 10_000
# No operation fills a cache with a number this large, so a key made from here on is absent.
ABSENT = 1_000_000_000
# Several orders, because one order repeated would always touch the least recently used entry.
ORDERS = 4
SEED = 2026

ZIPF_DISTINCT = 10_000
ZIPF_EXPONENT = 1.0
# Values of 1 to 8 bytes: a weight that differs from entry to entry.
WEIGHTS = range(1, 9)
MEAN_WEIGHT = sum(WEIGHTS) / len(WEIGHTS)


def key_of(kind: KeyKind, number: int) -> Hashable:
    """A key of one kind, as a service would make it from an identifier."""
    if kind == "int":
        return number
    if kind == "str":
        return f"user:{number}"
    return (f"user:{number}", number)


@functools.cache
def resident_keys(kind: KeyKind, count: int) -> Keys:
    """The keys that a cache holds before an operation starts; shared by all contenders."""
    return tuple(key_of(kind, number) for number in range(FIRST, FIRST + count))


@functools.cache
def absent_keys(kind: KeyKind, count: int) -> Keys:
    """Keys that no cache holds."""
    return tuple(key_of(kind, number) for number in range(ABSENT, ABSENT + count))


@functools.cache
def shuffled_orders(kind: KeyKind, count: int, *, rebuilt: bool = False) -> tuple[Keys, ...]:
    """The resident keys in a few fixed random orders.

    With `rebuilt`, equal keys that are other objects: what a request brings along.
    """
    keys = resident_keys(kind, count)
    if rebuilt:
        keys = [_rebuilt(key) for key in keys]
    rng = random.Random(SEED)
    return tuple(rng.sample(keys, count) for _ in range(ORDERS))


def unseen_batches(kind: KeyKind, count: int) -> Iterator[Keys]:
    """Endless batches of keys, none of which was ever used before."""
    # Consecutive integers would fall into consecutive slots of a dict: the kindest case there is.
    offsets = random.Random(SEED).sample(range(count), count)
    for first in itertools.count(FIRST + count, count):
        yield [key_of(kind, first + offset) for offset in offsets]


@functools.cache
def zipf_sequences(kind: KeyKind, count: int) -> tuple[Keys, ...]:
    """Requests whose popularity falls as a power of the rank, as in most real traces."""
    rng = random.Random(SEED)
    keys = rng.sample(resident_keys(kind, ZIPF_DISTINCT), ZIPF_DISTINCT)
    weights = [1 / rank**ZIPF_EXPONENT for rank in range(1, ZIPF_DISTINCT + 1)]
    return tuple(rng.choices(keys, weights, k=count) for _ in range(ORDERS))


def weighted_batches(kind: KeyKind, count: int) -> Iterator[Sequence[Pair]]:
    """Endless batches of unseen keys with values of different length."""
    rng = random.Random(SEED)
    values = [bytes(rng.choice(WEIGHTS)) for _ in range(count)]
    for keys in unseen_batches(kind, count):
        yield list(zip(keys, values, strict=True))


def _rebuilt(key: Hashable) -> Hashable:
    if isinstance(key, tuple):
        return tuple(_rebuilt(part) for part in key)
    return type(key)(str(key).encode().decode())  # type: ignore[call-arg]
