"""The quick way to one row: it answers as the careful one does, or leaves it to that, and keeps nothing locked."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from itertools import product
from math import inf, nan
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import pytest

from overdrive._core import _DiskTier
from overdrive._tiers.l3.row import INLINE_BYTES, LONGEST_KEY, Row
from overdrive._tiers.l3.schema import Sql
from overdrive._tiers.l3.tier import DiskTier
from overdrive.testing import FakeClock

from .conftest import START

MOST = 2**64 - 1
PLAIN: dict[str, Any] = {"expires": inf, "version": 0, "attach": b""}


class Index:
    """A number, and no int."""

    def __index__(self) -> int:
        return 1


LATER = Row(b"left to the careful way", 0.0, 0, b"", (), 0, False)


@pytest.fixture
def tier(open_tier: Callable[..., DiskTier]) -> DiskTier:
    """A tier with a connection to every shard, and nothing else to look after."""
    opened = open_tier()
    for number in range(100):
        assert opened.put(b"warm-%d" % number, b"v")
        opened.get(b"warm-%d" % number)
    return opened


def quick(tier: DiskTier, key: bytes) -> Row | None:
    """Read in the quick way alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tier, "_find", lambda key: LATER)
        return tier.get(key)


def test_both_ways_find_the_same(tier: DiskTier) -> None:
    for expires, version, attach, tags, size in product(
        (START + 1, inf),
        (0, 1, 2**63 - 1, 2**63, MOST),
        (b"", b"session"),
        ((), (0,), (1, 2**63, MOST)),
        (0, 1, INLINE_BYTES),
    ):
        blob = b"b" * size
        assert tier.put(b"k", blob, expires=expires, version=version, attach=attach, tags=tags)
        row = quick(tier, b"k")
        assert row == tier._find(b"k") == Row(blob, expires, version, attach, tags, size, False)
        assert type(row) is Row
        assert hash(row) == hash(tier._find(b"k"))
        assert [type(field) for field in row] == [bytes, float, int, bytes, tuple, int, bool]


@pytest.mark.parametrize("version", [0, 2**63 - 1, 2**63, MOST])
@pytest.mark.parametrize("size", [0, 1, INLINE_BYTES])
def test_both_ways_store_the_same(tier: DiskTier, version: int, size: int) -> None:
    given: dict[str, Any] = {"expires": START + 9, "version": version, "attach": b"s"}
    assert tier._store_plain(b"quick", b"b" * size, **given)
    assert tier.put(b"careful", b"b" * size, is_current=lambda: True, **given)
    assert quick(tier, b"quick") == quick(tier, b"careful") is not None
    columns = "expires, version, epoch, touched, size, attach, tags, file, blob"

    def stored(key: bytes) -> object:
        sql = f"SELECT {columns} FROM entry WHERE key = ?"
        return tier._attempt(crc32(key) % tier._count, lambda handle: handle.run(sql, (key,)))

    assert stored(b"quick") == stored(b"careful") != []


