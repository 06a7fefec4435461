"""The process of one node: readers and writers until told to stop, then final reads.

    python -m tests.tiers.history.process '<configuration as JSON>'

Answers each line of its standard input with a line of JSON: `stop`, `read` (every key once), `quit`.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.tiers.history.checker import Read, Write
from tests.tiers.history.holdups import Meter
from tests.tiers.history.node import Node, make_node
from tests.tiers.history.origin import Origin

LOAD_SECONDS = (0.001, 0.004, 0.02, 0.06)
RETRY_SECONDS = 0.02


class Recorder:
    """The readers and writers of a node, and what they saw."""

    def __init__(self, index: int, node: Node, origin: Origin, seed: int) -> None:
        self.index = index
        self.node = node
        self.origin = origin
        self.seed = seed
        self.reads: list[Read] = []
        self.writes: list[Write] = []
        self.errors: list[str] = []
        self.stopping = threading.Event()
        self.threads: list[threading.Thread] = []

    def start(self, readers: int, writes_per_second: float) -> None:
        """Start the threads."""
        for number in range(readers):
            generator = random.Random(f"{self.seed} {self.index} {number}")
            self.threads.append(threading.Thread(target=self._guarded, args=(self._read_on, generator)))
        generator = random.Random(f"{self.seed} {self.index} writer")
        self.threads.append(threading.Thread(target=self._guarded, args=(self._write_on, generator, writes_per_second)))
        for thread in self.threads:
            thread.start()

    def stop(self, patience: float) -> None:
        """Stop the threads; what cannot be invalidated by then is not."""
        self.stopping.set()
        deadline = monotonic() + patience
        for thread in self.threads:
            thread.join(max(0.0, deadline - monotonic()))
            if thread.is_alive():
                self.errors.append("a thread did not end")

    def read(self, key: int, generator: random.Random) -> Read:
        """Read one key."""

        def load() -> bytes:
            version = self.origin.version(key)
            sleep(generator.choice(LOAD_SECONDS))
            return (b"k%d:%d" % (key, version)).ljust(56)  # what is shorter than an envelope counts as nothing

        began = monotonic()
        name, _, version = self.node.get_or_load(f"k{key}", load).partition(b":")
        ended = monotonic()
        assert name == b"k%d" % key, f"read {name!r} as the value of k{key}"
        return Read(self.index, key, int(version), began, ended)

    def _guarded(self, work: Any, *arguments: Any) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            self.errors.append(repr(error))
            raise

    def _read_on(self, generator: random.Random) -> None:
        while not self.stopping.is_set():
            self.reads.append(self.read(generator.randrange(self.origin.keys), generator))
            sleep(0.001)

    def _write_on(self, generator: random.Random, rate: float) -> None:
        while not self.stopping.wait(generator.expovariate(rate)):
            key = generator.randrange(self.origin.keys)
            version, committed = self.origin.change(key)
            self.writes.append(Write(self.index, key, version, committed, self._invalidate(key)))

    def _invalidate(self, key: int) -> float | None:
        give_up: float | None = None
        while give_up is None or monotonic() < give_up:
            try:
                self.node.invalidate(f"k{key}")
                return monotonic()
            except Exception:  # noqa: BLE001 - any failure means that it has to be done again
                sleep(RETRY_SECONDS)
            if self.stopping.is_set() and give_up is None:
                give_up = monotonic() + 5
        return None


def main() -> None:
    """Do what the configuration says."""
    configuration = json.loads(sys.argv[1])
    origin = Origin(Path(configuration["origin"]), configuration["keys"])
    node = make_node(*(configuration[name] for name in ("kind", "url", "namespace", "max_staleness")))
    meter = Meter()
    recorder = Recorder(configuration["index"], node, origin, configuration["seed"])
    generator = random.Random(0)

    def answer(**content: object) -> None:
        print(json.dumps(content), flush=True)

    for line in sys.stdin:
        command = line.strip()
        if command == "start":
            recorder.start(configuration["readers"], configuration["writes_per_second"])
            answer(started=True)
        elif command == "stop":
            recorder.stop(patience=10)
            answer(
                reads=recorder.reads,
                writes=recorder.writes,
                errors=recorder.errors,
                holdups=meter.stop(),
                statistics=node.statistics(),
            )
        elif command == "read":
            answer(reads=[recorder.read(key, generator) for key in range(origin.keys)])
        else:
            break
    node.close()
    origin.close()


if __name__ == "__main__":
    main()
