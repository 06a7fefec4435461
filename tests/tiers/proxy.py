"""A TCP proxy between a node and a server, that breaks in every way a network does."""
"""A TCP proxy that does to connections what networks do."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self, TypeAlias

Mode: TypeAlias = Literal["pass", "refuse", "blackhole", "blackhole_down"]


class Proxy:
    """Forwards a port of the loopback to another, in a thread of its own.

    Attributes:
        mode: `pass`; `refuse` new connections; `blackhole`: nothing arrives, in either direction or towards the client
            only, while connections stay open; it arrives when that ends.
        delay: seconds by which each packet is late.
        port: where it listens.
    """

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.mode: Mode = "pass"
        self.delay = 0.0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
import socket
import struct
from collections.abc import Coroutine
from typing import Any, Literal, Self, TypeAlias
Mode: TypeAlias = Literal["pass", "blackhole", "blackhole_down", "refuse"]
    """Forwards connections to a server, on a port of its own, from a thread of its own.
        mode: `pass`; `blackhole`: connections are accepted, and nothing gets through; `blackhole_down`: nothing gets
            through from the server; `refuse`: connections are reset as soon as they are made.
        delay: seconds that everything waits, each way.
        cut_after: bytes from the server after which a connection is reset; None for never.
    def __init__(self, port: int) -> None:
        self.cut_after: int | None = None
        self.accepted = 0
        self._to = port
        self._sockets: set[socket.socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(128)
        self._listening.setblocking(False)
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._run(self._begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def reset_all(self) -> None:
        """Reset every connection."""
        asyncio.run_coroutine_threadsafe(self._abort(), self._loop).result(10)

    def heal(self) -> None:
        """Pass everything again."""
        self.mode, self.delay = "pass", 0.0

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self._connections) // 2

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        await self._abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _abort(self) -> None:
        for writer in tuple(self._connections):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            writer.transport.abort()
            return
        try:
            above, to_server = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.transport.abort()
            return
        self._connections |= {writer, to_server}
        try:
            with suppress(asyncio.CancelledError):  # the end of the proxy, which asyncio would log
                await asyncio.gather(self._pump(reader, to_server, down=False), self._pump(above, writer, down=True))
        finally:
            self._connections -= {writer, to_server}
            writer.transport.abort()
            to_server.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, down: bool) -> None:
        with suppress(OSError):
            while received := await reader.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                while self.mode == "blackhole" or (down and self.mode == "blackhole_down"):
                    await asyncio.sleep(0.005)
                writer.write(received)
                await writer.drain()
            writer.close()
        self._run(self._end())
        self._thread.join()
        self._loop.close()
        self._listening.close()
    def url(self) -> str:
        """Where it is, for the tier."""
        return f"redis://127.0.0.1:{self.port}"
        """Reset every connection, both ways."""
        self._run(self._reset_all())
    def refuse(self) -> None:
        """Reset every connection, and each new one at once."""
        self.mode = "refuse"
        self.reset_all()
        """Let everything through again."""
        self.mode, self.delay, self.cut_after = "pass", 0.0, None
    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
    async def _begin(self) -> None:
        self._spawn(self._accept())
    async def _end(self) -> None:
        for task in [*self._tasks]:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._reset_all()
    async def _reset_all(self) -> None:
        for one in [*self._sockets]:
            self._reset(one)
    def _reset(self, one: socket.socket) -> None:
        # Closing without lingering sends RST, not FIN. The selector must forget the descriptor before that.
        self._sockets.discard(one)
        if one.fileno() < 0:
        self._loop.remove_reader(one)
        self._loop.remove_writer(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listening)
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
            await self._loop.sock_connect(server, ("127.0.0.1", self._to))
            self._reset(client)
            self._reset(server)
        self._spawn(self._pump(client, server, down=False))
        self._spawn(self._pump(server, client, down=True))
    async def _pump(self, source: socket.socket, sink: socket.socket, *, down: bool) -> None:
        passed = 0
            while data := await self._loop.sock_recv(source, 65536):
                if down and self.cut_after is not None and passed + len(data) > self.cut_after:
                    await self._loop.sock_sendall(sink, data[: self.cut_after - passed])
                    break
                await self._loop.sock_sendall(sink, data)
                passed += len(data)
        except (OSError, ValueError):  # ValueError: the other direction closed it
            passed = 0
            self._reset(source)
            self._reset(sink)
