"""Entries that know where their value came from: when they are returned, and when no more."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from math import inf
from typing import Any, cast

import pytest

from overdrive import LRUCache, memoize
from overdrive._core import Coherence, Entry, Memo
from overdrive._memoize.lifetimes import Verdict, judge
from overdrive._memoize.options import Options
from overdrive.testing import FakeClock


@pytest.fixture
def coherence() -> Coherence:
    return Coherence()


def make(proof: Coherence | None = None, value: Any = "value", **arguments: Any) -> Entry:
    if proof is not None:
        arguments = {"coherence": proof, "stamp": proof.stamp(), "names": (b"kone", b"tteam"), **arguments}
    return Entry(value, **{"quiet_until": inf, "fresh_until": inf, "expires": inf, **arguments})


def options_of(function: Callable[..., Any]) -> Options:
    options: Options = cast("Any", function)._options
    return options


def standing(entry: Entry) -> str:
    return entry.standing


def test_an_entry_without_a_proof_is_current() -> None:
    entry = make()
    assert standing(entry) == "current" == entry._standing(1e300)
    assert (entry.stamp, entry.names, entry.extra) == (None, (), None)


def test_an_entry_shows_what_it_was_given(coherence: Coherence) -> None:
    coherence.bump(b"kother")
    extra = object()
    entry = make(coherence, extra=extra, quiet_until=5.0)
    assert (entry.stamp, entry.names, entry.quiet_until) == (1, (b"kone", b"tteam"), 5.0)
    assert entry.extra is extra
    assert make(extra=extra).extra is extra
    assert standing(make(extra=extra)) == "current"


@pytest.mark.parametrize("name", [b"kone", b"tteam"])
def test_each_of_its_names_invalidates_an_entry(coherence: Coherence, name: bytes) -> None:
    entry = make(coherence)
    coherence.bump(b"kother")
    assert standing(entry) == "current"
    coherence.bump(name)
    assert standing(entry) == "invalid"
    coherence.bump_all()
    assert standing(entry) == "invalid"


def test_an_entry_whose_load_began_before_a_bump_is_born_dead(coherence: Coherence) -> None:
    stamp = coherence.stamp()
    coherence.bump(b"kone")
    assert make(coherence, stamp=stamp).standing == "invalid"
    assert make(coherence).standing == "current"


def test_a_gap_makes_an_entry_suspect_until_it_is_compared(coherence: Coherence) -> None:
    extra = object()
    entry = make(coherence, needs_trust=True, load_seconds=2.0, extra=extra, expires=1e300)
    coherence.trust(inf)
    coherence.bump_all()
    assert standing(entry) == "suspect"
    renewed = entry._restamped(coherence.stamp())
    assert standing(renewed) == "current"
    assert (renewed.value, renewed.names, renewed.stamp) == ("value", (b"kone", b"tteam"), 1)
    assert (renewed.load_seconds, renewed.expires, renewed.extra) == (2.0, 1e300, extra)
    assert standing(entry) == "suspect"
    coherence.trust(-inf)
    assert standing(renewed) == "untrusted"
    coherence.bump(b"tteam")
    assert standing(renewed) == "invalid"


def test_trust_is_needed_where_it_is_asked_for(coherence: Coherence) -> None:
    careful, careless = make(coherence, needs_trust=True), make(coherence)
    assert (standing(careful), standing(careless)) == ("untrusted", "current")
    coherence.trust(time.monotonic() + 1000)
    assert standing(careful) == "current"
    coherence.trust(10.0)
    assert careful._standing(9.9) == "current"
    assert careful._standing(10.0) == "untrusted"
    assert careless._standing(10.0) == "current"


@pytest.mark.parametrize(
    "arguments",
    [
        {"coherence": Coherence()},
        {"stamp": 1},
        {"names": (b"k",)},
        {"needs_trust": True},
        {"coherence": Coherence(), "names": (b"k",)},
        {"stamp": 0, "names": (b"k",)},
    ],
)
def test_half_a_proof_is_none(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="coherence and stamp belong together"):
        make(**arguments)


@pytest.mark.parametrize(("names", "error"), [(("text",), TypeError), ([b"k"], TypeError), (b"k", TypeError)])
def test_names_are_a_tuple_of_bytes(coherence: Coherence, names: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make(coherence, names=names)


@pytest.mark.parametrize("stamp", [-1, 2**64])
def test_a_stamp_is_one(coherence: Coherence, stamp: int) -> None:
    with pytest.raises(OverflowError):
        make(coherence, stamp=stamp)


def test_only_a_current_entry_is_judged_fresh(coherence: Coherence) -> None:
    options = options_of(memoize(ttl=60, stale=60)(str))
    fresh = make(coherence, needs_trust=True, fresh_until=100.0, expires=200.0)
    assert judge(options, fresh, 50.0) is Verdict.DOUBTFUL
    coherence.trust(170.0)
    assert judge(options, fresh, 50.0) is Verdict.FRESH
    assert judge(options, fresh, 150.0) is Verdict.REFRESH
    assert judge(options, fresh, 180.0) is Verdict.DOUBTFUL
    coherence.bump_all()
    assert judge(options, fresh, 50.0) is Verdict.DOUBTFUL
    coherence.bump(b"kone")
    assert judge(options, fresh, 50.0) is Verdict.GONE
    assert judge(options, fresh, 150.0) is Verdict.GONE


class Memoized:
    """A memoized function whose entries are made by the test."""

    def __init__(self, **options: Any) -> None:
        self.calls = 0
        self.cache: LRUCache[Any, Any] = LRUCache(100)

        def load(key: object) -> str:
            self.calls += 1
            return f"{key} loaded {self.calls}"

        self.call: Any = memoize(cache=self.cache, ttl=60, **options)(load)


@pytest.fixture(params=["native clock", "fake clock"])
def memoized(request: pytest.FixtureRequest) -> Memoized:
    return Memoized(**({} if request.param == "native clock" else {"clock": FakeClock()}))


def test_a_memoized_function_answers_with_current_entries_only(memoized: Memoized, coherence: Coherence) -> None:
    memoized.cache[1] = make(coherence)
    assert [memoized.call(1) for _ in range(3)] == ["value"] * 3
    coherence.bump(b"kone")
    assert memoized.call(1) == "1 loaded 1"
    memoized.cache[2] = make(coherence)
    assert memoized.call(2) == "value"
    coherence.bump_all()
    assert memoized.call(2) == "2 loaded 2"


def test_a_memoized_function_needs_trust_where_entries_do(memoized: Memoized, coherence: Coherence) -> None:
    memoized.cache[1] = make(coherence, needs_trust=True)
    coherence.trust(inf)
    assert memoized.call(1) == "value"
    coherence.trust(-inf)
    assert memoized.call(1) == "1 loaded 1"


def test_what_was_invalidated_is_swept_away(coherence: Coherence) -> None:
    memoized = Memoized()
    for key in range(20):
        memoized.cache[key] = make(coherence, names=(b"kold",))
    for key in range(20, 25):
        memoized.cache[key] = make(coherence)
    coherence.bump(b"kold")
    coherence.bump_all()  # suspect is not gone
    cast("Memo", memoized.call)._sweep(time.monotonic(), 30)
    assert sorted(memoized.cache) == list(range(20, 25))


def test_an_entry_in_a_cycle_is_collected(coherence: Coherence) -> None:
    class Extra:
        entry: Entry

    extra = Extra()
    extra.entry = make(coherence, extra=extra)
    gone = weakref.ref(extra)
    del extra
    gc.collect()
    assert gone() is None


def test_entries_outlive_the_names_of_their_coherence(coherence: Coherence) -> None:
    entry = make(Coherence(), names=(b"k" * 1000,))
    gc.collect()
    assert standing(entry) == "current"
    assert entry.names == (b"k" * 1000,)
