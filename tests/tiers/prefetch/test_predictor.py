"""The predictor by itself: what it learns, proposes, and counts."""

from __future__ import annotations

import random
import threading
from array import array
from collections.abc import Iterable

import pytest

from overdrive._core import Predictor
from overdrive._simulate.objects import from_buffer


def walk(predictor: Predictor, keys: Iterable[int], *, context: int = 0) -> list[int]:
    """Ask for keys that are never in the cache; returns what was proposed."""
    return [key for asked in keys for key in predictor.observe(context, asked)]


def learned(loop: int = 50, rounds: int = 30) -> Predictor:
    """A predictor that has seen the keys 0 to `loop` go round."""
    predictor = Predictor()
    for _ in range(rounds):
        walk(predictor, range(loop))
    return predictor


def test_what_follows_is_proposed_once_predictions_came_true() -> None:
    predictor = Predictor()

    assert walk(predictor, range(50)) == []
    walk(predictor, list(range(50)) * 30)

    assert predictor.observe(0, 7) == [8, 9]


def test_two_steps_ahead_are_proposed_at_once() -> None:
    predictor = learned()

    proposed = predictor.observe(0, 20)

    assert proposed == [21, 22]
    for key in proposed:
        predictor.issued(key)
    # What is on its way already is not proposed again.
    assert predictor.observe(0, 21) == [23]


def test_lateness_makes_it_look_farther_ahead() -> None:
    predictor = learned()
    for key in (1, 2, 3, 4, 5, 6):
        predictor.issued(key)
        predictor.late(key)

    assert predictor.depth == 5
    walk(predictor, [*range(50)] * 40)
    assert predictor.observe(0, 20) == [21, 22, 23, 24, 25]


def test_contexts_are_told_apart() -> None:
    mixed, apart = Predictor(), Predictor()
    draw = random.Random(3)
    chains = {context: [context * 100 + step for step in range(5)] for context in range(40)}
    for _ in range(400):
        places = dict.fromkeys(draw.sample(sorted(chains), 8), 0)
        while places:
            context = draw.choice(sorted(places))
            key = chains[context][places[context]]
            mixed.observe(0, key)
            apart.observe(context, key)
            places[context] += 1
            if places[context] == 5:
                del places[context]

    assert apart.observe(1000, 300) == [301, 302]
    assert mixed.observe(1000, 300) == []
    assert dict(apart.successors(301)) == {302: 1.0}


def test_guard_closes_on_waste_and_opens_when_predictions_come_true() -> None:
    predictor = learned()
    for key in range(120):
        predictor.issued(1000 + key)
        predictor.wasted(1000 + key)

    assert not predictor.is_open
    assert predictor.closings == 1
    before = predictor.stats()["guarded"]
    walk(predictor, list(range(50)) * 2)
    assert predictor.stats()["guarded"] > before

    # Nothing is fetched meanwhile: what would have been is only watched.
    for _ in range(200):
        walk(predictor, range(50))
        if predictor.is_open:
            break

    assert predictor.is_open
    walk(predictor, list(range(50)) * 20)  # the budget, which the waste has spent, fills up
    assert predictor.observe(0, 7) == [8, 9]


def test_budget_bounds_what_is_not_used() -> None:
    predictor = Predictor(budget=0)
    for _ in range(30):
        walk(predictor, range(500))
    issued = 0
    for at in range(5000):
        for key in predictor.observe(0, at % 500):
            predictor.issued(key)
            issued += 1

    assert issued == 64  # what a budget holds to begin with
    assert predictor.stats()["over_budget"] > 0


def test_used_prefetches_cost_no_budget() -> None:
    predictor = Predictor(budget=0)
    on_their_way: set[int] = set()
    for _ in range(40):
        for key in range(500):
            if key in on_their_way:
                on_their_way.remove(key)
                predictor.used(key)
            for proposed in predictor.observe(0, key):
                predictor.issued(proposed)
                on_their_way.add(proposed)

    assert predictor.stats()["used"] > 5000
    assert predictor.stats()["over_budget"] == 0


def test_memory_is_fixed() -> None:
    predictor = Predictor(rows=256, contexts=16)
    memory = predictor.memory
    draw = random.Random(1)
    for _ in range(20_000):
        predictor.observe(draw.getrandbits(64), draw.getrandbits(64))

    assert predictor.memory == memory < 500_000
    assert len(predictor) <= 256


def test_reset_forgets_everything() -> None:
    predictor = learned()

    predictor.reset()

    assert len(predictor) == 0
    assert set(predictor.stats().values()) == {0}
    assert predictor.observe(0, 7) == []
    assert repr(predictor) == "<Predictor of 0 keys (about 65536 at most), guard open>"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"rows": 0}, "rows 0 is not from 1 to 67108864"),
        ({"contexts": 2**40}, "contexts 1099511627776 is not from 1 to 67108864"),
        ({"budget": -0.1}, "budget -0.1 is not from 0 to 1"),
        ({"budget": float("nan")}, "budget NaN is not from 0 to 1"),
        ({"precision": 1.5}, "precision 1.5 is not from 0 to 1"),
        ({"depth": 0}, "depth 0 is not from 1 to 16"),
        ({"depth": 17}, "depth 17 is not from 1 to 16"),
    ],
)
def test_wrong_argument_is_named_with_its_limit(arguments: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Predictor(**arguments)  # type: ignore[arg-type]


def test_hash_out_of_range_is_refused() -> None:
    with pytest.raises(OverflowError):
        Predictor().observe(0, -1)


def test_replay_of_a_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="size 0 is below the limit of 1"):
        from_buffer(memoryview(array("Q", [1, 2]))).prefetch(0, 1)


def test_replay_takes_who_asked() -> None:
    draw = random.Random(5)
    keys, contexts = [], []
    places: dict[int, list[int]] = {}
    for at in range(60_000):
        if len(places) < 12:
            user = draw.randrange(2000) * 10
            places[at] = [user + step for step in (3, 2, 1, 0)]
        context = draw.choice(list(places))
        contexts.append(context)
        keys.append(places[context].pop())
        if not places[context]:
            del places[context]
    requests = from_buffer(memoryview(array("Q", keys)))

    plain, *_ = requests.prefetch(1000, 1, ahead=False)
    alone, *_ = requests.prefetch(1000, 1)
    apart, issued, used, *_ = requests.prefetch(1000, 1, contexts)

    assert apart > alone + 10_000 > plain + 10_000
    assert used > issued * 0.8


def test_threads_share_a_predictor() -> None:
    predictor = Predictor(rows=512, contexts=32)
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def hammer(seed: int) -> None:
        draw = random.Random(seed)
        start.wait()
        try:
            for _ in range(5000):
                for key in predictor.observe(draw.randrange(64), draw.randrange(40)):
                    predictor.issued(key)
                    draw.choice((predictor.used, predictor.wasted, predictor.late))(key)
                predictor.successors(3)
        except BaseException as failure:  # noqa: BLE001 - shown below
            failures.append(failure)

    threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stats = predictor.stats()
    assert failures == []
    assert stats["observed"] == 20_000
    assert stats["issued"] == stats["used"] + stats["wasted"] + stats["late"]
