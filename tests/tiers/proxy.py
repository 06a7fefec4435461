"""A TCP proxy between a node and a server, that breaks in every way a network does."""

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
