"""Replays against caches that are too simple to be wrong, and against the real ones."""

from __future__ import annotations

import os
import random
from array import array
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import overdrive
from overdrive import _core

CLASSES = {"fifo": overdrive.FIFOCache, "lru": overdrive.LRUCache, "lfu": overdrive.LFUCache}
KEYS = st.lists(st.integers(0, 12), min_size=1, max_size=120)


def hits(keys: Iterable[Hashable], policy: str, size: int) -> int:
    return overdrive.simulate(keys, sizes=[size], policies=[policy]).row(policy, size).hits


def skewed(count: int, *, seed: int = 1) -> list[int]:
    draw = random.Random(seed)
    return [int(draw.paretovariate(0.9)) % 5000 for _ in range(count)]


def test_hits_are_those_counted_by_hand() -> None:
    simulation = overdrive.simulate(["a", "b", "c", "a", "d", "b", "a"], sizes=[3], policies=["lru", "fifo"])

    # lru:  a- b- c- a+ d-(b) b-(c) a+      fifo: a- b- c- a+ d-(a) b+ a-(b)      opt: a- b- c- a+ d-(c) b+ a+
    assert [(row.policy, row.hits, row.evictions) for row in simulation.rows] == [
        ("fifo", 2, 2),
        ("lru", 2, 2),
        ("opt", 3, 1),
    ]
    assert simulation.row("lru", 3).hit_ratio == 2 / 7
    assert (simulation.requests, simulation.keys, simulation.is_sampled) == (7, 4, False)


@given(keys=KEYS, size=st.integers(1, 14))
def test_lru_is_an_ordered_dict(keys: list[int], size: int) -> None:
    cache: OrderedDict[int, None] = OrderedDict()
    expected = 0
    for key in keys:
        if key in cache:
            expected += 1
            cache.move_to_end(key)
        else:
            if len(cache) == size:
                cache.popitem(last=False)
            cache[key] = None

    assert hits(keys, "lru", size) == expected


@pytest.mark.parametrize("policy", CLASSES)
@pytest.mark.parametrize("size", [1, 7, 100, 900])
def test_replay_does_what_the_cache_does(policy: str, size: int) -> None:
    keys = skewed(20_000)
    cache: overdrive.Cache[int, bool] = CLASSES[policy](size)
    expected = 0
    for key in keys:
        if cache.get(key):
            expected += 1
        else:
            cache[key] = True

    assert hits(keys, policy, size) == expected


@pytest.mark.parametrize("policy", [name for name in _core.policies() if name != "opt"])
def test_nothing_beats_the_optimum(policy: str) -> None:
    simulation = overdrive.simulate(skewed(20_000), sizes=[10, 100, 1000], policies=[policy])

    for size in simulation.sizes:
        assert 0 < simulation.row(policy, size).hits <= simulation.row("opt", size).hits


def test_keys_are_equal_as_in_a_cache() -> None:
    assert hits([1, 1.0, True, "1", (1,), (1.0,)], "lru", 10) == 3


@pytest.mark.parametrize("kind", ["array", "bytes", "numpy", "strided", "big-endian"])
def test_arrays_are_taken_without_an_object_per_key(kind: str) -> None:
    keys = skewed(3000)
    given_as = {
        "array": array("q", keys),
        "bytes": bytes(key % 256 for key in keys),
        "numpy": np.array(keys, dtype=np.uint32),
        "strided": np.repeat(np.array(keys, dtype=np.int64), 2)[::2],
        "big-endian": np.array(keys, dtype=">i4"),
    }[kind]
    expected = [key % 256 for key in keys] if kind == "bytes" else keys

    assert hits(given_as, "lru", 50) == hits(expected, "lru", 50)


@pytest.mark.parametrize("floats", [np.zeros(3), np.zeros((2, 2), dtype=np.int64)])
def test_other_arrays_are_refused(floats: object) -> None:
    with pytest.raises(TypeError, match="no trace: integers in one are"):
        overdrive.simulate(floats)  # type: ignore[arg-type]


def test_random_depends_on_the_seed_alone() -> None:
    keys = skewed(5000)
    one, same, other = (
        overdrive.simulate(keys, sizes=[50], policies=["rr"], seed=seed).row("random", 50).hits for seed in (1, 1, 2)
    )

    assert one == same != other


