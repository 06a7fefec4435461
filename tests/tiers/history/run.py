"""Recording a history: three processes, each behind a proxy of its own, and what is done to them meanwhile."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple, Self

from tests.tiers.history.checker import Findings, Read, Write, check
from tests.tiers.history.holdups import Meter, unexplained
from tests.tiers.history.origin import Origin
from tests.tiers.proxy import Proxy
from tests.tiers.servers import Server, eventually

NODES = 3
KEYS = 12
NAMESPACE = "history"
MAX_STALENESS = 0.5
PATIENCE = 10.0


class Outcome(NamedTuple):
    """A history that was checked.

    Attributes:
        findings: what it shows.
        left_in_redis: keys whose value in Redis was older than the origin after everything had healed.
        faults: what was done, in order.
        statistics: what each node says of itself.
        unexplained: of each stale read, worst first, how stale it was without the time in which its process, or this
            one with its proxies, got no processor.
    """

    findings: Findings
    left_in_redis: tuple[int, ...]
    faults: tuple[str, ...]
    statistics: tuple[dict[str, Any], ...]
    unexplained: tuple[float, ...]

    def __str__(self) -> str:
        lines = [
            str(self.findings),
            f"without holdups: {len(self.unexplained)} stale, worst {1000 * max(self.unexplained, default=0):.1f} ms",
            f"left in redis: {self.left_in_redis}",
            f"faults: {', '.join(self.faults)}",
        ]
        return "\n".join([*lines, *(f"  {each}" for each in self.findings.stale[:5]), *map(str, self.statistics)])


class NodeProcess:
    """A node in a process of its own, behind a proxy."""

    def __init__(self, index: int, kind: str, proxy: Proxy, origin: Path, seed: int) -> None:
        self.proxy = proxy
        configuration = {
            "index": index,
            "kind": kind,
            "url": f"redis://127.0.0.1:{proxy.port}",
            "namespace": NAMESPACE,
            "max_staleness": MAX_STALENESS,
            "origin": str(origin),
            "keys": KEYS,
            "readers": 4,
            "writes_per_second": 60.0 / NODES,
            "seed": seed,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.tiers.history.process", json.dumps(configuration)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def send(self, command: str) -> None:
        """Tell it to do something."""
        assert self.process.stdin is not None
        print(command, file=self.process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """Return what it answered."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the node died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.process.pid, number)


class Chaos:
    """Faults, one after the other, until a deadline; everything is healed after each."""

    def __init__(self, nodes: list[NodeProcess], server: Server, seed: int) -> None:
        self.nodes = nodes
        self.server = server
        self.generator = random.Random(f"{seed} chaos")
        self.done: list[str] = []

    def go_on(self, deadline: float) -> None:
        """Break things."""
        kinds: tuple[tuple[str, Callable[[NodeProcess], None]], ...] = (
            ("reset", lambda node: node.proxy.reset_all()),
            ("refuse", self._refuse),
            ("blackhole", lambda node: setattr(node.proxy, "mode", "blackhole")),
            ("blackhole down", lambda node: setattr(node.proxy, "mode", "blackhole_down")),
            ("delay", lambda node: setattr(node.proxy, "delay", 0.04)),
            ("flush", lambda node: self.server.command("FLUSHALL")),
            ("restart", lambda node: self.server.restart()),
            ("stop", lambda node: node.signal(signal.SIGSTOP)),
        )
        order: list[tuple[str, Callable[[NodeProcess], None]]] = []
        while monotonic() < deadline:
            if not order:  # each kind once, and then again in another order
                order = self.generator.sample(kinds, len(kinds))
            name, strike = order.pop()
            node = self.generator.choice(self.nodes)
            self.done.append(name)
            strike(node)
            sleep(min(self.generator.uniform(0.05, 1.2), max(0.0, deadline - monotonic())))
            node.signal(signal.SIGCONT)
            node.proxy.heal()
            if name.startswith("blackhole") and self.generator.random() < 0.5:
                node.proxy.reset_all()  # what was on its way is lost, not late
            sleep(0.2)

    @staticmethod
    def _refuse(node: NodeProcess) -> None:
        node.proxy.mode = "refuse"
        node.proxy.reset_all()


def record(directory: Path, server: Server, *, seconds: float, faults: bool, seed: int, kind: str = "parts") -> Outcome:
    """Record a history of that many seconds, and check it."""
    path = directory / "origin"
    origin = Origin(path, KEYS)
    meter = Meter()
    with ExitStack() as stack:
        stack.callback(meter.stop)
        stack.callback(origin.close)
        proxies = [stack.enter_context(Proxy(server.port)) for _ in range(NODES)]
        nodes = [
            stack.enter_context(NodeProcess(index, kind, proxy, path, seed)) for index, proxy in enumerate(proxies)
        ]
        for node in nodes:
            node.send("read")
        for node in nodes:
            node.answer()
        end = monotonic() + seconds
        for node in nodes:
            node.send("start")
        for node in nodes:
            assert node.answer() == {"started": True}
        chaos = Chaos(nodes, server, seed)
        if faults:
            chaos.go_on(end)
        sleep(max(0.0, end - monotonic()))
        for node in nodes:
            node.send("stop")
        answers = [node.answer() for node in nodes]
        final = _rest(nodes, origin)
        left_in_redis = tuple(key for key in range(KEYS) if _in_redis(server, key) not in (None, origin.version(key)))
        assert not [error for answer in answers for error in answer["errors"]]
        findings = check(
            [Write(*each) for answer in answers for each in answer["writes"]],
            [Read(*each) for answer in answers for each in answer["reads"]],
            origin={key: origin.version(key) for key in range(KEYS)},
            final=final,
        )
        own = meter.stop()
        holdups = [[*own, *((start, stop) for start, stop in answer["holdups"])] for answer in answers]
        seconds_left = [unexplained(each, holdups[each.read.node]) for each in findings.stale]
        return Outcome(
            findings,
            left_in_redis,
            tuple(chaos.done),
            tuple(answer["statistics"] for answer in answers),
            tuple(sorted((left for left in seconds_left if left > 1e-6), reverse=True)),
        )


def _rest(nodes: list[NodeProcess], origin: Origin) -> list[Read]:
    """Read every key on every node until all is as in the origin, or will not become so any more."""
    deadline = monotonic() + 2 * MAX_STALENESS + 1.0  # far below the time that entries live
    while True:
        for node in nodes:
            node.send("read")
        reads = [Read(*each) for node in nodes for each in node.answer()["reads"]]
        if monotonic() > deadline or all(read.version == origin.version(read.key) for read in reads):
            return reads
        sleep(0.05)


def _in_redis(server: Server, key: int) -> int | None:
    value = eventually(lambda: (server.command("GET", f"{{{NAMESPACE}}}:v:k{key}"),), "redis answers")[0]
    found = re.search(rb"k%d:(\d+)" % key, value or b"")
    return int(found[1]) if found else None