def test_what_is_not_plain_is_left_to_the_careful_way(tier: DiskTier, clock: FakeClock, tmp_path: Path) -> None:
    assert quick(tier, "text") is LATER  # type: ignore[arg-type]
    assert quick(tier, bytearray(b"k")) is LATER  # type: ignore[arg-type]
    assert tier.put(b"large", b"b" * (INLINE_BYTES + 1))
    assert quick(tier, b"large") is LATER
    before = tier._counts
    clock.advance(0.3)  # it is time to see whether shards were replaced
    assert quick(tier, b"warm-1") is quick(tier, b"none") is LATER
    assert not tier._store_plain(b"k", b"v", **PLAIN)
    assert tier._counts == before
    assert tier.get(b"warm-1") is not None
    assert quick(tier, b"warm-1") is not LATER
    tier._notice_at = clock() + 100  # as if the clock had been set back
    assert quick(tier, b"warm-1") is LATER
    assert tier.get(b"warm-1") is not None
    assert quick(tier, b"warm-1") is not LATER
    for shard in tier._shards:
        shard._end_generation()
    found = [quick(tier, b"warm-%d" % number) is LATER for number in range(100)]
    assert all(found)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": b"k" * (LONGEST_KEY + 1)},
        {"key": "text"},
        {"blob": b"b" * (INLINE_BYTES + 1)},
        {"blob": bytearray(b"b")},
        {"expires": nan},
        {"expires": 1},
        {"version": -1},
        {"version": MOST + 1},
        {"version": 1.0},
        {"version": Index()},
        {"attach": "text"},
    ],
    ids=lambda wrong: f"{next(iter(wrong))}-{type(next(iter(wrong.values()))).__name__}",
)
def test_what_cannot_be_stored_quickly_is_not_stored(tier: DiskTier, wrong: dict[str, Any]) -> None:
    assert tier._store_plain(**{"key": b"k", "blob": b"b", **PLAIN, **wrong}) is False
    assert quick(tier, b"k") is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("blob", "text"), ("blob", None), ("expires", b"x"), ("version", b"x"), ("attach", None), ("attach", 5)),
        *(("tags", b"1234567"), ("tags", "text"), ("touched", "x"), ("size", 2), ("size", 0), ("size", "x")),
    ],
)
def test_a_column_that_is_not_as_it_was_written_is_damage(tier: DiskTier, column: str, value: object) -> None:
    tier.put(b"k", b"v")
    for index in range(8):
        tier._attempt(index, lambda handle: handle.run(f"UPDATE entry SET {column} = ? WHERE key = ?", (value, b"k")))
    assert quick(tier, b"k") is LATER
    assert tier.get(b"k") is None
    assert tier.stats().events["rows_damaged"] == 1
    assert tier.get(b"k") is None
    assert tier.stats().events["rows_damaged"] == 1


class Interrupt(BaseException):
    """What no code of ours expects."""


@pytest.mark.parametrize("error", [Interrupt, RuntimeError, MemoryError])
def test_whatever_interrupts_leaves_the_session_unlocked(tier: DiskTier, error: type[BaseException]) -> None:
    def execute(sql: str, arguments: object) -> object:
        raise error("from the engine")

    session = tier._sessions.mine()
    for handle in session.handles:
        assert handle is not None
        handle.execute = execute  # type: ignore[assignment]
    with pytest.raises(error, match="from the engine"):
        quick(tier, b"k")
    with pytest.raises(error, match="from the engine"):
        tier._store_plain(b"k", b"v", **PLAIN)
    assert not session.in_use
    assert session.seize()
    session.let_go()


def test_a_fault_of_the_disk_is_looked_into_elsewhere(tier: DiskTier) -> None:
    def execute(sql: str, arguments: object) -> object:
        raise OSError("from the disk")

    session = tier._sessions.mine()
    for handle in session.handles:
        assert handle is not None
        handle.execute = execute  # type: ignore[assignment]
    assert quick(tier, b"k") is LATER
    assert tier._store_plain(b"k", b"v", **PLAIN) is False
    assert not session.in_use
    assert session.seize()
    session.let_go()


class BreakableClock:
    """Stands still, and fails if told to."""

    error: Exception | None = None

    def __call__(self) -> float:
        if self.error is not None:
            raise self.error
        return START


@pytest.mark.parametrize("error", [RuntimeError("no time"), ValueError("no time")], ids=["runtime", "value"])
def test_a_clock_that_fails_is_the_callers_and_no_damage(open_tier: Callable[..., DiskTier], error: Exception) -> None:
    tell = BreakableClock()
    tier = open_tier(clock=tell)
    tier.put(b"k", b"v")
    tier.get(b"k")
    tell.error = error
    works: list[Callable[[bytes], object]] = [tier._find, tier.get, tier.header, lambda key: tier.get_many([key])]
    works += [lambda key: tier.put(key, b"w"), lambda _: list(tier.iterate())]
    for work in works:
        with pytest.raises(type(error), match="no time"):
            work(b"k")
    tell.error = None
    for row in (tier.get(b"k"), tier._find(b"k")):
        assert row is not None
        assert row.blob == b"v"
    assert "rows_damaged" not in tier.stats().events


