"""The prefetcher in front of a small cache."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Hashable

import pytest

from overdrive._tiers.prefetch import Prefetcher
from tests.tiers.prefetch.small_cache import SmallCache

PARTS = ("user", "permissions", "orders", "cart")


def sessions(requests: int, *, active: int = 24, seed: int = 4) -> list[tuple[int, str]]:
    """Who asks for what, as it arrives: each session about a user's objects, in order, or about things at random."""
    draw = random.Random(seed)
    running: list[tuple[int, list[str]]] = []
    trace: list[tuple[int, str]] = []
    started = 0
    while len(trace) < requests:
        while len(running) < active:
            started += 1
            user = int(1500 * draw.random() ** 2)
            wanted = [f"{part}/{user}/" for part in PARTS]
            if draw.random() > 0.7:
                wanted = [f"thing/{int(draw.paretovariate(0.6)) % 20_000}/" for _ in range(draw.randrange(1, 6))]
            running.append((started, wanted[::-1]))
        place = draw.randrange(len(running))
        session, left = running[place]
        trace.append((session, left.pop()))
        if not left:
            del running[place]
    return trace


def replay(trace: list[tuple[int, str]], *, by_session: bool = True, **options: object) -> SmallCache:
    cache = SmallCache(600, **options)  # type: ignore[arg-type]
    for session, key in trace:
        cache.get(key, context=session if by_session else 0)
    return cache


def circle(cache: SmallCache, keys: range, times: int) -> int:
    """Ask for keys in a circle; returns how many were hits."""
    before = cache.hits
    for _ in range(times):
        for key in keys:
            cache.get(f"k/{key}/", context=1)
    return cache.hits - before


def test_sessions_are_predicted_where_the_global_order_is_noise() -> None:
    trace = sessions(40_000)

    none = replay(trace, enabled=False)
    mixed = replay(trace, by_session=False)
    apart = replay(trace)

    stats = apart.prefetcher.stats()
    assert apart.hits > none.hits + 0.1 * none.requests
    assert apart.hits > mixed.hits + 0.1 * none.requests
    assert stats.used > 0.8 * stats.issued
    assert stats.wasted + stats.late + stats.used <= stats.issued


def test_nothing_is_predicted_unless_enabled() -> None:
    cache = SmallCache(10, enabled=False)

    circle(cache, range(30), 40)

    assert cache.submitted == []
    assert cache.prefetcher.stats().observed == 0
    assert repr(cache.prefetcher) == "<Prefetcher, off: 0 issued, 0 used, 0 wasted>"


def test_keys_are_there_in_time_though_loads_take_long() -> None:
    cache = SmallCache(100, delay=5)

    circle(cache, range(400), 10)
    hits = circle(cache, range(400), 5)

    assert hits > 0.9 * 5 * 400
    assert cache.prefetcher.stats().depth >= 5


def test_only_what_can_be_fetched_is_handed_over() -> None:
    cache = SmallCache(10)
    cache.unloadable = {f"k/{key}/" for key in range(0, 30, 2)}

    circle(cache, range(30), 60)

    assert cache.submitted
    assert not cache.unloadable & set(cache.submitted)


def test_nothing_is_fetched_while_the_tiers_below_are_in_trouble() -> None:
    cache = SmallCache(10)
    circle(cache, range(30), 40)
    cache.healthy = False
    before = len(cache.submitted)

    circle(cache, range(30), 10)

    assert len(cache.submitted) == before
    assert cache.prefetcher.stats().suppressed > 100
    assert cache.prefetcher.hint(["other"]) == 0

    cache.healthy = True
    circle(cache, range(30), 10)
    assert len(cache.submitted) > before


def test_it_stops_on_noise_and_resumes_when_the_pattern_comes_back() -> None:
    cache = SmallCache(20)
    draw = random.Random(6)
    assert circle(cache, range(60), 60) > 60 * 30
    open_until = None
    for at in range(20_000):
        # Each key is followed by what followed it before in half of the cases that it takes to be believed.
        cache.get(f"k/{draw.randrange(60)}/", context=1)
        if at == 10_000:
            open_until = cache.prefetcher.stats().issued

    stats = cache.prefetcher.stats()
    assert open_until is not None
    assert stats.issued - open_until < 0.05 * 10_000

    circle(cache, range(60), 200)
    assert circle(cache, range(60), 10) > 500


