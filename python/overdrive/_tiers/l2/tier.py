"""`RedisTier`: runs steps on Redis, within a budget, and says at once when it cannot.

A call ends after `budget` seconds at the latest, whatever the server does: waiting for a connection, connecting,
sending, reading and one retry share that time. Blocking code has a pool of connections; each event loop has one
connection, which its tasks share. The breaker is one for all.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import weakref
from collections import Counter
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from overdrive._tiers.l2.breaker import Breaker, BreakerStats, Change
from overdrive._tiers.l2.connections import require_client, tls_context
from overdrive._tiers.l2.lane import Lane
from overdrive._tiers.l2.pool import Pool, PoolExhausted
from overdrive._tiers.l2.reasons import DENIED, RedisUnavailable, of_failure, of_reply
from overdrive._tiers.l2.requests import ASKING, MOST_HOPS, request_of, turn_of
from overdrive._tiers.l2.resp import ReplyError
from overdrive._tiers.l2.route import Route
from overdrive._tiers.l2.scripts import Steps
from overdrive._tiers.l2.url import parse_url
from overdrive.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from overdrive._tiers.l2.connections import Link
    from overdrive._tiers.l2.resp import Reply
    from overdrive._tiers.l2.step import Step
    from overdrive._tiers.l2.url import Address, Tls

__all__ = ("RedisHealth", "RedisStats", "RedisTier")

T = TypeVar("T")

logger: Final = logging.getLogger("overdrive")

#: A call that has waited for a connection for more than this part of its budget leaves the server too little of it
#: to be blamed for a timeout.
MOST_WAITED: Final = 0.3


class RedisStats(NamedTuple):
    """What a tier did so far, in this process.

    Attributes:
        calls: by the name of the step, those that were tried.
        errors: by reason, what callers got; `open` are those that the breaker answered.
        retries: requests that were sent again as their connection had died.
        connections: that are open now.
        breaker: what it did.
    """

    calls: dict[str, int]
    errors: dict[str, int]
    retries: int
    connections: int
    breaker: BreakerStats


class RedisHealth(NamedTuple):
    """How the tier is.

    Attributes:
        state: `ok`; `degraded`: the server does not answer; `denied`: somebody must change a configuration.
        reason: the last error, in words; empty if all is well.
        retry_in: seconds until the server is asked again.
    """

    state: str
    reason: str = ""
    retry_in: float = 0.0


class RedisTier:
    """Redis or Valkey as the second tier. Thread-safe, and usable from any number of event loops.

    Args:
        url: see `parse_url`.
        namespace: 1 to 64 of `A-Z a-z 0-9 _ . -`; caches with the same namespace share their entries.
        budget: seconds that a call may take at most, > 0.
        connect_timeout: seconds that connecting may take of them; at most `budget` is of use.
        max_connections: of blocking code, >= 1. Calls that find none free wait for one within their budget.
        max_request: bytes that one request may have; larger ones are not sent.
        tls: overrides what the URL says about TLS.
        clock: seconds, monotonic, of the breaker.

    Raises:
        ConfigError: an argument cannot be used.
        MissingExtraError: redis-py is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str,
        budget: float = 0.150,
        connect_timeout: float = 0.200,
        max_connections: int = 16,
        max_request: int = 64 << 20,
        tls: Tls | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < budget < float("inf"):
            raise ConfigError(f"redis budget is {budget!r}; it must be seconds > 0")
        if not connect_timeout > 0:
            raise ConfigError(f"redis connect_timeout is {connect_timeout!r}; it must be seconds > 0")
        if max_connections < 1:
            raise ConfigError(f"redis max_connections is {max_connections!r}; it must be >= 1")
        if max_request < 1:
            raise ConfigError(f"redis max_request is {max_request!r}; it must be bytes >= 1")
        self.target: Final = parse_url(url, tls=tls)
        self.namespace: Final = namespace
        self.budget: Final = budget
        slot_key = Steps(namespace).stream
        # Now, as neither is done within a budget.
        require_client()
        if self.target.tls is not None:
            tls_context(self.target.tls)
        self.route: Final = Route(self.target, slot_key, min(connect_timeout, budget))
        self.breaker: Final = Breaker(clock=clock)
        self.breaker.subscribe(self._log_change)
        self._max_connections = max_connections
        self._max_request = max_request
        self._name = f"overdrive:{namespace}"
        self._closed = False
        self._denied: dict[str, str] = {}  # by the name of the step
        self._lock = threading.RLock()
        self._calls: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._retries = 0
        self._pool = Pool(self.route, max_connections, self._name)
        self._lanes: dict[int, Lane] = {}
        self._fork_callbacks: list[Callable[[], None]] = []
        _after_fork.add(self)

    def __repr__(self) -> str:
        return f"<RedisTier {self.target} namespace {self.namespace}, {self.breaker.state}>"

    # --- calls -----------------------------------------------------------------------------------

    def call(self, step: Step[T]) -> T:
        """Run a step, in blocking code.

        Raises:
            RedisUnavailable: it was not done, or nobody knows; its `reason` says why.
        """
        deadline = monotonic() + self.budget
        request = request_of(step)
        permit = self._admit(step, len(request))
        breaker = self.breaker
        try:
            reply = self._run(step, request, deadline)
        except PoolExhausted:
            # Our own load says nothing about the server.
            breaker.release(permit)
            raise self._counted(step, RedisUnavailable("busy", self._busy())) from None
        except OSError as error:
            failure = of_failure(error, self.route.address or self.target)
            breaker.fail(permit, str(failure))
            raise self._counted(step, failure) from error
        except BaseException:
            breaker.release(permit)
            raise
        breaker.succeed(permit)
        if isinstance(reply, ReplyError):
            raise self._counted(step, of_reply(reply))
        self._allowed(step)
        return step.parse(reply)

    async def acall(self, step: Step[T]) -> T:
        """Run a step, from a task; those of one tick of the loop travel together.

        Raises:
            RedisUnavailable: it was not done, or nobody knows; its `reason` says why.
        """
        command = step.command
        plain = len(command) == 2 and command[0] == "GET"
        request = None if plain else request_of(step)
        permit = self._admit(step, len(request or b""))
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(id(loop))
        if lane is None or lane.closed:
            lane = self._new_lane(loop)
        try:
            result: T = await lane.submit(step, request, permit)
        except RedisUnavailable as error:
            self._counted(step, error)
            raise
        self._allowed(step)
        return result

    def _admit(self, step: Step[Any], size: int) -> int:
        if size > self._max_request:
            text = f"a request of {size} bytes exceeds max_request {self._max_request}"
            raise self._counted(step, RedisUnavailable("too large", text))
        if self._closed:
            raise RedisUnavailable("closed", "the tier was closed")
        permit = self.breaker.admit()
        if not permit:
            raise RedisUnavailable("open", f"it is left alone for now: {self.breaker.reason}")
        with self._lock:
            self._calls[step.name] += 1
        return permit

    def _run(self, step: Step[Any], request: bytes, deadline: float) -> Reply:
        pool = self._pool
        link = pool.take(deadline)
        waited = self.budget - (deadline - monotonic())
        hops = 0
        retried = False
        while True:
            try:
                reply = link.exchange(request, deadline)
            except BaseException as error:
                pool.discard(link)
                if isinstance(error, TimeoutError) and waited > MOST_WAITED * self.budget:
                    raise PoolExhausted from error
                if not self._may_repeat(error, step, used=link.served, retried=retried):
                    raise
                retried = True
                with self._lock:
                    self._retries += 1
                link = pool.take(deadline, fresh=True)
                continue
            if not isinstance(reply, ReplyError):
                pool.give(link)
                return reply
            hops += 1
            turn = turn_of(reply, link.address)
            if turn is None or hops > MOST_HOPS:
                pool.give(link)
                return reply
            if turn.kind == "source":
                request = request_of(step, source=True)
                continue
            if turn.kind == "ask":
                pool.give(link)
                return self._ask(step, turn.address, deadline)
            if turn.kind == "moved" and turn.address:
                self.route.moved(turn.address)
                pool.discard(link)
                link = pool.take(deadline, fresh=True)
                continue
            # A name may lead to the new primary by now, and sentinels may know it.
            self.route.forget(link.address)
            pool.discard(link)
            return reply

    @staticmethod
    def _may_repeat(error: BaseException, step: Step[Any], *, used: bool, retried: bool) -> bool:
        # A connection that had served and breaks was most likely closed while idle. One that never did tells of the
        # server, and one that is silent would be so again.
        broken = isinstance(error, OSError) and not isinstance(error, TimeoutError)
        return broken and used and not retried and step.idempotent

    def _ask(self, step: Step[Any], address: Address | None, deadline: float) -> Reply:
        assert address is not None
        link: Link = self.route.open_at(address, deadline)
        try:
            link.send(ASKING + request_of(step, source=True), deadline)
            link.read(deadline)
            return link.read(deadline)
        finally:
            link.close()

    # --- state -----------------------------------------------------------------------------------

    def stats(self) -> RedisStats:
        """Return what it did so far, in this process."""
        lanes = [*self._lanes.values()]
        with self._lock:
            calls, errors, retries = dict(self._calls), dict(self._errors), self._retries
        breaker = self.breaker.stats()
        if breaker.refused:
            errors["open"] = breaker.refused
        return RedisStats(
            calls,
            errors,
            retries + sum(lane.retries for lane in lanes),
            self._pool.count + sum(lane.connections for lane in lanes),
            breaker,
        )

    def health(self) -> RedisHealth:
        """Return how it is, by what calls came to; asks nothing of the server."""
        denied = next(iter([*self._denied.values()]), "")
        if denied:
            return RedisHealth("denied", denied, self.breaker.retry_in)
        if self.breaker.state == "closed":
            return RedisHealth("ok")
        return RedisHealth("degraded", self.breaker.reason, self.breaker.retry_in)

    def check(self) -> RedisHealth:
        """Ask the server for one of each kind of step, and return how the tier is.

        Raises:
            ConfigError: the server was reached and does not let us do what is needed: a password, a right or a
                certificate is wrong. A server that cannot be reached is no such error.
        """
        steps = Steps(self.namespace, origin=b"check")
        key, token = b"\x00check", os.urandom(8)
        needed: tuple[Step[Any], ...] = (
            steps.ping(),
            steps.get(key),
            steps.get_many([key]),
            steps.header(key),
            steps.position(),
            steps.lease(key, token, 1000),
            steps.extend(key, token, 1000),
            steps.fill(key, token, b"", 1000),
            steps.write(key, b"", 1000),
            steps.invalidate([key]),
            steps.probe(token),
        )
        for step in needed:
            try:
                self.call(step)
            except RedisUnavailable as error:
                if error.reason in DENIED:
                    raise ConfigError(f"{error} ({step.name})") from error
                break
        return self.health()

    def close(self) -> None:
        """Close all connections; calls that are under way fail. May be called more than once."""
        self._closed = True
        self._pool.close()
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            # A loop that is closed, perhaps just now, took its connection along.
            with suppress(RuntimeError):
                lane.loop.call_soon_threadsafe(lane.shut)

    async def aclose(self) -> None:
        """Close all connections, those of the running loop before it returns."""
        lane = self._lanes.pop(id(asyncio.get_running_loop()), None)
        self.close()
        if lane is not None:
            await lane.close()

    def _new_lane(self, loop: asyncio.AbstractEventLoop) -> Lane:
        with self._lock:
            for key, lane in [*self._lanes.items()]:
                if lane.loop.is_closed():
                    del self._lanes[key]
            lane = Lane(loop, self.route, self.breaker, self.budget, self._name)
            self._lanes[id(loop)] = lane
        return lane

    def _busy(self) -> str:
        return f"none of {self._max_connections} connections became free within {self.budget:g} s"

    def _counted(self, step: Step[Any], error: RedisUnavailable) -> RedisUnavailable:
        with self._lock:
            self._errors[error.reason] += 1
            first = error.reason in DENIED and not self._denied
            if error.reason in DENIED:
                self._denied[step.name] = str(error)
        if first:
            logger.error("%s: %s", self._label(), error)
        return error

    def _allowed(self, step: Step[Any]) -> None:
        if self._denied and self._denied.pop(step.name, "") and not self._denied:
            logger.info("%s: is allowed again what it needs", self._label())

    def _log_change(self, change: Change) -> None:
        if change.new == "closed":
            self._denied.clear()
            logger.info("%s: available again after %.1f s", self._label(), change.lasted)
        elif change.old == "closed" and not self._denied:  # of which an error was logged
            logger.warning("%s: unavailable, is asked again in %.1f s: %s", self._label(), change.pause, change.reason)

    def _label(self) -> str:
        return f"redis tier {self.target} namespace {self.namespace}"

    def at_fork(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in processes that are forked from this one, before anything else happens there."""
        self._fork_callbacks.append(callback)

    def _forked(self) -> None:
        # The connections are the parent's: here they are only let go of. Transports would tell the event loop, and
        # with it the parent's selector, so they are kept from being collected.
        _inherited.extend(self._lanes.values())
        self._lock = threading.RLock()
        self.breaker.after_fork()
        self._pool.abandon()
        self._pool = Pool(self.route, self._max_connections, self._name)
        self._lanes = {}
        for callback in self._fork_callbacks:
            callback()


#: The lanes of a parent process.
_inherited: Final[list[Lane]] = []


class _AfterFork:
    """Tells the tiers of a process that was forked."""

    def __init__(self) -> None:
        self._tiers: weakref.WeakSet[RedisTier] = weakref.WeakSet()
        self._registered = False

    def add(self, tier: RedisTier) -> None:
        if not self._registered and hasattr(os, "register_at_fork"):
            self._registered = True
            os.register_at_fork(after_in_child=self._tell)
        self._tiers.add(tier)

    def _tell(self) -> None:
        for tier in self._tiers:
            tier._forked()


_after_fork: Final = _AfterFork()
