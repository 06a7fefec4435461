"""A TCP proxy that does to connections what networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import weakref
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

Mode: TypeAlias = Literal["pass", "blackhole", "blackhole_down", "refuse"]


class Proxy:
    """Forwards connections to a server, on a port of its own, from a thread of its own.

    Attributes:
        mode: `pass`; `blackhole`: connections are accepted, and nothing gets through; `blackhole_down`: nothing gets
            through from the server; `refuse`: connections are reset as soon as they are made.
        delay: seconds that everything waits, each way.
        cut_after: bytes from the server after which a connection is reset; None for never.
        only: concerns only connections on which the client has sent this last, as those that do one kind of thing.
    """

    def __init__(self, port: int) -> None:
        self.mode: Mode = "pass"
        self.delay = 0.0
        self.cut_after: int | None = None
        self.only = b""
        self.accepted = 0
        self._to = port
        self._sockets: set[socket.socket] = set()
        self._last: weakref.WeakKeyDictionary[socket.socket, bytes] = weakref.WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(128)
        self._listening.setblocking(False)
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._listening.close()

    @property
    def url(self) -> str:
        """Where it is, for the tier."""
        return f"redis://127.0.0.1:{self.port}"

    def reset_all(self) -> None:
        """Reset every connection, both ways."""
        self._run(self._reset_all())

    def refuse(self) -> None:
        """Reset every connection, and each new one at once."""
        self.mode = "refuse"
        self.reset_all()

    def heal(self) -> None:
        """Let everything through again."""
        self.mode, self.delay, self.cut_after, self.only = "pass", 0.0, None, b""

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _begin(self) -> None:
        # Not a task: one that is cancelled just when a connection is made would drop it unclosed.
        self._loop.add_reader(self._listening, self._accept)

    async def _end(self) -> None:
        self._loop.remove_reader(self._listening)
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._reset_all()

    async def _reset_all(self) -> None:
        for one in [*self._sockets]:
            self._reset(one)

    def _reset(self, one: socket.socket) -> None:
        # Closing without lingering sends RST, not FIN. The selector must forget the descriptor before that.
        self._sockets.discard(one)
        if one.fileno() < 0:
            return
        self._loop.remove_reader(one)
        self._loop.remove_writer(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()

    def _accept(self) -> None:
        try:
            client, _ = self._listening.accept()
        except OSError:  # it has gone away already
            return
        client.setblocking(False)
        self.accepted += 1
        self._sockets.add(client)
        if self.mode == "refuse":
            self._reset(client)
        else:
            self._spawn(self._forward(client))

    async def _forward(self, client: socket.socket) -> None:
        server = socket.socket()
        server.setblocking(False)
        self._sockets.add(server)
        try:
            await self._loop.sock_connect(server, ("127.0.0.1", self._to))
        except OSError:
            self._reset(client)
            self._reset(server)
            return
        self._spawn(self._pump(client, server, down=False))
        self._spawn(self._pump(server, client, down=True))

    def _swallows(self, client: socket.socket, *, down: bool) -> bool:
        if self.only not in self._last.get(client, b""):
            return False
        return self.mode == "blackhole" or (down and self.mode == "blackhole_down")

    async def _pump(self, source: socket.socket, sink: socket.socket, *, down: bool) -> None:
        passed = 0
        client = sink if down else source
        try:
            while data := await self._loop.sock_recv(source, 65536):
                if not down:
                    self._last[client] = data
                while self._swallows(client, down=down):
                    await asyncio.sleep(0.005)
                if self.delay:
                    await asyncio.sleep(self.delay)
                if down and self.cut_after is not None and passed + len(data) > self.cut_after:
                    await self._loop.sock_sendall(sink, data[: self.cut_after - passed])
                    break
                await self._loop.sock_sendall(sink, data)
                passed += len(data)
        except (OSError, ValueError):  # ValueError: the other direction closed it
            passed = 0
        finally:
            self._reset(source)
            self._reset(sink)
