"""Waiting until a listener has applied an entry of the stream."""

from __future__ import annotations

import asyncio
from threading import Event, RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from overdrive._tiers.l2.positions import StreamId

__all__ = ("Arrivals",)


class _Waiter:
    """Who waits for an id; compared by identity."""

    __slots__ = ("arrived", "stream_id")

    def __init__(self, stream_id: StreamId, arrived: Callable[[], object]) -> None:
        self.stream_id = stream_id
        self.arrived = arrived


class Arrivals:
    """How far the stream has been applied, and who waits for it; thread-safe."""

    __slots__ = ("_lock", "_position", "_waiters")

    def __init__(self) -> None:
        self._lock = RLock()
        self._position: StreamId | None = None
        self._waiters: set[_Waiter] = set()

    @property
    def position(self) -> StreamId | None:
        """The last entry that was applied; None before the first attach."""
        return self._position

    def advance(self, position: StreamId) -> None:
        """Everything up to this entry is applied."""
        with self._lock:
            self._position = position
            arrived = {waiter for waiter in list(self._waiters) if waiter.stream_id <= position}
            self._waiters -= arrived
        for waiter in arrived:
            waiter.arrived()

    def waiting(self) -> frozenset[_Waiter]:
        """Return who waits now, for a later `release`."""
        with self._lock:
            return frozenset(self._waiters)

    def release(self, waiters: frozenset[_Waiter]) -> None:
        """Wake these, whatever they wait for: what they wait for is covered in another way."""
        with self._lock:
            released = self._waiters & waiters
            self._waiters -= released
        for waiter in released:
            waiter.arrived()

    def wait(self, stream_id: StreamId, timeout: float) -> bool:
        """Wait for at most `timeout` seconds; return whether the entry was applied."""
        event = Event()
        waiter = self._register(stream_id, event.set)
        if waiter is None:
            return True
        try:
            return event.wait(timeout)
        finally:
            self._withdraw(waiter)

    async def wait_async(self, stream_id: StreamId, timeout: float) -> bool:
        """Do as `wait`, without blocking the event loop."""
        loop = asyncio.get_running_loop()
        arrival: asyncio.Future[None] = loop.create_future()

        def arrive() -> None:
            if not arrival.done():
                arrival.set_result(None)

        def arrived() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(arrive)

        waiter = self._register(stream_id, arrived)
        if waiter is None:
            return True
        try:
            await asyncio.wait_for(arrival, timeout)
        except TimeoutError:
            return False
        finally:
            self._withdraw(waiter)
        return True

    def _register(self, stream_id: StreamId, arrived: Callable[[], object]) -> _Waiter | None:
        with self._lock:
            if self._position is not None and stream_id <= self._position:
                return None
            waiter = _Waiter(stream_id, arrived)
            self._waiters.add(waiter)
            return waiter

    def _withdraw(self, waiter: _Waiter) -> None:
        with self._lock:
            self._waiters.discard(waiter)
