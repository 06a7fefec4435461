"""One search for all who ask for a key at the same time in this process.

The rules of waiting are those of `memoize`, and so is the code: a search looks like a run of a memoized function to
it. What differs is what is run: not the user's function but a search through the tiers, which may run it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overdrive._memoize.lifetimes import Verdict, judge
from overdrive._memoize.options import Options
from overdrive._tiers.driving import BLOCKING, LOOPING, run
from overdrive._tiers.found import Found
from overdrive._tiers.names import tag_hash, tag_name
from overdrive._tiers.reading import read

if TYPE_CHECKING:
    from collections.abc import Coroutine, Hashable
    from typing import Any

    from overdrive._core import Entry
    from overdrive._memoize.flight import Landing
    from overdrive._tiers.ask import Ask
    from overdrive._tiers.tiers import Tiers

__all__ = ("BlockingSearch", "TaskSearch", "answer", "answer_task", "verdict_of")


def verdict_of(tiers: Tiers, ask: Ask, entry: Entry | None) -> str:
    """Say what to do with what memory has."""
    if entry is None:
        return Verdict.GONE
    now = tiers.now()
    if entry._standing(now) != "current":
        return Verdict.GONE
    if isinstance(entry.extra, Found) and now >= entry.extra.until:
        return Verdict.GONE
    verdict = judge(ask.terms.options, entry, now)
    # An old value to fall back on is for the search to find.
    return Verdict.GONE if verdict is Verdict.FALLBACK else verdict


class _Boarding:
    """The searches that are under way, of which a caller may join those alone that know of what he may know of.

    A search that began before the key or one of its tags was invalidated returns the old value, to those who asked
    before that.
    """

    __slots__ = ("_flights", "_names", "_tiers")

    def __init__(self, flights: dict[Hashable, Any], tiers: Tiers, names: tuple[bytes, ...]) -> None:
        self._flights = flights
        self._tiers = tiers
        self._names = names

    def setdefault(self, key: Hashable, new: Landing) -> Landing:
        """Return the search to join, which is `new` if there is none."""
        mine = self._now(new)
        first, stamp, began = self._flights.setdefault(key, mine)
        if first is not new and not self._tiers.may_join(stamp, began, self._names):
            self._flights[key] = mine
            return new
        return first  # type: ignore[no-any-return]

    def __setitem__(self, key: Hashable, new: Landing) -> None:
        self._flights[key] = self._now(new)

    def _now(self, new: Landing) -> tuple[Landing, int, float]:
        return new, self._tiers.coherence.stamp(), self._tiers.now()

    def remove(self, key: Hashable, flight: Landing) -> None:
        """Forget a search, unless it is another one by now."""
        known = self._flights.get(key)
        if known is not None and known[0] is flight:
            del self._flights[key]


class Search:
    """A search for one key, as the functions that load the results of `memoize` see it."""

    __slots__ = ("_answer", "_flights", "_name", "_options", "ask", "cache", "tiers")

    _forgets = 0

    def __init__(self, tiers: Tiers, ask: Ask, flights: dict[Hashable, Any], name: str) -> None:
        self.tiers = tiers
        self.ask = ask
        tags = () if callable(ask.terms.tags) else ask.terms.tags
        names = (*ask.names, *[tag_name(tag_hash(tag)) for tag in tags])
        self._flights = _Boarding(flights, tiers, names)
        self._name = name
        options = ask.terms.options
        self._answer: Entry | None = None  # what memory answers with
        self._options = Options(
            single_flight=options.single_flight, wait_timeout=options.wait_timeout, timed=True, ttl=1.0
        )
        self.cache: dict[Hashable, Any] = {}  # what is found is kept by the search

    def _look(self, _key: Hashable) -> tuple[Any, str]:
        ask = self.ask
        entry = ask.entry()
        verdict = verdict_of(self.tiers, ask, entry)
        self._answer = entry if verdict is Verdict.FRESH or verdict is Verdict.REFRESH else None
        return entry, verdict

    def _count_hit(self) -> None:
        self.tiers.tally.count_tier("l1", "hits" if self._count_answer() else "misses")

    def _count_answer(self) -> bool:
        """Count what is special about an answer; return whether it is from memory, and not from another's search."""
        entry, tally = self._answer, self.tiers.tally
        if entry is None:
            tally.count("stampede_waits")
            return False
        is_old = isinstance(entry.extra, Found) and entry.extra.stale
        if entry.error is None and (is_old or self.tiers.now() >= entry.fresh_until):
            tally.count("stale_served")
        return True

    def _count_miss(self) -> None:
        self.tiers.tally.count_tier("l1", "misses")

    def _count_load(self, _seconds: float) -> None:
        """Count nothing: what was loaded is counted where that is known."""

    def _count_error(self) -> None:
        """Count nothing, likewise."""

    def _is_wanted(self, _key: Hashable, _flight: Landing | None, _forgets: int) -> bool:
        return True

    def _store(self, _key: Hashable, _value: object, _ttl: float, _seconds: float) -> None:
        """Store nothing: the search has."""

    def _store_error(self, _key: Hashable, error: BaseException, seconds: float) -> None:
        self.tiers.keep_error(self.ask, error, seconds)

    def _land(self, key: Hashable, flight: Landing | None) -> None:
        if flight is not None:
            self._flights.remove(key, flight)


class BlockingSearch(Search):
    """One that blocks."""

    __slots__ = ()

    def __wrapped__(self) -> Found | None:
        """Search."""
        return run(read(self.tiers, BLOCKING, self.ask))


class TaskSearch(Search):
    """One for a task."""

    __slots__ = ()

    def __wrapped__(self) -> Coroutine[Any, Any, Found | None]:
        """Search."""
        return read(self.tiers, LOOPING, self.ask)


def answer(search: BlockingSearch) -> Any:
    """Return the value of a key from memory, or what a search comes to: a `Found`."""
    from overdrive._memoize import threads

    since = search.tiers.coherence.stamp()
    while True:
        found = threads.answer(search, search.ask.l1_key, (), None)  # type: ignore[arg-type]
        if not _is_older(search.tiers, found, since):
            return found


async def answer_task(search: TaskSearch) -> Any:
    """Do that in a task."""
    from overdrive._memoize import tasks

    since = search.tiers.coherence.stamp()
    while True:
        found = await tasks.answer(search, search.ask.l1_key, (), None)  # type: ignore[arg-type]
        if not _is_older(search.tiers, found, since):
            return found


def _is_older(tiers: Tiers, found: Any, since: int) -> bool:
    """Return whether what another caller has found has a tag that was invalidated between its search and this call.

    Which tags it has, only its loader may have known: so this call could not tell that it was not to join.
    """
    if not isinstance(found, Found) or not found.hashes or not 0 <= found.stamp < since:
        return False
    names = tuple(map(tag_name, found.hashes))
    coherence = tiers.coherence
    return not coherence.is_current(found.stamp, names) and coherence.is_current(since, names)
