"""What TTLCache and TLRUCache share: expiry, the timer, and foreign kinds of time."""

from __future__ import annotations

import datetime
import decimal
import math
import operator
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.kinds import EPOCH, Clock, Kind, Lifetime

MakeCache = Callable[..., Any]


class CountingClock(Clock):
    """Moves on with each call."""

    def __call__(self) -> Any:
        self.now += 1
        return self.now


def test_expired_exactly_at_the_deadline(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    cache.timer.tick(9)
    assert cache["a"] == 1
    cache.timer.tick(1)
    assert "a" not in cache


@pytest.mark.parametrize(
    "read",
    [
        lambda cache: cache["a"],
        lambda cache: cache.pop("a"),
        lambda cache: operator.delitem(cache, "a"),
    ],
    ids=["getitem", "pop", "delitem"],
)
def test_expired_item_is_missing(make_short_lived: MakeCache, read: Callable[[Any], object]) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    cache.timer.tick(10)
    with pytest.raises(KeyError) as caught:
        read(cache)
    assert caught.value.args == ("a",)


def test_expired_item_is_not_got_popped_or_kept(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    cache.timer.tick(10)
    assert "a" not in cache
    assert cache.get("a") is None
    assert cache.pop("a", 2) == 2
    assert cache.setdefault("a", 3) == 3
    assert cache["a"] == 3


def test_deleting_an_expired_item_removes_it_and_raises(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    cache.timer.tick(10)
    with pytest.raises(KeyError):
        del cache["a"]
    assert cache.expire() == []


@pytest.mark.parametrize(
    "look",
    [
        lambda cache: cache.get("a"),
        lambda cache: "a" in cache,
        lambda cache: list(iter(cache)),
        lambda cache: cache.pop("b", None),
    ],
    ids=["get", "in", "iter", "pop of another"],
)
def test_looking_does_not_remove_expired_items(make_short_lived: MakeCache, look: Callable[[Any], object]) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    cache.timer.tick(10)
    look(cache)
    assert cache.expire() == [("a", 1)]


@pytest.mark.parametrize(
    "use",
    [
        len,
        repr,
        bool,
        lambda cache: cache.currsize,
        lambda cache: operator.setitem(cache, "b", 2),
        list,
        lambda cache: cache.expire(),
        lambda cache: cache.setdefault("b", 2),
    ],
    ids=["len", "repr", "bool", "currsize", "setitem", "list", "expire", "setdefault"],
)
def test_using_removes_expired_items(make_short_lived: MakeCache, use: Callable[[Any], object]) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    cache.timer.tick(10)
    use(cache)
    cache.timer.tick(-10)  # an item that is still there would live again
    assert "a" not in cache


def test_expired_items_make_room_before_live_ones(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(2, life=10)
    cache["old"] = 1
    cache.timer.tick(5)
    cache["new"] = 2
    cache["old"]  # most recently used, but about to expire
    cache.timer.tick(5)
    cache["newest"] = 3
    assert list(cache) == ["new", "newest"]


def test_popitem_skips_expired_items(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache["old"] = 1
    cache.timer.tick(5)
    cache["new"] = 2
    cache.timer.tick(5)
    assert cache.popitem() == ("new", 2)
    with pytest.raises(KeyError, match="is empty"):
        cache.popitem()


def test_expire_returns_what_it_removed_in_order(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    for key in "abc":
        cache[key] = key.upper()
        cache.timer.tick(1)
    cache.timer.tick(9)
    assert cache.expire() == [("a", "A"), ("b", "B"), ("c", "C")]
    assert cache.expire() == []


def test_expire_at_a_given_time(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    cache.timer.tick(1)
    cache["b"] = 2
    assert cache.expire(9) == []
    assert cache.expire(time=10) == [("a", 1)]
    assert cache.expire(None) == []
    assert cache.expire(11) == [("b", 2)]


def test_storing_again_renews_the_deadline(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    cache.timer.tick(9)
    cache["a"] = 2
    cache.timer.tick(9)
    assert cache["a"] == 2


def test_reading_does_not_renew_the_deadline(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    cache.timer.tick(9)
    cache["a"], cache.get("a"), cache.setdefault("a", 2)
    cache.timer.tick(1)
    assert "a" not in cache


def test_clear_forgets_deadlines(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    cache.clear()
    cache.timer.tick(5)
    cache["a"] = 2
    cache.timer.tick(5)
    assert cache["a"] == 2


def test_many_replacements_leave_one_deadline_each(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(4, life=10)
    for number in range(1000):
        cache[number % 4] = number
        cache.timer.tick(0.001)
    assert len(cache) == 4
    cache.timer.tick(10)
    assert sorted(cache.expire()) == [(0, 996), (1, 997), (2, 998), (3, 999)]


def test_timer_passes_attributes_through(make_short_lived: MakeCache) -> None:
    cache = make_short_lived()
    cache.timer.tick(3)
    assert cache.timer.now == cache.timer() == 3
    with pytest.raises(AttributeError):
        cache.timer.absent


def test_frozen_timer_stands_still(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    with cache.timer as outer:
        cache.timer.tick(10)
        with cache.timer as inner:
            assert (outer, inner, cache.timer()) == (0, 0, 0)
        assert cache.timer() == 0
        assert cache["a"] == 1
    assert cache.timer() == 10
    assert "a" not in cache


def test_frozen_timer_thaws_after_an_error(make_short_lived: MakeCache) -> None:
    cache = make_short_lived()
    with pytest.raises(ZeroDivisionError), cache.timer:
        raise ZeroDivisionError
    cache.timer.tick(1)
    assert cache.timer() == 1


def test_freezing_belongs_to_one_thread(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    seen: list[Any] = []
    with cache.timer:
        cache.timer.tick(10)
        other = threading.Thread(target=lambda: seen.extend([cache.timer(), "a" in cache]))
        other.start()
        other.join()
        assert (cache.timer(), "a" in cache) == (0, True)
    assert seen == [10, False]


def test_one_operation_reads_the_clock_once(timed_kind: Kind) -> None:
    operations: list[Callable[[Any], object]] = [
        lambda cache: cache.get("a"),
        lambda cache: cache.pop("a"),
        lambda cache: cache.setdefault("a", 2),
        lambda cache: operator.setitem(cache, "a", 2),
        lambda cache: operator.setitem(cache, "b", 2),
        len,
        lambda cache: cache.currsize,
        lambda cache: cache.popitem(),
    ]
    for operation in operations:
        cache = timed_kind.make_short_lived(3, timer=CountingClock(), life=100)
        cache["a"] = 1
        before = cache.timer.now
        operation(cache)
        assert cache.timer.now == before + 1


def test_error_of_the_clock_passes_through_and_changes_nothing(timed_kind: Kind) -> None:
    class Broken(Clock):
        broken = False

        def __call__(self) -> Any:
            if self.broken:
                raise ZeroDivisionError("no time")
            return super().__call__()

    clock = Broken()
    cache = timed_kind.make_short_lived(3, timer=clock)
    cache["a"] = 1
    clock.broken = True
    operations: list[Callable[[], object]] = [
        lambda: cache["a"],
        lambda: operator.setitem(cache, "b", 1),
        lambda: "a" in cache,
        lambda: len(cache),
        lambda: cache.popitem(),
        lambda: cache.pop("a"),
        lambda: cache.expire(),
        lambda: list(cache),
        lambda: repr(cache),
        lambda: cache.currsize,
    ]
    for operation in operations:
        with pytest.raises(ZeroDivisionError, match="no time"):
            operation()
    clock.broken = False
    assert dict(cache.items()) == {"a": 1}
    cache._check()


TIMES: dict[str, tuple[Any, Any]] = {
    "int": (0, 1),
    "negative": (-(10**6), 1),
    "beyond 64 bits": (2**70, 2**65),
    "float": (0.0, 0.25),
    "huge float": (1e300, 1e299),
    "datetime": (EPOCH, datetime.timedelta(seconds=1)),
    "date": (datetime.date(2020, 1, 1), datetime.timedelta(days=1)),
    "decimal": (decimal.Decimal("0.1"), decimal.Decimal("0.1")),
    "int clock, float unit": (0, 0.5),
}


@pytest.mark.parametrize(("start", "unit"), TIMES.values(), ids=TIMES.keys())
def test_any_kind_of_time(timed_kind: Kind, start: Any, unit: Any) -> None:
    cache = timed_kind.make_short_lived(3, life=unit * 3, timer=Clock(start))
    cache["a"] = 1
    cache.timer.tick(unit)
    cache["b"] = 2
    cache.timer.tick(unit * 2)
    assert list(iter(cache)) == ["b"]  # list(cache) would ask for the length, which expires
    assert cache.expire() == [("a", 1)]
    assert cache.expire(cache.timer() + unit) == [("b", 2)]
    cache._check()


def test_life_without_end(timed_kind: Kind) -> None:
    cache = timed_kind.make_short_lived(3, life=math.inf)
    cache["a"] = 1
    cache.timer.tick(10**300)
    assert cache["a"] == 1
    assert cache.expire(10**301) == []


def test_time_beyond_the_calendar_stores_nothing(timed_kind: Kind) -> None:
    cache = timed_kind.make_short_lived(
        3, life=datetime.timedelta(days=1), timer=lambda: datetime.datetime.max.replace(tzinfo=datetime.UTC)
    )
    with pytest.raises(OverflowError):
        cache["a"] = 1
    assert len(cache) == 0


def test_times_that_cannot_be_compared_raise_and_change_nothing(timed_kind: Kind) -> None:
    clock = Clock(0)
    cache = timed_kind.make_short_lived(3, timer=clock)
    cache["a"] = 1
    clock.now = EPOCH
    with pytest.raises(TypeError):
        cache["a"]
    clock.now = 1
    assert cache["a"] == 1


def test_clock_that_jumps_back_revives_nothing_removed(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache["a"] = 1
    cache.timer.tick(10)
    assert len(cache) == 0
    cache.timer.tick(-10)
    assert "a" not in cache


def test_clock_that_jumps_back_prolongs_life(make_short_lived: MakeCache) -> None:
    cache = make_short_lived(life=10)
    cache.timer.tick(100)
    cache["a"] = 1
    cache.timer.tick(-100)
    assert cache["a"] == 1
    cache.timer.tick(109)
    assert cache["a"] == 1
    cache.timer.tick(1)
    assert "a" not in cache


def test_ttu_and_ttl_and_timer_are_read_only(timed_kind: Kind) -> None:
    cache = timed_kind.make(3)
    for name in ("timer", "ttl" if timed_kind.name == "TTLCache" else "ttu"):
        with pytest.raises(AttributeError):
            setattr(cache, name, 1)


def test_lifetime_helper_is_what_the_suite_thinks(timed_kind: Kind) -> None:
    cache = timed_kind.make_short_lived(3, life=7)
    assert getattr(cache, "ttl", 7) == 7
    assert getattr(cache, "ttu", Lifetime(7))(None, None, 1) == 8