def test_sample_is_near_and_says_what_it_is() -> None:
    keys = skewed(200_000)
    exact = overdrive.simulate(keys, sizes=[1000, 2000], policies=["lru", "arc"])
    sampled = overdrive.simulate(keys, sizes=[1000, 2000], policies=["lru", "arc"], sample=0.25)

    assert sampled.is_sampled
    assert {row.sample_rate for row in sampled.rows} == {0.25}
    assert all(row.requests < 200_000 for row in sampled.rows)
    for row, true in zip(sampled.rows, exact.rows, strict=True):
        assert row.hit_ratio == pytest.approx(true.hit_ratio, abs=0.03)


def test_small_caches_get_more_of_the_keys() -> None:
    rows = overdrive.simulate(skewed(20_000), sizes=[10, 300, 3000], policies=["lru"], sample=1 / 16).rows

    assert [row.sample_rate for row in rows if row.policy == "lru"] == [1.0, 0.5, 0.0625]


def test_what_would_take_minutes_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overdrive._simulate.run.AFFORDABLE", 30_000)

    rows = overdrive.simulate(skewed(20_000), sizes=[4000], policies=["lru"]).rows

    assert {row.sample_rate for row in rows} == {0.5}


def test_progress_goes_from_0_to_1() -> None:
    shares: list[float] = []

    overdrive.simulate(skewed(1000), sizes=[5, 10], policies=["lru"], progress=shares.append)

    assert shares == [0.25, 0.5, 0.75, 1.0]


def test_error_of_a_callback_ends_the_replay() -> None:
    def fail(share: float) -> None:
        raise LookupError(share)

    with pytest.raises(LookupError):
        overdrive.simulate([1, 2], sizes=[1], progress=fail)


WRONG = {
    "no sizes": ({"sizes": []}, "sizes is empty"),
    "size 0": ({"sizes": [0]}, "size 0 is below the limit of 1"),
    "size too large": ({"sizes": [2**32]}, "size 4294967296 exceeds the limit of 4294967231"),
    "size no number": ({"sizes": ["many"]}, "size 'many' is neither"),
    "share above 100": ({"sizes": ["101%"]}, "size '101%' is not above 0% and at most 100%"),
    "share 0": ({"sizes": ["0%"]}, "size '0%' is not above 0%"),
    "policy": ({"policies": ["mru"]}, "policy 'mru' is not one of fifo, random, lru"),
    "only opt": ({"policies": ["opt"]}, "none besides 'opt'"),
    "sample 0": ({"sample": 0}, "sample 0 is not above 0 and at most 1"),
    "sample 2": ({"sample": 2.0}, "sample 2.0 is not above 0"),
}


@pytest.mark.parametrize(("arguments", "told"), WRONG.values(), ids=WRONG)
def test_wrong_argument_is_named_with_its_value_and_limit(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        overdrive.simulate([1, 2, 1], **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", [[1.5], [True], [None]])
def test_size_of_another_type_is_refused(sizes: list[object]) -> None:
    with pytest.raises(TypeError, match="neither an int nor a share"):
        overdrive.simulate([1], sizes=sizes)  # type: ignore[arg-type]


def test_names_must_not_be_one_string() -> None:
    with pytest.raises(TypeError, match="is a string"):
        overdrive.simulate([1], policies="lru")


def test_empty_trace_is_refused() -> None:
    with pytest.raises(ValueError, match="has no request"):
        overdrive.simulate([])


def test_key_that_cannot_be_hashed_is_refused() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        overdrive.simulate([[1]])  # type: ignore[list-item]


REFERENCE = {"FIFO": "fifo", "LRU": "lru", "LFU": "lfu", "SIEVE": "sieve", "2Q": "2q", "OPT": "opt"}


@pytest.mark.traces
def test_reference_hit_ratios_are_reproduced() -> None:
    folder = Path(os.environ.get("OVERDRIVE_TRACES", Path(__file__).parents[3] / "shared" / "traces"))
    if not (folder / "reference.json").exists():
        pytest.skip(f"no traces with a reference.json in {folder}")
    import json

    for name, trace in json.loads((folder / "reference.json").read_text())["traces"].items():
        expected = {int(size): ratios for size, ratios in trace["sizes"].items()}
        policies = [policy for policy in REFERENCE.values() if policy != "opt"]
        found = overdrive.simulate(folder / f"{name}.npz", sizes=list(expected), policies=policies, sample=1)
        for size, ratios in expected.items():
            for theirs, ours in REFERENCE.items():
                found_ratio = found.row(ours, size).hit_ratio * 100
                assert found_ratio == pytest.approx(ratios[theirs], abs=0.0011), (name, size, ours)
