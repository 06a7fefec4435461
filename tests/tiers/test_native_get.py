"""What the native `get` of a tiered cache answers, what it leaves to `_find`, and keys that do their worst."""

from __future__ import annotations

import asyncio
import gc
import mmap
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest

from overdrive import MemoryCache
from overdrive._core import Coherence, Entry, _TieredCache
from overdrive.testing import FakeClock


class Found(_TieredCache[Any, Any]):
    """Remembers what was asked of it."""

    def __init__(self, l1: MemoryCache[Any, Any] | None = None, **arguments: Any) -> None:
        self.l1 = MemoryCache[Any, Any](100, **arguments) if l1 is None else l1
        super().__init__(self.l1)
        self.asked: list[Any] = []

    def _find(self, key: Any, default: Any) -> Any:
        self.asked.append((key, default))
        return "found"

    async def _afind(self, key: Any, default: Any) -> Any:
        self.asked.append((key, default))
        return "found later"


def run(awaitable: Awaitable[Any]) -> Any:
    """Await something outside of a loop: nothing here waits."""
    try:
        awaitable.__await__().__next__()
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


def entry(value: Any = "value", until: float = inf, **arguments: Any) -> Entry:
    return Entry(value, quiet_until=until, fresh_until=until, expires=until, **arguments)


def proven(coherence: Coherence, value: Any = "value", **arguments: Any) -> Entry:
    return entry(value, **{"coherence": coherence, "stamp": coherence.stamp(), "names": (b"k1",), **arguments})


@pytest.fixture(params=["short", "long"])
def cache(request: pytest.FixtureRequest) -> Found:
    """A cache whose hits take the short way, and one with a clock, whose hits do not."""
    return Found() if request.param == "short" else Found(clock=FakeClock())


@pytest.fixture
def coherence() -> Coherence:
    return Coherence()


def test_a_quiet_entry_is_answered_natively(cache: Found) -> None:
    cache.l1["a"] = entry()
    cache.l1[1] = entry(None)
    assert cache.get("a") == cache.get("a", 5) == cache.get("a", default=5) == cache.get(key="a") == "value"
    assert cache.get(1, 5) is None
    assert cache.asked == []
    assert cache._hits == 5
    assert cache.l1.stats().hits == 5


def test_a_value_that_is_no_entry_is_returned_as_it_is(cache: Found) -> None:
    cache.l1["a"] = [1]
    assert cache.get("a") is cache.l1["a"]
    assert cache._hits == 1


def test_hits_of_coroutines_are_there_at_once(cache: Found, coherence: Coherence) -> None:
    cache.l1["a"] = proven(coherence)
    assert run(cache.aget("a")) == run(cache.aget("a", 5)) == run(cache.aget("a", default=5)) == "value"
    assert asyncio.run(cache.aget("a")) == "value"  # type: ignore[arg-type]
    assert (cache.asked, cache._hits) == ([], 4)
    coherence.bump(b"k1")
    assert run(cache.aget("a")) == run(cache.aget("b", 5)) == run(cache.aget("b", default=6)) == "found later"
    assert cache.asked == [("a", None), ("b", 5), ("b", 6)]
    assert cache._hits == 4


def test_a_hit_can_be_asked_for_alone(cache: Found, coherence: Coherence) -> None:
    cache.l1["a"] = proven(coherence)
    assert cache._hit("a") == cache._hit("a", 5) == cache._hit("a", default=5) == "value"
    coherence.bump(b"k1")
    assert (cache._hit("a"), cache._hit("a", 5), cache._hit("b", default=5)) == (None, 5, 5)
    assert (cache.asked, cache._hits, cache.l1.stats().misses) == ([], 3, 3)


def test_what_is_absent_is_left_to_find(cache: Found) -> None:
    assert cache.get("a") == cache.get("a", 5) == cache.get("a", default=6) == "found"
    assert cache.asked == [("a", None), ("a", 5), ("a", 6)]
    assert cache._hits == 0
    assert cache.l1.stats().misses == 3


def test_what_find_raises_is_raised() -> None:
    class Raising(Found):
        def _find(self, key: Any, default: Any) -> Any:
            raise LookupError(key)

    with pytest.raises(LookupError, match="a"):
        Raising().get("a")


