"""Single flight: one thread computes the value of a key while the others wait for it.

A *flight* is one computation of one key, led by the thread that began it. `Flights` holds the flights of
one decorated function, by key. It is always used under the lock of that function, and it waits through the
condition of that function, so it needs no lock for itself.

Waiting must never close a cycle. A thread that computes one key may ask for another, whose leader asks
for the first: without a check both wait for ever. So every waiting thread is entered in `_waits`, the one
table that all functions share, and looks for a way from the flight that it awaits (to its leader, to what
that leader awaits, and so on) back to itself. If there is one, the thread computes without waiting. The
shortest cycle is a function that calls itself with the same key.

Reentrancy. Finalizers and signal handlers run between any two steps here and may call cached functions on
the same thread. A lock around `_waits` could then be held for as long as such code runs, or be asked for
twice by one thread. There is none, because the order of two steps is enough: a thread first enters what it
awaits, in one dictionary operation, and then searches. Of the threads that close a cycle together, the
one that enters last finds all the others there. Two that enter at once may both find the cycle, and both
compute; a search through a table that changes may also see a cycle that no longer exists. Either costs
one computation and delays nobody. Keys, whose `__eq__` and `__hash__` are Python code, are not in `_waits`.

Forks. The threads of the parent do not exist in the child, so nothing there waits for their flights.
"""

from __future__ import annotations

import os
import threading
from threading import get_ident
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Protocol, type_check_only

    @type_check_only
    class SupportsWait(Protocol):
        """The part of a condition that flights use."""

        def wait(self) -> object: ...
        def notify_all(self) -> object: ...


__all__ = ("Flight", "Flights", "Wait", "new_condition")


# The thread that survived each fork of this process and its ancestors, by its identifier.
_survivors: list[int] = []
# What each thread awaits, by its identifier. More than one flight only where a signal handler waits during a wait.
_waits: dict[int, tuple[Flight, ...]] = {}


class Flight:
    """One computation of one key.

    Attributes:
        landed: whether it has ended.
        leader: the identifier of the thread that computes. It is not used again for another thread before the
            flight ends, unless by a fork, which `is_in_the_air` knows of.
    """

    __slots__ = ("_forks", "landed", "leader")

    def __init__(self, leader: int | None = None) -> None:
        self.landed = False
        self.leader = get_ident() if leader is None else leader
        self._forks = len(_survivors)

    def was_forked(self) -> bool:
        """Whether this process is a fork of that in which it began."""
        return len(_survivors) != self._forks

    def is_in_the_air(self) -> bool:
        """Whether its leader, in this process, is still computing."""
        if self.landed:
            return False
        return all(s == self.leader for s in _survivors[self._forks :])


class Wait:
    """The entry of this thread among those that wait; a context manager around one wait.

    It returns whether the wait may end: false if the flight can only land after this thread has done something.
    """

    __slots__ = ("_flight", "_me", "_outer")

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self._me = get_ident()
        self._outer = _waits.get(self._me, ())

    def __enter__(self) -> bool:
        try:
            _waits[self._me] = (*self._outer, self._flight)
            return not _leads_to(self._flight, self._me)
        except BaseException:  # as a signal handler may raise
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if self._outer:
            _waits[self._me] = self._outer
        else:
            _waits.pop(self._me, None)


class Flights(dict["Hashable", Flight]):
    """The flights of one decorated function, by key.

    Every method is called with the function's lock held; `wait` releases it while it waits.
    """

    __slots__ = ()

    def wait(self, key: Hashable, condition: SupportsWait) -> None:
        """Wait until nobody computes `key`, or until waiting longer would be for ever."""
        while (flight := self.get(key)) is not None and flight.is_in_the_air():
            with Wait(flight) as may_end:
                if not may_end:
                    return
                condition.wait()

    def begin(self, key: Hashable, flight: Flight) -> None:
        """Let others wait for `flight`, unless they already wait for another one of the same key."""
        first = self.setdefault(key, flight)
        if first is not flight and not first.is_in_the_air():
            # Left behind by a thread that a fork lost, or whose key could not be compared in `end`.
            self[key] = flight

    def end(self, key: Hashable, flight: Flight, condition: SupportsWait) -> None:
        """Wake all who wait for `flight`; of another flight with the same key nothing changes."""
        # First of all, since the key's `__eq__` may raise: nobody waits for a flight that has landed.
        flight.landed = True
        try:
            if self.get(key) is flight:
                del self[key]
        finally:
            condition.notify_all()


def _leads_to(flight: Flight, me: int) -> bool:
    """Return whether `flight` can end only after this thread, `me`, has done something."""
    ahead = [flight]
    seen = set()
    while ahead:
        flight = ahead.pop()
        leader = flight.leader
        if leader not in seen and flight.is_in_the_air():
            if leader == me:
                return True
            seen.add(leader)
            ahead += _waits.get(leader, ())
    return False


# Weak, so that a decorated function that is no longer used takes its condition along.
_conditions: WeakSet[threading.Condition] = WeakSet()


def new_condition(lock: threading.RLock) -> threading.Condition:
    """Return a condition with the lock given; a fork leaves both free in the child."""
    condition = threading.Condition(lock)
    _conditions.add(condition)
    return condition


def _after_fork_in_child() -> None:
    _survivors.append(get_ident())
    _waits.clear()
    for condition in _conditions:
        if condition.acquire(blocking=False):  # free, or held by this very thread: as it was
            condition.release()
        else:
            condition._at_fork_reinit()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
