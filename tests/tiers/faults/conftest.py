"""Caches behind a proxy, called from blocking code and from tasks, and what they log."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from overdrive import TieredCache
from tests.tiers.faults.calls import Calls, LogLines, Origin
from tests.tiers.proxy import Proxy
from tests.tiers.servers import Server


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="tasks", daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture(params=["blocking", "tasks"])
def way(request: pytest.FixtureRequest) -> str:
    """Each way to call a cache."""
    return str(request.param)


@pytest.fixture
def make_cache(request: pytest.FixtureRequest) -> Iterator[Callable[..., Calls]]:
    """Make caches, which are closed in the end: `make_cache(l2=url, way="tasks")`."""
    made: list[Calls] = []

    def make(l2: str | None = None, *, way: str = "blocking", **options: Any) -> Calls:
        given = {"max_staleness": 0.5, "jitter": 0.0, **options}
        loop = request.getfixturevalue("loop") if way == "tasks" else None
        made.append(Calls(TieredCache(l2=l2, **given), loop))
        return made[-1]

    # Made first, so that it ends last.
    request.getfixturevalue("loop")
    yield make
    for calls in made:
        calls.close()


@pytest.fixture
def origin() -> Origin:
    """What loaders load from."""
    return Origin()


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[Proxy]:
    """A proxy to a Redis of its own."""
    with Proxy(redis_server.port) as running:
        yield running


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> LogLines:
    """What the package logs."""
    caplog.set_level(logging.INFO, "overdrive")
    return LogLines(caplog)