def test_without_an_override_the_default_is_found() -> None:
    cache: _TieredCache[str, int] = _TieredCache(MemoryCache(5))
    assert cache.get("a") is None
    assert cache.get("a", 5) == 5
    assert run(cache.aget("a")) is None
    assert run(cache.aget("a", 5)) == 5


def test_entries_expire_by_the_clock_of_the_first_tier() -> None:
    clock = FakeClock()
    cache = Found(clock=clock)
    cache.l1["a"] = entry(until=clock() + 10)
    cache.l1.set("b", entry(), ttl=5)
    clock.advance(4.5)
    assert (cache.get("a"), cache.get("b")) == ("value", "value")
    clock.advance(0.5)
    assert (cache.get("a"), cache.get("b")) == ("value", "found")
    clock.advance(5)
    assert cache.get("a") == "found"
    assert cache._hits == 3


def test_idle_entries_are_used_by_reading() -> None:
    clock = FakeClock()
    cache = Found(clock=clock)
    cache.l1["a"] = entry(idle=10, now=clock())
    for _ in range(3):
        clock.advance(8)
        assert cache.get("a") == "value"
    clock.advance(10)
    assert cache.get("a") == "found"


@pytest.mark.parametrize("kind", ["past", "error", "l1 ttl"])
def test_the_short_way_leaves_what_is_not_quiet(kind: str) -> None:
    cache = Found()
    match kind:
        case "past":
            cache.l1["a"] = entry(until=0.0)
        case "error":
            cache.l1["a"] = Entry(None, error=OSError(), quiet_until=-inf, fresh_until=inf, expires=inf)
        case _:
            cache.l1["a"] = entry()
            cache.l1.touch("a", ttl=1e-9)
    assert cache.get("a") == "found"


def test_invalidated_tags_of_the_first_tier_count(cache: Found) -> None:
    cache.l1.set("a", entry(), tags="t")
    cache.l1.set("b", entry())
    cache.l1.invalidate_tags("t")
    assert (cache.get("a"), cache.get("b")) == ("found", "value")


def test_what_is_not_current_is_left_to_find(cache: Found, coherence: Coherence) -> None:
    cache.l1[1] = proven(coherence)
    cache.l1[2] = proven(coherence, names=(b"k2", b"tteam"), needs_trust=True)
    assert (cache.get(1), cache.get(2)) == ("value", "found")
    coherence.trust(inf)
    assert (cache.get(1), cache.get(2)) == ("value", "value")
    coherence.bump(b"tteam")
    assert (cache.get(1), cache.get(2)) == ("value", "found")
    coherence.bump_all()
    assert (cache.get(1), cache.get(2)) == ("found", "found")
    cache.l1[1] = proven(coherence)
    assert cache.get(1) == "value"


def test_the_entry_can_be_had_unjudged(cache: Found, coherence: Coherence) -> None:
    kept = cache.l1[1] = proven(coherence)
    cache.l1["plain"] = "plain"
    coherence.bump(b"k1")
    assert cache._entry(1) is kept
    assert kept.standing == "invalid"
    assert cache._entry(2) is None
    assert cache._entry("plain") is None
    assert (cache._hits, cache.l1.stats().hits, cache.l1.stats().misses) == (0, 0, 0)


def test_hits_are_counted_until_reset(cache: Found) -> None:
    cache.l1["a"] = entry()
    for _ in range(3):
        cache.get("a")
    assert cache._hits == 3
    cache._reset_hits()
    assert cache._hits == 0
    cache.get("a")
    assert cache._hits == 1


@pytest.mark.parametrize("clock", [None, FakeClock()])
def test_reading_counts_as_a_use(clock: FakeClock | None) -> None:
    l1: MemoryCache[Any, Any] = MemoryCache(2, policy="lru", clock=clock)
    cache = Found(l1)
    l1["a"], l1["b"] = entry("a"), entry("b")
    assert cache.get("a") == "a"
    l1["c"] = entry("c")
    assert (cache.get("a"), cache.get("b")) == ("a", "found")


