"""A process of many callers: `stampede_child CONFIGURATION`; obeys lines of its input, answers with lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from overdrive import TieredCache


class Loader:
    """Takes its time, and leaves a line in a file for each run."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path
        self.seconds = seconds

    def begin(self) -> str:
        """Leave the line, in one write, which is whole."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, b"%d\n" % os.getpid())
        os.close(descriptor)
        return f"by {os.getpid()}"

    def __call__(self, _key: object) -> str:
        value = self.begin()
        time.sleep(self.seconds)
        return value

    async def in_task(self, _key: object) -> str:
        """Do the same in a task."""
        value = self.begin()
        await asyncio.sleep(self.seconds)
        return value


def call_in_threads(cache: TieredCache, key: str, loader: Loader, count: int, terms: dict[str, Any]) -> list[str]:
    """Call in as many threads at the same time."""
    results: list[str] = []
    barrier = threading.Barrier(count)

    def work() -> None:
        barrier.wait(20)
        results.append(cache.get_or_load(key, loader, **terms))

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


async def call_in_tasks(cache: TieredCache, key: str, loader: Loader, count: int, terms: dict[str, Any]) -> list[str]:
    """Call in as many tasks at the same time."""
    return list(await asyncio.gather(*(cache.aget_or_load(key, loader.in_task, **terms) for _ in range(count))))


def main() -> None:
    """Answer each line."""
    configuration = json.loads(sys.argv[1])
    cache = TieredCache(**configuration["cache"])
    while not cache.health().coherent:
        time.sleep(0.005)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        loader = Loader(Path(configuration["loads"]), order["seconds"])
        arguments = (cache, order["key"], loader, order["count"], order.get("terms", {}))
        began = time.monotonic()
        results = asyncio.run(call_in_tasks(*arguments)) if order["tasks"] else call_in_threads(*arguments)
        answer = {"values": sorted(set(results)), "count": len(results), "seconds": time.monotonic() - began}
        print(json.dumps(answer), flush=True)
    cache.close()


if __name__ == "__main__":
    main()
