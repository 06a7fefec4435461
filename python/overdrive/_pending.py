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


__all__ = ("Flight", "Flights", "new_condition")


class _Thread:
    """A thread, as the leader of flights. Unlike a thread's number, it is not used again for another."""

    __slots__ = ("forks",)

    def __init__(self) -> None:
        self.forks = _forks


class _Here(threading.local):
    def __init__(self) -> None:
        self.thread = _Thread()


# How often this process and its ancestors forked; a thread with another number did not survive a fork.
_forks = 0
_here = _Here()
# What each thread awaits. More than one flight only where a signal handler waits during a wait.
_waits: dict[_Thread, tuple[Flight, ...]] = {}


class Flight:
    """One computation of one key, led by the thread that makes this object."""

    __slots__ = ("landed", "leader")

    def __init__(self) -> None:
        self.landed = False
        self.leader = _here.thread

    def is_in_the_air(self) -> bool:
        """Whether its leader, in this process, is still computing."""
        return not self.landed and self.leader.forks == _forks


class Flights(dict["Hashable", Flight]):
    """The flights of one decorated function, by key.

    Every method is called with the function's lock held; `wait` releases it while it waits.
    """

    __slots__ = ()

    def wait(self, key: Hashable, condition: SupportsWait) -> None:
        """Wait until nobody computes `key`, or until waiting longer would be for ever."""
        me = _here.thread
        while (flight := self.get(key)) is not None and flight.is_in_the_air():
            outer = _waits.get(me, ())
            try:
                _waits[me] = (*outer, flight)
                if _leads_to(flight, me):
                    return
                condition.wait()
            finally:
                if outer:
                    _waits[me] = outer
                else:
                    _waits.pop(me, None)

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


def _leads_to(flight: Flight, me: _Thread) -> bool:
    """Return whether `flight` can end only after this thread, `me`, has done something."""
    ahead = [flight]
    seen = set()
    while ahead:
        flight = ahead.pop()
        leader = flight.leader
        if leader not in seen and flight.is_in_the_air():
            if leader is me:
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
    global _forks, _waits
    _forks += 1
    _waits = {}
    _here.thread.forks = _forks
    for condition in _conditions:
        if condition.acquire(blocking=False):  # free, or held by this very thread: as it was
            condition.release()
        else:
            condition._at_fork_reinit()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