def test_a_first_tier_that_is_recorded_sees_hits_and_misses(tmp_path: Path) -> None:
    cache = Found()
    cache.l1["a"] = entry()
    with cache.l1.record(tmp_path / "requests") as recording:
        assert [cache.get("a"), cache.get("b"), cache.get("a")] == ["value", "found", "value"]
        cache._entry("a")
    assert recording.requests == 3


def test_it_has_to_be_initialised_once() -> None:
    class Forgetful(_TieredCache[Any, Any]):
        def __init__(self) -> None:
            pass

    uses: list[Callable[[Any], Any]] = [
        lambda cache: cache.get(1),
        lambda cache: cache._entry(1),
        lambda cache: cache._l1,
    ]
    for use in uses:
        with pytest.raises(RuntimeError, match=r"__init__\(\) has not run"):
            use(Forgetful())
    cache = Found()
    assert cache._l1 is cache.l1
    with pytest.raises(RuntimeError, match=r"__init__\(\) has run already"):
        _TieredCache.__init__(cache, MemoryCache(5))
    with pytest.raises(TypeError):
        _TieredCache({})  # type: ignore[arg-type]
    bare: MemoryCache[Any, Any] = MemoryCache.__new__(MemoryCache)
    with pytest.raises(RuntimeError, match=r"__init__\(\) has not run"):
        _TieredCache(bare).get(1)


@pytest.mark.parametrize("arguments", [(), (1, 2, 3)])
def test_wrong_arguments_are_type_errors(cache: Found, arguments: tuple[Any, ...]) -> None:
    for read in (cache.get, cache.aget, cache._hit):
        with pytest.raises(TypeError):
            read(*arguments)
    with pytest.raises(TypeError):
        cache.get(1, fallback=2)  # type: ignore[call-overload]


class Key:
    """A key whose hash or comparison runs something."""

    def __init__(self, number: int, run: Any, where: str) -> None:
        self.number, self.run, self.where = number, run, where

    def __hash__(self) -> int:
        if self.where == "hash":
            self.run()
        return self.number

    def __eq__(self, other: object) -> bool:
        if self.where == "eq":
            self.run()
        return isinstance(other, Key) and other.number == self.number


def hostile(cache: Found, run: Any, where: str) -> Key:
    """Store an entry, and return an equal key that runs something when it is hashed or compared with the stored one."""
    stored = Key(1, run, "")
    cache.l1[stored] = entry("own")
    if where == "eq":
        stored.where = "eq"
    return Key(1, run, where)


def test_an_unhashable_key_is_a_type_error(cache: Found) -> None:
    for read in (cache.get, cache.aget, cache._hit, cache._entry):
        with pytest.raises(TypeError, match="unhashable type: 'list'"):
            read([])
    assert cache.asked == []


