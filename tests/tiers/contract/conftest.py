"""Every kind of cache, through both of its faces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from overdrive import TieredCache
from overdrive.testing import FakeClock
from tests.tiers.contract.faces import AsyncFace, Face, SyncFace
from tests.tiers.servers import Server, eventually

_namespaces = (f"contract{number}" for number in count())
KINDS = ("memory", "disk", "redis", "valkey", "all")


class Kind(NamedTuple):
    """Which tiers a cache has."""

    name: str

    @property
    def has_redis(self) -> bool:
        return self.name in ("redis", "valkey", "all")

    @property
    def has_disk(self) -> bool:
        return self.name in ("disk", "all")

    @property
    def is_memory_alone(self) -> bool:
        return self.name == "memory"


@pytest.fixture(scope="session")
def server_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """One server of each family for all tests of the contract: each test has a namespace of its own."""
    with ExitStack() as stack:
        running: dict[str, Server] = {}

        def start(family: str) -> Server:
            if family not in running:
                running[family] = stack.enter_context(Server(tmp_path_factory.mktemp(family), family))
            return running[family]

        yield start


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of cache in turn."""
    return Kind(request.param)


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test has."""
    return next(_namespaces)


@pytest.fixture
def make(
    kind: Kind, namespace: str, server_of: Callable[[str], Server], tmp_path: Path
) -> Iterator[Callable[..., TieredCache]]:
    """Make instances of the kind that share what is below memory; they are closed when the test ends."""
    with ExitStack() as stack:

        def make(*, folder: str = "disk", **options: Any) -> TieredCache:
            options = {"jitter": 0.0, "namespace": namespace, **options}
            if kind.has_redis:
                options.setdefault("l2", server_of("valkey" if kind.name == "valkey" else "redis").url)
                options.setdefault("budget", 5.0)
            if kind.has_disk:
                options.setdefault("l3", tmp_path / folder)
            cache = stack.enter_context(TieredCache(**options))
            if kind.has_redis:
                eventually(lambda: cache.health().coherent, "the listener is attached")
            return cache

        yield make


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands at a time of these years until it is turned."""
    return FakeClock(1_800_000_000.0)


@pytest.fixture(params=["sync", "async"])
def face_of(request: pytest.FixtureRequest) -> Iterator[Callable[[TieredCache], Face]]:
    """Wrap caches in one of the faces."""
    if request.param == "sync":
        yield SyncFace
        return
    with asyncio.Runner() as runner:
        yield lambda cache: AsyncFace(cache, runner)


@pytest.fixture
def face(make: Callable[..., TieredCache], face_of: Callable[[TieredCache], Face]) -> Face:
    """A cache of each kind, through each face."""
    return face_of(make())
