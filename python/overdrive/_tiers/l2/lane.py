"""The connection of one event loop, which all its tasks share.

What tasks ask for within one tick of the loop is a batch: it is sent as one buffer, neighbouring reads in it as one
command, and it has one deadline. Replies come in the order of the requests. A task that stops waiting changes nothing
for others: its reply is dropped when it comes. A connection that let a deadline pass gets no more batches, and is
closed when no other waits on it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from overdrive._tiers.l2.reasons import RedisUnavailable, of_failure, of_reply
from overdrive._tiers.l2.requests import ASKING, MOST_HOPS, request_of, turn_of
from overdrive._tiers.l2.resp import ReplyError, pack

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from overdrive._tiers.l2.breaker import Breaker
    from overdrive._tiers.l2.connections import AsyncLink
    from overdrive._tiers.l2.resp import Reply
    from overdrive._tiers.l2.route import Route
    from overdrive._tiers.l2.step import Step
    from overdrive._tiers.l2.url import Address

__all__ = ("Lane",)

#: So many reads are one command, so that no other client waits long for its turn.
MOST_READS: Final = 128
#: In the place of the number of replies that are to come: who waited for them was told that they did not.
EXPIRED: Final = -1
CLOSED: Final = RedisUnavailable("closed", "the tier was closed")


class Request:
    """A step that a task waits for."""

    __slots__ = ("future", "hops", "key", "packed", "retried", "step")

    def __init__(self, step: Step[Any], packed: bytes | None, future: asyncio.Future[Any]) -> None:
        self.step = step
        self.packed = packed  # None for a read of `key`
        self.key = step.command[1] if packed is None else b""
        self.future = future
        self.hops = 0
        self.retried = False

    def fail(self, error: BaseException) -> None:
        """Raise `error` where the step is waited for."""
        if not self.future.done():
            self.future.set_exception(error)


class Batch:
    """Requests that are sent together."""

    __slots__ = ("deadline", "link", "pending", "permit", "requests", "served", "timer")

    def __init__(self, requests: list[Request], deadline: float, permit: int) -> None:
        self.requests = requests
        self.deadline = deadline
        self.permit = permit
        self.pending = len(requests)
        self.link: AsyncLink | None = None
        self.served = False  # whether the connection had worked before, so that it may have died since
        self.timer: asyncio.TimerHandle | None = None


class Lane:
    """Sends the steps of the tasks of one loop; used from that loop only.

    Args:
        loop: the loop.
        route: the way to the server.
        breaker: is told what came of each batch.
        budget: seconds from the tick that a step is asked for to its result or error.
        name: what the connection is called in `CLIENT LIST`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        route: Route,
        breaker: Breaker,
        budget: float,
        name: str,
    ) -> None:
        self.loop: Final = loop
        self._route = route
        self._breaker = breaker
        self._budget = budget
        self._name = name
        self._queue: list[Request] = []
        self._again: list[tuple[Request, Batch]] = []
        self._permit = 0
        self._link: AsyncLink | None = None
        self._users: Counter[AsyncLink] = Counter()
        self._parked: list[Batch] = []
        self._opening: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: AsyncGenerator[None, None] | None = None
        self.retries = 0
        self.closed = False

    @property
    def connections(self) -> int:
        """How many connections it has open."""
        return len({*self._users, *([self._link] if self._link else [])})

    def submit(self, step: Step[Any], packed: bytes | None, permit: int) -> asyncio.Future[Any]:
        """Send a step with the others of this tick.

        Args:
            step: the step.
            packed: its bytes; None for a plain read, that may travel with others.
            permit: of the breaker.
        """
        future: asyncio.Future[Any] = self.loop.create_future()
        if not self._queue:
            self.loop.call_soon(self._flush)
        self._queue.append(Request(step, packed, future))
        self._permit = permit
        return future

    async def close(self) -> None:
        """Close the connection; who waits gets an error."""
        self.shut()
        if self._keeper is not None:
            await self._keeper.aclose()

    def shut(self) -> None:
        """Close the connection, without waiting until that is done."""
        self.closed = True
        for task in [*self._tasks]:
            task.cancel()
        for batch in self._parked:
            self._drop(batch, CLOSED)
        self._parked.clear()
        for link in {*self._users, *([self._link] if self._link else [])}:
            link.abort()
        self._link = None

    # --- sending ---------------------------------------------------------------------------------

    def _flush(self) -> None:
        requests, self._queue = self._queue, []
        self._start(Batch(requests, monotonic() + self._budget, self._permit))

    def _resend(self) -> None:
        again, self._again = self._again, []
        # They may come from several batches: the earliest deadline is for all of them.
        deadline = min(batch.deadline for _, batch in again)
        self._start(Batch([request for request, _ in again], deadline, max(batch.permit for _, batch in again)))

    def _start(self, batch: Batch) -> None:
        if self.closed:
            self._drop(batch, CLOSED)
            return
        batch.timer = self.loop.call_later(max(0.0, batch.deadline - monotonic()), self._expire, batch)
        if self._link is not None and self._link.lost is None:
            self._send(batch, self._link)
            return
        self._parked.append(batch)
        if self._opening is None:
            self._opening = self._spawn(self._open(batch.deadline))

    def _send(self, batch: Batch, link: AsyncLink) -> None:
        # Who was cancelled before this needs nothing to be sent.
        batch.requests = [request for request in batch.requests if not request.future.done()]
        batch.pending = len(batch.requests)
        if not batch.requests:
            self._finish(batch)
            self._breaker.release(batch.permit)
            return
        batch.link = link
        batch.served = link.served
        self._users[link] += 1
        buffer: list[bytes] = []
        sinks: list[Callable[[Reply], None]] = []
        reads: list[Request] = []
        for request in batch.requests:
            if request.packed is None:
                reads.append(request)
                if len(reads) == MOST_READS:
                    self._add_reads(batch, reads, buffer, sinks)
                    reads = []
                continue
            if reads:
                self._add_reads(batch, reads, buffer, sinks)
                reads = []
            buffer.append(request.packed)
            sinks.append(partial(self._deliver, batch, request))
        if reads:
            self._add_reads(batch, reads, buffer, sinks)
        link.send(b"".join(buffer), sinks)

    def _add_reads(
        self, batch: Batch, reads: list[Request], buffer: list[bytes], sinks: list[Callable[[Reply], None]]
    ) -> None:
        if len(reads) == 1:
            buffer.append(pack(reads[0].step.command))
            sinks.append(partial(self._deliver, batch, reads[0]))
        else:
            buffer.append(pack(("MGET", *[request.key for request in reads])))
            sinks.append(partial(self._deliver_reads, batch, reads))

    async def _open(self, deadline: float) -> None:
        try:
            link = await self._route.aopen(deadline, name=self._name)
        except OSError as error:
            self._opening = None
            parked, self._parked = self._parked, []
            failure = of_failure(error, self._where())
            for batch in parked:
                self._drop(batch, failure)
            # One attempt is one failure, however many waited for it.
            if parked:
                self._breaker.fail(max(batch.permit for batch in parked), str(failure))
            return
        except BaseException:
            self._opening = None
            raise
        self._opening = None
        await self._keep()
        self._link = link
        parked, self._parked = self._parked, []
        for batch in parked:
            self._send(batch, link)

    async def _keep(self) -> None:
        # `asyncio.run` ends what generators are still open: that is when the connection of its loop is closed.
        if self._keeper is not None:
            return

        async def keeper() -> AsyncGenerator[None, None]:
            try:
                yield
            finally:
                self._keeper = None
                self.shut()

        self._keeper = keeper()
        await anext(self._keeper)

    # --- receiving -------------------------------------------------------------------------------

    def _deliver_reads(self, batch: Batch, reads: list[Request], reply: Reply) -> None:
        if batch.pending == EXPIRED:
            return
        if isinstance(reply, list):
            for request, value in zip(reads, reply, strict=True):
                self._resolve(request, value)
            self._count_down(batch, len(reads))
            return
        for request in reads:
            if isinstance(reply, ReplyError):
                # Each by itself is perhaps allowed, and on the right node, and else has an error of its own.
                request.packed = request_of(request.step)
                self._repeat(request, batch)
                self._count_down(batch, 1)
            else:
                self._deliver(batch, request, reply)

    def _deliver(self, batch: Batch, request: Request, reply: Reply) -> None:
        if batch.pending == EXPIRED:
            return
        if isinstance(reply, ReplyError):
            self._turn(batch, request, reply)
        elif isinstance(reply, OSError):
            self._lost(batch, request, reply)
            return
        else:
            self._resolve(request, reply)
        self._count_down(batch, 1)

    @staticmethod
    def _resolve(request: Request, reply: Reply) -> None:
        if request.future.done():
            return
        try:
            result = request.step.parse(reply)
        except Exception as error:  # noqa: BLE001 - belongs to the task that asked
            request.future.set_exception(error)
        else:
            request.future.set_result(result)

    def _turn(self, batch: Batch, request: Request, reply: ReplyError) -> None:
        link = batch.link
        assert link is not None
        turn = turn_of(reply, link.address)
        request.hops += 1
        if turn is None or request.hops > MOST_HOPS or turn.kind == "forget":
            if turn is not None and turn.kind == "forget":
                self._route.forget(link.address)
                self._retire(link)
            self._give_up(request, of_reply(reply))
        elif turn.kind == "source":
            request.packed = request_of(request.step, source=True)
            self._repeat(request, batch)
        elif turn.address is not None and turn.kind == "moved":
            self._route.moved(turn.address)
            self._retire(link)
            self._repeat(request, batch)
        elif turn.address is not None:
            self._spawn(self._ask(request, turn.address, batch.deadline))

    def _lost(self, batch: Batch, request: Request, error: OSError) -> None:
        if self._link is batch.link:
            self._link = None
        if batch.served and not request.retried and request.step.idempotent and not request.future.done():
            request.retried = True
            self.retries += 1
            self._repeat(request, batch)
        else:
            failure = of_failure(error, self._where())
            self._give_up(request, failure)
            self._fail(batch, failure)
        batch.pending -= 1
        if not batch.pending:
            self._finish(batch)

    def _repeat(self, request: Request, batch: Batch) -> None:
        if not self._again:
            self.loop.call_soon(self._resend)
        self._again.append((request, batch))

    async def _ask(self, request: Request, address: Address, deadline: float) -> None:
        try:
            link = await self._route.aopen_at(address, deadline, name=self._name)
            try:
                whole = request_of(request.step, source=True)
                _, reply = await link.exchange(ASKING, whole, deadline=deadline)
            finally:
                link.abort()
        except OSError as error:
            self._give_up(request, of_failure(error, address))
            return
        if isinstance(reply, ReplyError):
            self._give_up(request, of_reply(reply))
        else:
            self._resolve(request, reply)

    # --- ends ------------------------------------------------------------------------------------

    def _count_down(self, batch: Batch, count: int) -> None:
        batch.pending -= count
        if not batch.pending:
            self._finish(batch)
            if batch.permit:
                self._breaker.succeed(batch.permit)

    def _expire(self, batch: Batch) -> None:
        failure = of_failure(TimeoutError(), self._where())
        if batch in self._parked:
            self._parked.remove(batch)
        if batch.link is not None:
            self._retire(batch.link)
        for request in batch.requests:
            self._give_up(request, failure)
        self._fail(batch, failure)
        batch.pending = EXPIRED
        self._finish(batch)

    def _fail(self, batch: Batch, failure: RedisUnavailable) -> None:
        # A batch is one exchange with the server, and one failure.
        if batch.permit:
            self._breaker.fail(batch.permit, str(failure))
            batch.permit = 0

    def _finish(self, batch: Batch) -> None:
        if batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None
        link, batch.link = batch.link, None
        if link is None:
            return
        self._users[link] -= 1
        if not self._users[link]:
            del self._users[link]
            if link is not self._link:
                link.abort()

    def _drop(self, batch: Batch, failure: RedisUnavailable) -> None:
        for request in batch.requests:
            self._give_up(request, failure)
        self._finish(batch)

    def _give_up(self, request: Request, failure: RedisUnavailable) -> None:
        if not request.future.done():
            # Each its own: an exception that several tasks raise collects the tracebacks of all.
            request.future.set_exception(RedisUnavailable(*failure.args))

    def _retire(self, link: AsyncLink) -> None:
        if self._link is link:
            self._link = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _where(self) -> object:
        return self._route.address or self._route.target