@pytest.mark.parametrize("where", ["hash", "eq"])
def test_what_a_key_raises_is_raised(cache: Found, where: str) -> None:
    key = hostile(cache, lambda: 1 // 0, where)
    for read in (cache.get, cache.aget, cache._hit, cache._entry):
        with pytest.raises(ZeroDivisionError):
            read(key)
    assert (cache.asked, cache._hits) == ([], 0)


@pytest.mark.parametrize("where", ["hash", "eq"])
def test_a_key_may_use_the_cache_it_is_looked_up_in(cache: Found, where: str) -> None:
    l1 = cache.l1
    uses = [
        l1.clear,
        lambda: l1.set(5, entry()),
        lambda: cache.get(3),
        lambda: cache._entry(2),
        lambda: l1.resize(3),
        gc.collect,
    ]
    for use in uses:
        l1.clear()
        assert cache.get(hostile(cache, use, where)) in {"own", "found"}
        l1.clear()
        assert getattr(cache._entry(hostile(cache, use, where)), "value", None) in {"own", None}
    l1._check()


def test_keys_that_only_python_can_compare_are_found(cache: Found, coherence: Coherence) -> None:
    cache.l1[Key(1, lambda: None, "")] = proven(coherence)
    assert cache.get(Key(1, lambda: None, "eq")) == "value"
    assert cache._hits == 1
    coherence.bump(b"k1")
    assert cache.get(Key(1, lambda: None, "eq")) == "found"


def test_find_may_do_anything(coherence: Coherence) -> None:
    class Refilling(Found):
        def _find(self, key: Any, default: Any) -> Any:
            self.l1[key] = proven(coherence, "refilled")
            return self.get(key, default)

    assert Refilling().get(1) == "refilled"


def test_a_cache_in_a_cycle_is_collected() -> None:
    cache = Found()
    cache.l1["self"] = entry(cache)
    gone = weakref.ref(cache)
    del cache
    gc.collect()
    assert gone() is None


def test_a_class_made_at_run_time_is_collected() -> None:
    class Local(Found):
        pass

    Local.instance = Local()  # type: ignore[attr-defined]
    gone = weakref.ref(Local)
    del Local
    gc.collect()
    assert gone() is None


@pytest.fixture
def switching() -> Iterator[None]:
    """Let threads take turns after a few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("switching")
def test_nothing_older_than_an_invalidation_that_returned_is_read() -> None:
    """Writers change the origin and bump; readers fill and read. Once a bump has returned the old value is history."""
    keys = range(4)
    coherence = Coherence(slots=64)
    origin, returned = dict.fromkeys(keys, 0), dict.fromkeys(keys, 0)
    reads = 0

    class Loading(Found):
        def _find(self, key: Any, default: Any) -> Any:
            stamp = coherence.stamp()
            os.sched_yield()  # in the middle of a load others get on
            value = origin[key]
            os.sched_yield()
            self.l1[key] = proven(coherence, value, stamp=stamp, names=(b"k%d" % key, b"tall"))
            return value

    cache = Loading()
    done = threading.Event()
    wrong: list[tuple[int, int, int]] = []

    def read() -> None:
        nonlocal reads
        while not done.is_set():
            for key in keys:
                least = returned[key]
                value: int = cache.get(key)  # type: ignore[assignment]
                if value < least:
                    wrong.append((key, value, least))
            reads += 1

    def write(key: int) -> None:
        for value in range(1, 1500):
            origin[key] = value
            coherence.bump(b"tall" if value % 7 == 0 else b"k%d" % key)
            returned[key] = value

    readers = [threading.Thread(target=read) for _ in range(3)]
    writers = [threading.Thread(target=write, args=(key,)) for key in keys]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    cache.get(0), cache.get(0)
    while reads == 0 and any(thread.is_alive() for thread in readers):
        os.sched_yield()
    done.set()
    for thread in readers:
        thread.join()
    assert wrong == []
    assert reads > 0
    assert cache._hits > 0
    assert [cache.get(key) for key in keys] == [1499] * len(keys)


WRITER = """
import mmap, sys
from overdrive._core import Coherence
coherence = Coherence(sys.argv[1], slots=64)
with open(sys.argv[2], "r+b") as file, memoryview(mmap.mmap(file.fileno(), 16)).cast("Q") as words:
    for value in range(1, int(sys.argv[3]) + 1):
        words[0] = value
        coherence.bump(b"tall" if value % 7 == 0 else b"k1")
        words[1] = value
        for _ in range(100):  # in which readers may see what they should not
            pass
"""


def test_what_another_process_invalidated_is_not_read(tmp_path: Path) -> None:
    """The same with a writer in another process: the origin, and what it has acknowledged, are words of a file."""
    path, origin = tmp_path / "coherence", tmp_path / "origin"
    coherence = Coherence(path, slots=64)
    origin.write_bytes(bytes(16))
    writes = 30_000
    with (
        origin.open("r+b") as file,
        mmap.mmap(file.fileno(), 16) as memory,
        memoryview(memory) as view,
        view.cast("Q") as words,
    ):

        class Loading(Found):
            def _find(self, key: Any, default: Any) -> Any:
                stamp = coherence.stamp()
                os.sched_yield()
                value = words[0]
                os.sched_yield()
                self.l1[key] = proven(coherence, value, stamp=stamp, names=(b"k1", b"tall"))
                return value

        cache = Loading()
        arguments = [sys.executable, "-c", WRITER, str(path), str(origin), str(writes)]
        with subprocess.Popen(arguments) as process:
            while (least := words[1]) < writes and process.poll() is None:
                value: Any = cache.get(1)
                assert value >= least
            assert process.wait(30) == 0
        assert cache.get(1) == cache.get(1) == writes
        assert cache._hits > 0