def test_waste_stays_within_the_budget() -> None:
    cache = SmallCache(20, budget=0.02)
    draw = random.Random(7)
    requests = 0
    for _ in range(300):
        start = draw.randrange(50) * 100
        # Every walk is predictable, and breaks off where it was not expected to.
        for key in range(start, start + draw.randrange(2, 8)):
            cache.get(f"k/{key}/", context=1)
            requests += 1

    stats = cache.prefetcher.stats()
    assert stats.wasted <= 0.02 * requests + 64 + 16


def test_pages_that_were_never_asked_for_are_predicted_from_their_numbers() -> None:
    cache = SmallCache(100)

    hits = [cache.get(f"page:{number}", context=1) for number in range(41, 61)]

    assert hits == [False] * 3 + [True] * 17
    assert cache.submitted[:2] == ["page:44", "page:45"]


def test_a_sequence_that_breaks_off_is_trusted_less() -> None:
    cache = SmallCache(5)
    draw = random.Random(8)
    issued = []
    for _ in range(200):
        start = draw.randrange(10**9)
        for step in range(3):
            cache.get(f"row:{start + step}", context=1)
        for _ in range(6):
            cache.get(f"x{draw.random()}y", context=1)
        issued.append(cache.prefetcher.stats().issued)

    assert issued[-1] == issued[20] <= 8


def test_hints_are_fetched_once_and_counted_apart() -> None:
    cache = SmallCache(10, enabled=False)
    cache.get("a")

    assert cache.prefetcher.hint(["a", "b", "c", "b"]) == 2
    assert cache.get("b")

    stats = cache.prefetcher.stats()
    assert cache.submitted == ["b", "c"]
    assert (stats.hinted, stats.issued, stats.used) == (2, 0, 1)
    assert cache.prefetcher.predictor.stats()["used"] == 0


def test_outcomes_are_told_apart() -> None:
    cache = SmallCache(3, delay=2, enabled=False)
    prefetcher = cache.prefetcher
    prefetcher.hint(["used", "late"])
    cache.get("late")
    cache.get("x")
    cache.get("used")
    prefetcher.hint(["wasted"])
    for key in "abcdef":
        cache.get(key)
    prefetcher.hint(["failed"])
    prefetcher.failed("failed")
    prefetcher.failed("unknown")

    stats = prefetcher.stats()
    assert (stats.used, stats.late, stats.wasted, stats.failed) == (1, 1, 1, 1)


def test_what_is_on_its_way_cannot_leave() -> None:
    cache = SmallCache(3, delay=5, enabled=False)
    cache.prefetcher.hint(["a"])
    cache.prefetcher.left("a")
    for key in "bcdefg":
        cache.get(key)

    assert cache.get("a")
    assert (cache.prefetcher.stats().wasted, cache.prefetcher.stats().used) == (0, 1)


def test_what_left_without_a_word_was_wasted() -> None:
    cache = SmallCache(3)
    circle(cache, range(30), 40)
    before = cache.prefetcher.stats()
    key = next(key for key in cache.submitted[::-1] if key in cache.memory)
    del cache.memory[key]

    cache.get(key, context=1)

    assert cache.prefetcher.stats().wasted > before.wasted


def test_tasks_are_told_apart() -> None:
    cache = SmallCache(40)
    draw = random.Random(5)

    async def session(user: int) -> None:
        for part in PARTS:
            cache.get(f"{part}/{user}/")
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(0)

    async def main() -> None:
        for _ in range(150):
            await asyncio.gather(*(session(draw.randrange(100)) for _ in range(10)))

    asyncio.run(main())

    assert cache.prefetcher.access_patterns["user/7/"][0].key == "permissions/7/"
    stats = cache.prefetcher.stats()
    assert stats.used > 0.8 * stats.issued > 500


def test_two_steps_ahead_are_fetched_at_once() -> None:
    cache = SmallCache(10)
    circle(cache, range(30), 40)
    for number in range(40):
        cache.get(f"z/{number}/", context=2)
    before = len(cache.submitted)

    cache.get("k/11/", context=3)

    assert cache.submitted[before:] == ["k/12/", "k/13/"]


