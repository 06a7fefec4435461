"""As much of HTTP/1.1 as the servers of the demo and those who ask them need: short heads, bodies of known length."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ("Connection", "Response", "read_head", "response")

END = b"\r\n\r\n"
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found"}


class Response(NamedTuple):
    """An answer; the names of its fields are in lower case."""

    status: int
    fields: Mapping[str, str]
    body: bytes


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """Read the first line of a message, and its fields by their names in lower case.

    Raises:
        asyncio.IncompleteReadError: the other end has closed the connection.
    """
    first, *lines = (await reader.readuntil(END)).decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.lower(): value.strip() for name, _, value in pairs}


def response(status: int, body: bytes, fields: Mapping[str, object]) -> bytes:
    """The bytes of an answer."""
    lines = [f"HTTP/1.1 {status} {REASONS[status]}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode("latin-1") + END + body


class Connection:
    """A connection to a server on this machine, which is kept open from one request to the next."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect.

        Raises:
            OSError: nobody listens there.
        """
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def request(self, method: str, target: str) -> Response:
        """Ask, and wait for the answer.

        Raises:
            OSError, asyncio.IncompleteReadError: the server went away.
        """
        self._writer.write(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("latin-1"))
        first, fields = await read_head(self._reader)
        body = await self._reader.readexactly(int(fields["content-length"]))
        return Response(int(first.split()[1]), fields, body)

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()
