"""Flights whose result is handed to those who wait: threads, and tasks of any event loop.

The leader computes and then *lands* the flight, once. Whoever waits leaves a *waker*, a function that the leader
calls then, from its own thread. A waker that comes too late finds the flight landed: the leader marks it before
it begins to wake, and those who wait look after they have left their waker. So nothing here needs a lock, and
signal handlers and finalizers may run between any two steps.
"""

from __future__ import annotations

from _thread import allocate_lock
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING

from overdrive._pending import Flight, Wait
from overdrive.exceptions import WaitTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, MutableMapping
    from types import TracebackType
    from typing import Any, TypeVar

    from overdrive._memoize.function import Memoized

    _F = TypeVar("_F", bound="Landing")

__all__ = ("Landing", "QueuedLanding", "board", "wait_natively")

# A waiting thread looks this often whether the leader still exists: after a fork in a signal handler it may not.
_LOOK_SECONDS = 1.0


class Landing(Flight):
    """A flight that knows its result when it has landed.

    Attributes:
        was_abandoned: whether it ended without a result, as its leader was interrupted: somebody else has to compute.
    """

    __slots__ = ("_error", "_traceback", "_value", "_wakers", "was_abandoned")

    def __init__(self, leader: int | None = None) -> None:
        super().__init__(leader)
        self._value: Any = None
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None
        # In order; a dict, because it forgets one in constant time.
        self._wakers: dict[Callable[[], object], None] = {}
        self.was_abandoned = False

    def land(self, value: object) -> None:
        """End with a value."""
        if not self.landed:
            self._value = value
        self._end()

    def fail(self, error: BaseException) -> None:
        """End with an exception, which each of those who wait raises."""
        if not self.landed:
            self._error, self._traceback = error, error.__traceback__
        self._end()

    def abandon(self) -> None:
        """End without a result."""
        if not self.landed:
            self.was_abandoned = True
        self._end()

    def end_with(self, error: BaseException) -> None:
        """End with an exception that was raised: one that was meant for the leader alone is kept from the others."""
        if isinstance(error, Exception):
            self.fail(error)
        else:
            self.abandon()

    def _end(self) -> None:
        # Once more after an interruption, as by a signal handler that raised: then it goes on where that was.
        self.landed = True
        wakers = self._wakers
        for waker in list(wakers):
            if wakers.pop(waker, self) is None:
                waker()

    @property
    def raises(self) -> bool:
        """Whether the result is an exception."""
        return self._error is not None

    def result(self) -> Any:  # noqa: ANN401 - whatever the function returns
        """Return the value, or raise the exception, of a flight that has landed."""
        error, traceback = self._error, self._traceback
        if error is None:
            return self._value
        try:
            del self  # an exception that refers to itself through its traceback would be garbage
            raise error.with_traceback(traceback)
        finally:
            del error, traceback

    def call_when_landed(self, waker: Callable[[], object]) -> None:
        """Have the leader call `waker`; at once if it has landed."""
        self._wakers[waker] = None
        if self.landed and self._wakers.pop(waker, self) is None:  # otherwise the leader has called it
            waker()

    def forget(self, waker: Callable[[], object]) -> None:
        """Have the leader not call `waker`, if it has not yet."""
        self._wakers.pop(waker, None)

    def wait(self, timeout: float | None, name: str) -> bool:
        """Wait in this thread; return false if that would be for ever.

        Raises:
            WaitTimeout: it has not landed in `timeout` seconds.
        """
        with Wait(self) as may_end:
            if not may_end:
                return False
            signal = allocate_lock()
            signal.acquire()
            waker = signal.release
            deadline = None if timeout is None else monotonic() + timeout
            try:
                self.call_when_landed(waker)
                while self.is_in_the_air():
                    left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - monotonic())
                    if left <= 0:
                        raise WaitTimeout(f"{name}() is being computed by another call for more than {timeout:g} s")
                    if signal.acquire(timeout=left):
                        break
            finally:
                self.forget(waker)
        return True


class QueuedLanding(Landing):
    """A flight that waits for a thread of a pool to lead it.

    Whoever has to wait for it leads it instead: the threads of the pool may all be waiting for it themselves.
    """

    __slots__ = ("_unclaimed",)

    def __init__(self) -> None:
        super().__init__(0)
        self._unclaimed = allocate_lock()

    def claim(self) -> bool:
        """Make this thread the leader, unless there is one."""
        if not self._unclaimed.acquire(blocking=False):
            return False
        self.leader = get_ident()
        return True


def wait_natively(memo: Memoized[..., Any], key: Hashable) -> tuple[Any] | bool | None:
    """Wait for the thread that computes `key`: the `wait` of a `Plan`."""
    joined = memo._join(key, Landing(0))
    if joined is None:
        return None
    landing, leader = joined
    landing.leader = leader
    if not landing.wait(memo._options.wait_timeout, memo._name):
        return False
    if not landing.landed:  # a leader that a fork did not copy has left nothing
        return False
    if landing.was_abandoned:
        return None
    if landing.raises:
        memo._count_hit()  # as the caller does for a value
    try:
        return (landing.result(),)
    finally:
        del landing, joined  # see `result`


def board(flights: MutableMapping[Hashable, _F], key: Hashable, new: _F) -> _F:
    """Return the flight of `key` that is in the air; `new` has begun if there was none."""
    first = flights.setdefault(key, new)
    if first is not new and not first.is_in_the_air():
        flights[key] = first = new
    return first
