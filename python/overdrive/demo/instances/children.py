"""The processes that the demo starts and ends: its servers, and a Redis of its own."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from time import monotonic

from overdrive.demo.instances.settings import SERVER, Settings
from overdrive.demo.processes import command, environment

__all__ = ("ChildError", "Instance", "RedisServer", "find_redis")

PATIENCE = 30.0  # seconds to start in, on a machine that is busy
GRACE = 5.0  # seconds to end in, before it is killed
LOOK = 0.01


class ChildError(OSError):
    """A process that did not start."""


def find_redis() -> str | None:
    """The path of a program that is Redis or Valkey; None if none is installed."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


class _Child:
    """A process, whose complaints go to a file."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name.replace(' ', '-')}.log"
        self._process: subprocess.Popen[str] | None = None

    def _spawn(self, arguments: list[str]) -> subprocess.Popen[str]:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                arguments, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        return self._process

    def kill(self) -> None:
        """End it as a crash does: it is asked nothing."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def end(self) -> None:
        """Let it end by itself, if it does so in time."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
        self._reap()

    def _reap(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _failed(self) -> ChildError:
        said = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return ChildError(f"{self.name} did not start: {said[-1] if said else 'it did not say why'}")


class Instance(_Child):
    """A server process; `port` is where it listens, None while it does not."""

    def __init__(self, name: str, folder: Path, settings: Settings) -> None:
        super().__init__(name, folder)
        self.port: int | None = None
        self._settings = settings

    async def start(self) -> None:
        """Start it, and wait until it listens.

        Raises:
            ChildError: it does not.
        """
        process = self._spawn(command(SERVER, self._settings.text()))
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
        if not line.strip().isdigit():
            raise self._failed()
        self.port = int(line)

    def kill(self) -> None:
        """End it as a crash does."""
        self.port = None
        super().kill()


class RedisServer(_Child):
    """A Redis that keeps nothing on disk, on a socket in the demo's folder: nobody else can reach it."""

    def __init__(self, program: str, folder: Path) -> None:
        super().__init__("Redis", folder)
        self._program = program
        self._socket = folder / "redis.sock"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"unix://{self._socket}"

    async def start(self) -> None:
        """Start it, empty, and wait until it answers.

        Raises:
            ChildError: it does not.
        """
        self._socket.unlink(missing_ok=True)
        options = ["--port", "0", "--unixsocket", str(self._socket), "--dir", str(self._socket.parent)]
        options += ["--save", "", "--appendonly", "no", "--logfile", str(self._log)]
        process = self._spawn([self._program, *options])
        deadline = monotonic() + PATIENCE
        while not await self._answers():
            if process.poll() is not None or monotonic() > deadline:
                raise self._failed()
            await asyncio.sleep(LOOK)

    def end(self) -> None:
        """It has nothing to lose."""
        self.kill()

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        except OSError:
            return False
        finally:
            writer.close()