@pytest.mark.parametrize("odd", [inf, -inf, nan, 1e300])
def test_a_time_that_no_row_can_hold_is_an_error(
    open_tier: Callable[..., DiskTier], clock: FakeClock, odd: float
) -> None:
    now = clock()
    tier = open_tier(clock=lambda: now)
    assert tier.put(b"k", b"v")
    assert tier.get(b"k") is not None
    now = odd
    assert not tier._store_plain(b"k", b"w", **PLAIN)
    with pytest.raises((OverflowError, ValueError)):
        tier.put(b"k", b"w")
    now = clock()
    row = tier.get(b"k")
    assert row is not None
    assert row.blob == b"v"


def test_when_an_entry_was_read_is_written_within_a_minute(tier: DiskTier, clock: FakeClock) -> None:
    def touched() -> object:
        rows = tier._attempt(crc32(b"warm-1") % 8, lambda handle: handle.run(Sql.READ, (b"warm-1",)))
        return rows and rows[0][-2]

    assert touched() == START
    clock.advance(601)
    assert tier.get(b"none") is None  # looks for replaced shards
    row = quick(tier, b"warm-1")
    assert row is not None
    assert row.blob == b"v"
    read_at = clock()
    tier._tidy()
    assert touched() == START
    with pytest.MonkeyPatch.context() as patch:
        woken = threading.Event()
        patch.setattr(tier._writer, "wake", woken.set)
        clock.advance(59)
        tier.get(b"warm-2")
        assert not woken.is_set()
        clock.advance(1)
        tier.get(b"warm-3")
        assert woken.is_set()
    tier._tidy()
    assert touched() == read_at


class Fields(NamedTuple):
    one: int


def test_a_class_of_rows_that_it_cannot_fill_is_refused() -> None:
    given: dict[str, Any] = {"clock": float, "faults": (), "read": "", "write": "", "touch_every": 1.0}
    given |= {"longest_key": 1, "longest_blob": 1}
    base: Any = _DiskTier.__new__(_DiskTier)
    with pytest.raises(ValueError, match="row must be"):
        base.__init__(object(), row=int, **given)
    base.__init__(object(), row=Fields, **given)
    with pytest.raises(RuntimeError, match="has run already"):
        base.__init__(object(), row=Fields, **given)


def test_a_tier_that_was_not_set_up_says_so() -> None:
    unready: Any = DiskTier.__new__(DiskTier)
    with pytest.raises(RuntimeError, match="has not run"):
        unready.get(b"k")
    with pytest.raises(RuntimeError, match="has not run"):
        unready._store_plain(b"k", b"v", **PLAIN)
    with pytest.raises(ValueError, match="at least one shard"):
        unready._count = 0


def test_a_clock_that_knows_its_tier_does_not_keep_it(tmp_path: Path, engine: str) -> None:
    class Watched(DiskTier):
        def __init__(self, path: Path, alive: set[str]) -> None:
            self.alive = alive
            super().__init__(path, engine=engine, clock=self.tell)

        def tell(self) -> float:
            return START

        def __del__(self) -> None:
            self.alive.discard("tier")

    alive = {"tier"}
    tier = Watched(tmp_path / "own", alive)
    tier.close()
    freed = weakref.finalize(vars(tier)["_sessions"].local, alive.discard, "local")
    del tier
    gc.collect()
    assert not alive
    # The collector calls finalizers first: only what it could free is gone.
    assert not freed.alive
    assert not [found for found in gc.get_objects() if type(found) is Watched]


def test_what_was_counted_is_summed(tier: DiskTier) -> None:
    before = tier._counts
    tier._add_counts(hits=1, misses=2, expired=3, writes=4)
    tier._add_counts(hits=True, misses=False)
    assert tuple(map(sum, zip(before, (2, 2, 3, 4), strict=True))) == tier._counts
    assert Sql.FIND.startswith("SELECT blob, expires, version, attach, tags, epoch, touched, size ")
