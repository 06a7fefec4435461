"""The load: those who read pages, in the order of the trace, and those who change prices meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import cycle
from random import Random
from time import monotonic, perf_counter_ns

from overdrive.demo.instances.children import Instance
from overdrive.demo.instances.ledger import Ledger
from overdrive.demo.instances.tally import Tally
from overdrive.demo.instances.wire import Connection, Response

__all__ = ("Load",)

READERS = 3  # for each process; each has one request under way
CHANGES_PER_SECOND = 25.0
PATIENCE = 5.0  # seconds for an answer
SEED = 20121201


class Load:
    """Asks two processes for pages, and says what came.

    Args:
        instances: whom to ask; who does not answer is done without.
        requests: products, in the order in which they are asked for in each phase.
        ledger: what the pages are compared with.
        bound: how stale they may be, in seconds.
    """

    def __init__(self, instances: Sequence[Instance], requests: Sequence[int], ledger: Ledger, *, bound: float) -> None:
        self._instances = instances
        self._requests = requests
        self._next: Iterator[int] = cycle(requests)
        self._ledger = ledger
        self._bound = bound
        self._loads: dict[tuple[str, int], int] = {}
        self.tallies: list[Tally] = []

    def begin(self, phase: str) -> Tally:
        """Ask for the products from the first on again, and count that under another phase."""
        self._next = cycle(self._requests)
        self.tallies.append(Tally(phase, self._bound))
        return self.tallies[-1]

    async def run(self) -> None:
        """Read and change until cancelled."""
        async with asyncio.TaskGroup() as group:
            for instance in self._instances:
                for _ in range(READERS):
                    group.create_task(self._read(instance))
            group.create_task(self._change())

    async def _read(self, instance: Instance) -> None:
        caller = _Caller(self._preferring(instance))
        try:
            while True:
                await self._ask(caller, next(self._next))
        finally:
            caller.close()

    async def _change(self) -> None:
        """Change the price of products that are asked for, the more often the more they are.

        After each change both processes are asked for that product at once: that is when a page is stale, if ever.
        """
        random = Random(SEED)
        callers = [_Caller(self._preferring(instance)) for instance in self._instances]
        try:
            for caller in cycle(callers):
                due = monotonic() + 1 / CHANGES_PER_SECOND
                product, cents = random.choice(self._requests), random.randrange(500, 60_000)
                tally = self.tallies[-1]
                version = self._ledger.propose(product, cents)
                target = f"/products/{product}?version={version}&cents={cents}"
                while await caller.request("PUT", target, tally) is None:
                    await asyncio.sleep(1 / CHANGES_PER_SECOND)
                self._ledger.acknowledge(product, version, monotonic())
                tally.changes += 1
                for other in callers:
                    await self._ask(other, product)
                await asyncio.sleep(max(0.0, due - monotonic()))
        finally:
            for caller in callers:
                caller.close()

    def _preferring(self, instance: Instance) -> list[Instance]:
        return [instance, *(other for other in self._instances if other is not instance)]

    async def _ask(self, caller: _Caller, product: int) -> None:
        tally, began = self.tallies[-1], perf_counter_ns()
        answer = await caller.request("GET", f"/products/{product}", tally)
        waited = perf_counter_ns() - began
        if answer is None:
            tally.unanswered += 1
            await asyncio.sleep(1 / CHANGES_PER_SECOND)  # not to ask all the time where nobody answers
            return
        tally.count(answer, self._ledger.staleness(product, answer.body, caller.sent), waited)
        process, loads = (caller.asked.name, caller.port), int(answer.fields["loads"])
        tally.loads += max(0, loads - self._loads.get(process, 0))
        self._loads[process] = max(loads, self._loads.get(process, 0))


class _Caller:
    """Asks a process, and another one if that does not answer; `sent` is when whoever answered was asked."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        self._instances = instances
        self._connections: dict[int, Connection] = {}
        self.asked = instances[0]
        self.port = 0
        self.sent = 0.0

    async def request(self, method: str, target: str, tally: Tally) -> Response | None:
        """Return an answer; None if nobody gives one."""
        for instance in self._instances:
            port = instance.port
            if port is not None:
                try:
                    async with asyncio.timeout(PATIENCE):
                        answer = await self._request(port, method, target)
                except (OSError, asyncio.IncompleteReadError):
                    self._drop(port)
                else:
                    self.asked, self.port = instance, port
                    tally.redirected += instance is not self._instances[0]
                    return answer
        return None

    async def _request(self, port: int, method: str, target: str) -> Response:
        connection = self._connections.get(port)
        if connection is None:
            connection = self._connections[port] = await Connection.open(port)
        self.sent = monotonic()
        answer = await connection.request(method, target)
        if answer.status != 200:
            raise OSError(f"{method} {target} was answered with {answer.status}")
        return answer

    def _drop(self, port: int) -> None:
        connection = self._connections.pop(port, None)
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close the connections."""
        for port in list(self._connections):
            self._drop(port)