def test_error_of_submit_is_passed_on_and_the_keys_are_free_again() -> None:
    broken = True
    submitted: list[Hashable] = []

    def submit(keys: list[Hashable]) -> None:
        if broken:
            raise RuntimeError("closed")
        submitted.extend(keys)

    prefetcher = Prefetcher(submit, is_cached=lambda _: False, is_candidate=lambda _: True)
    with pytest.raises(RuntimeError, match="closed"):
        prefetcher.hint(["a"])
    broken = False

    assert prefetcher.hint(["a"]) == 1
    assert submitted == ["a"]


def test_access_patterns_show_what_follows_what() -> None:
    cache = SmallCache(10)
    for _ in range(20):
        for key in ("user:x", "cart:x"):
            cache.get(key, context=1)
    patterns = cache.prefetcher.access_patterns

    assert patterns["user:x"][0] == ("cart:x", 1.0)
    assert set(patterns) == {"user:x", "cart:x"}
    assert len(patterns) == 2
    assert repr(patterns) == "<AccessPatterns of 2 keys>"
    with pytest.raises(KeyError, match="nobody"):
        patterns["nobody"]


def test_access_patterns_leave_out_keys_that_cannot_be_fetched() -> None:
    cache = SmallCache(10)
    cache.unloadable = {"cart:x"}
    for _ in range(20):
        for key in ("user:x", "cart:x", "user:x", "orders:x"):
            cache.get(key, context=1)

    patterns = cache.prefetcher.access_patterns
    assert patterns["user:x"] == (("orders:x", 0.5),)
    assert "cart:x" not in set(patterns)


def test_tables_are_bounded() -> None:
    cache = SmallCache(10, keys=64)
    draw = random.Random(2)
    for _ in range(3000):
        cache.get(("k", draw.randrange(10**6)), context=draw.randrange(10**6))

    patterns = cache.prefetcher.access_patterns
    assert len(patterns._keys()) == 64
    assert len(cache.prefetcher._strides) <= 1024


def test_reset_forgets_everything() -> None:
    cache = SmallCache(10)
    circle(cache, range(30), 40)

    cache.prefetcher.reset()

    stats = cache.prefetcher.stats()
    assert (stats.observed, stats.issued, stats.used, stats.wasted) == (0, 0, 0, 0)
    assert len(cache.prefetcher.access_patterns) == 0


@pytest.mark.parametrize("options", [{"keys": 0}, {"budget": 2.0}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is not from"):
        SmallCache(10, **options)  # type: ignore[arg-type]


def test_threads_share_a_prefetcher() -> None:
    fetched: list[Hashable] = []
    present: set[Hashable] = set()
    lock = threading.Lock()

    def submit(keys: list[Hashable]) -> None:
        with lock:
            fetched.extend(keys)
            present.update(keys)
        for key in keys:
            prefetcher.come(key)

    prefetcher = Prefetcher(submit, is_cached=present.__contains__, is_candidate=lambda _: True, enabled=True)
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        draw = random.Random(seed)
        start.wait()
        try:
            for _ in range(300):
                first = draw.randrange(8) * 10
                for key in range(first, first + 8):
                    prefetcher.observed(key, key in present)
                    if draw.random() < 0.3:
                        present.discard(key)
                        prefetcher.left(key)
                list(prefetcher.access_patterns)
        except BaseException as failure:  # noqa: BLE001 - shown below
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stats = prefetcher.stats()
    assert failures == []
    assert stats.observed == 4 * 300 * 8
    assert stats.issued == len(fetched) > 0
    assert stats.used + stats.wasted + stats.late <= stats.issued


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_goes_on_though_a_thread_held_the_lock() -> None:
    cache = SmallCache(10, delay=5, enabled=False)
    cache.prefetcher.hint(["a"])
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with cache.prefetcher._lock:
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    child = os.fork()
    if child == 0:
        # The fetch of "a" was the parent's: it is to be had again.
        os._exit(0 if cache.prefetcher.hint(["a"]) == 1 else 1)
    _, status = os.waitpid(child, 0)
    release.set()
    thread.join()

    assert os.waitstatus_to_exitcode(status) == 0
    assert cache.prefetcher.hint(["a"]) == 0
