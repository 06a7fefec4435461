"""The replay and its measuring: hit ratios, pages, quantiles, the cost of a cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from overdrive.demo import cost
from overdrive.demo import replay as replays
from overdrive.demo.contenders import BASELINE, Contender, Handler, Serve, contenders, shuffled
from overdrive.demo.cost import cache_costs
from overdrive.demo.replay import Replay, clock_ns, quantile, replay_in_turns
from overdrive.demo.trace import Trace, packaged

# Of LRU on the whole trace, cold start, from the simulator that the trace collection documents.
REFERENCE_PERCENT = {138: 39.791, 688: 60.02, 1376: 68.492, 2751: 75.669, 6878: 82.993}
OURS = ("overdrive.cached", "overdrive.memoize", "overdrive.LRUCache")


@dataclass
class Blank:
    """A backend with short pages."""

    rendered: int = 0

    def page(self, product: int) -> bytes:
        self.rendered += 1
        return b"%d" % product


@pytest.fixture(scope="module")
def web12() -> Trace:
    return packaged()


@pytest.fixture(autouse=True)
def one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "PASSES", 1)


def run(requests: Sequence[int], *, taking_part: Sequence[Contender] | None = None, maxsize: int) -> Replay:
    return replay_in_turns(requests, taking_part or contenders(), backend=Blank(), maxsize=maxsize)


def lying(load: Serve, _: int) -> Handler:
    def serve(product: int) -> bytes:
        return b"wrong" if product == 3 else load(product)

    return Handler(serve, lambda requests: None)


@pytest.mark.parametrize(("maxsize", "percent"), REFERENCE_PERCENT.items())
def test_hit_ratio_equals_the_reference(web12: Trace, maxsize: int, percent: float) -> None:
    taking_part = [who for who in contenders() if who.name in OURS]

    served = run(web12.requests, taking_part=taking_part, maxsize=maxsize).served

    assert [round(100 * who.hit_ratio, 3) for who in served] == [percent] * len(OURS)


def test_all_caches_have_the_same_hits(web12: Trace) -> None:
    served = run(web12.requests[:20_000], maxsize=1000).served

    assert len(served) == 7
    assert len({who.misses for who in served if who.name != BASELINE}) == 1


def test_without_a_cache_each_request_is_a_miss() -> None:
    served = run([1, 1, 1], maxsize=2).served

    assert (served[0].name, served[0].misses, served[0].hit_ratio) == (BASELINE, 3, 0)


@pytest.mark.parametrize("turn", [1, 2, 7, 8, 2000])
def test_length_of_a_turn_changes_neither_misses_nor_pages(monkeypatch: pytest.MonkeyPatch, turn: int) -> None:
    monkeypatch.setattr(replays, "TURN", turn)

    replayed = run([0, 1, 2, 0, 3, 0, 1, 0], maxsize=2)

    assert {who.misses for who in replayed.served[1:]} == {6}
    assert {len(who.latencies_ns) for who in replayed.served} == {8}
    assert replayed.digest == hashlib.sha256(b"01203010").hexdigest()


def test_each_pass_starts_with_empty_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "PASSES", 3)

    served = run([0, 1, 0, 1], maxsize=2).served

    assert {who.hit_ratio for who in served[1:]} == {0.5}


def test_all_contenders_return_the_same_pages(web12: Trace) -> None:
    assert not any(who.differing for who in run(web12.requests[:5000], maxsize=300).served)


def test_wrong_pages_are_counted() -> None:
    liar = Contender("liar", None, lying)

    served = run([3, 1, 3], taking_part=[contenders()[0], liar], maxsize=2).served

    assert [who.differing for who in served] == [0, 2]


def test_progress_ends_with_the_last_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "TURN", 2)
    shares: list[float] = []

    replay_in_turns([0, 1, 2, 3], contenders(), backend=Blank(), maxsize=2, advance=shares.append)

    assert shares == [0.5, 1]


def test_order_of_turns_varies_but_not_between_runs() -> None:
    orders = [[who.name for who in shuffled(contenders(), turn)] for turn in range(20)]

    assert len(set(map(tuple, orders))) > 10
    assert orders == [[who.name for who in shuffled(contenders(), turn)] for turn in range(20)]


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(1, 0.5, 1), (2, 0.5, 1), (3, 0.5, 2), (100, 0.99, 99), (101, 0.99, 100), (5, 0, 1), (5, 1, 5)],
)
def test_quantile_is_the_least_value_that_enough_do_not_exceed(count: int, share: float, expected: int) -> None:
    assert quantile(range(1, count + 1), share) == expected


def test_clock_costs_no_less_than_nothing() -> None:
    assert clock_ns() >= 0


def test_cost_is_that_of_the_cache_without_loop_and_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0

    def spend(nanoseconds: int) -> None:
        nonlocal now
        now += nanoseconds

    def load(_: int) -> bytes:
        spend(7)
        return b""

    def half_missed(load: Callable[[int], bytes], _: int) -> Handler:
        def replay(requests: Sequence[int]) -> None:
            for product in requests:
                spend(50)
                if product % 2:
                    load(product)

        return Handler(load, replay)

    monkeypatch.setattr(cost, "perf_counter_ns", lambda: now)
    monkeypatch.setattr(cost, "_load", load)

    costs = cache_costs(range(10), [Contender("cache", None, half_missed)], maxsize=5, miss_ratios={"cache": 0.5})

    assert costs == {"cache": 50}
