"""Connections to Redis: redis-py opens and encrypts them, the tier speaks on them.

A call has a budget for everything that it does, also for what happens below it. So redis-py's part ends with the open
socket: from there on every wait has the deadline of the call, and logging in is one exchange.
This is the only file that imports redis-py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from functools import lru_cache
from socket import SHUT_RDWR
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from overdrive._tiers.l2.resp import NOTHING, ProtocolError, Push, Reader, ReplyError, make_reader, pack
from overdrive.exceptions import ConfigError, MissingExtraError

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from overdrive._tiers.l2.resp import Reply
    from overdrive._tiers.l2.step import Argument
    from overdrive._tiers.l2.url import Address, Target, Tls

    #: A connection of redis-py, whose classes for blocking code and for asyncio have no common one.
    Owner: TypeAlias = Any

__all__ = (
    "AsyncLink",
    "Link",
    "RefusedLogin",
    "key_slot",
    "open_async_link",
    "open_link",
    "require_client",
    "tls_context",
)

CHUNK: Final = 65536


class RefusedLogin(ConnectionError):  # noqa: N818 - says what happened
    """The server does not let this user, or this database, in."""

    def __init__(self, reply: ReplyError) -> None:
        super().__init__(str(reply))
        self.reply: Final = reply


class _Client(NamedTuple):
    """The classes of redis-py that open connections, without its own way of logging in."""

    plain: type[Any]
    tls: type[Any]
    unix: type[Any]


class Link:
    """A connection of blocking code; used by one thread at a time.

    After a wait that ended at its deadline the connection must be closed: the reply may still come, and nobody
    could tell it from the next one.
    """

    __slots__ = ("_reader", "_socket", "address", "served")

    def __init__(self, connected: socket.socket, address: Address) -> None:
        self._socket = connected
        self._reader: Reader = make_reader()
        self.address: Final = address
        self.served = False  # whether a reply ever came, which tells a connection that died from a server that is away

    def exchange(self, request: bytes, deadline: float) -> Reply:
        """Send one packed command and return its reply. With protocol 3 a `Push` may come first: use `send` and `read`.

        Raises:
            TimeoutError: at the deadline.
            OSError: the connection broke.
        """
        self.send(request, deadline)
        reply = self.read(deadline)
        self.served = True
        return reply

    def ask(self, *command: Argument, deadline: float) -> Reply:
        """Send one command and return its reply; an error that the server replied with is raised."""
        reply = self.exchange(pack(command), deadline)
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def send(self, request: bytes, deadline: float) -> None:
        """Send packed commands, whose replies `read` returns in order."""
        self._socket.settimeout(_left(deadline))
        self._socket.sendall(request)

    def read(self, deadline: float) -> Reply:
        """Return the next reply; an error of the server is returned, too, and so is a `Push`."""
        reader = self._reader
        while (reply := reader.gets()) is NOTHING:
            self._socket.settimeout(_left(deadline))
            received = self._socket.recv(CHUNK)
            if not received:
                raise ConnectionResetError("the server closed the connection")
            reader.feed(received)
        return reply

    def abort(self) -> None:
        """Make a wait of another thread end now, with an error."""
        with suppress(OSError):  # it is closed already, or was never connected: nothing waits
            self._socket.shutdown(SHUT_RDWR)

    def fileno(self) -> int:
        """Return the descriptor of the socket, -1 once closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close it, here only: a process that was forked goes on with its copy."""
        self._socket.close()

    def __del__(self) -> None:
        self._socket.close()


class AsyncLink(asyncio.Protocol):
    """A connection of one event loop, on which any number of requests are under way.

    Replies come in the order of the requests, so each goes to the oldest that waits. One that nobody waits for
    any longer is still counted here, and dropped when its reply arrives.
    """

    def __init__(self, address: Address) -> None:
        self._reader: Reader = make_reader()
        self._sinks: deque[Callable[[Reply], None]] = deque()
        self._transport: asyncio.Transport | None = None
        self._owner: object = None  # redis-py's connection, which closes the transport when it goes
        self.address: Final = address
        self.served = False
        self.lost: OSError | None = None

    def adopt(self, transport: asyncio.Transport, owner: object) -> None:
        """Take over the transport of `owner`."""
        self._transport = transport
        self._owner = owner
        transport.set_protocol(self)

    @property
    def waiting(self) -> int:
        """How many replies are still to come."""
        return len(self._sinks)

    def send(self, request: bytes, sinks: list[Callable[[Reply], None]]) -> None:
        """Send packed commands; each sink gets one reply, or the exception that ended the connection.

        Sinks are called by the loop and must not raise.
        """
        if self.lost is not None or self._transport is None:
            lost = self.lost or ConnectionResetError("the connection is closed")
            for sink in sinks:
                sink(lost)
            return
        self._sinks.extend(sinks)
        self._transport.write(request)

    async def exchange(self, *requests: bytes, deadline: float) -> list[Reply]:
        """Send packed commands and return their replies, errors of the server among them.

        Raises:
            TimeoutError: at the deadline; the connection is of no more use then.
            OSError: the connection broke.
        """
        replies: list[Reply] = []
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def sink(reply: Reply) -> None:
            replies.append(reply)
            if not done.done() and (len(replies) == len(requests) or isinstance(reply, OSError)):
                done.set_result(None)

        self.send(b"".join(requests), [sink] * len(requests))
        async with asyncio.timeout(_left(deadline)):
            await done
        if isinstance(replies[-1], OSError):
            raise replies[-1]
        return replies

    def abort(self, reason: OSError | None = None) -> None:
        """Close it at once; who waits for a reply gets `reason`."""
        self._lose(reason or ConnectionAbortedError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        """Hand replies to those that wait for them."""
        reader, sinks = self._reader, self._sinks
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not NOTHING:
                if isinstance(reply, Push):
                    continue
                if not sinks:
                    self._lose(ConnectionAbortedError("a reply came that nobody asked for"))
                    return
                self.served = True
                sinks.popleft()(reply)
        except ProtocolError as error:
            self._lose(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell those that wait."""
        if not isinstance(exc, OSError):
            exc = ConnectionResetError(str(exc or "the server closed the connection"))
        self._lose(exc)

    def _lose(self, reason: OSError) -> None:
        if self.lost is not None:
            return
        self.lost = reason
        transport, owner, self._transport, self._owner = self._transport, self._owner, None, None
        if transport is not None:
            transport.abort()
        if owner is not None:
            _detach(owner)
        sinks, self._sinks = self._sinks, deque()
        for sink in sinks:
            sink(reason)


def open_link(target: Target, address: Address, *, deadline: float, protocol: int = 2, name: str = "") -> Link:
    """Connect and log in.

    Args:
        target: how: TLS, user, database.
        address: where.
        deadline: of all of it, on `time.monotonic`. Resolving a host name is up to the system and not bounded by it.
        protocol: 2, or 3 for messages that no command asked for.
        name: what the connection is called in `CLIENT LIST`.

    Raises:
        RefusedLogin: the server does not let the user in.
        TimeoutError: at the deadline.
        OSError: anything else that kept it from connecting; a TLS error is its `__cause__` or `__context__`.
    """
    owner = _connection(_blocking_client(), target, address, _left(deadline), protocol)
    _run(owner.connect)
    link = Link(owner._sock, address)
    owner._sock = None
    try:
        login = _login(target, protocol, name)
        if login:
            link.send(b"".join(map(pack, login)), deadline)
            for _ in login:
                _check_login(link.read(deadline))
    except BaseException:
        link.close()
        raise
    return link


async def open_async_link(
    target: Target, address: Address, *, deadline: float, protocol: int = 2, name: str = ""
) -> AsyncLink:
    """Connect and log in, on the running loop; otherwise as `open_link`."""
    owner = _connection(_asyncio_client(), target, address, _left(deadline), protocol)
    try:
        async with asyncio.timeout(_left(deadline)):
            await owner.connect()
    except Exception as error:
        raise _translated(error) from error
    link = AsyncLink(address)
    link.adopt(owner._writer.transport, owner)
    try:
        login = _login(target, protocol, name)
        if login:
            for reply in await link.exchange(*map(pack, login), deadline=deadline):
                _check_login(reply)
    except BaseException:
        link.abort()
        raise
    return link


@lru_cache(16)
def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return what TLS is done with; kept, as reading certificates takes longer than many a call may.

    Raises:
        ConfigError: a file cannot be read, or holds no certificate or key.
    """
    import ssl

    try:
        context = ssl.create_default_context(cafile=tls.ca_certs)
        if tls.certfile is not None:
            context.load_cert_chain(tls.certfile, tls.keyfile)
    except OSError as error:
        raise ConfigError(
            f"tls: {error} (ca_certs {tls.ca_certs}, certfile {tls.certfile}, keyfile {tls.keyfile})"
        ) from error
    context.check_hostname = tls.verify and tls.check_hostname
    if not tls.verify:
        context.verify_mode = ssl.CERT_NONE
    return context


def key_slot(key: bytes) -> int:
    """Return the slot of a cluster that `key` is in."""
    require_client()
    from redis.crc import key_slot as slot_of

    return slot_of(key)


def require_client() -> None:
    """Import redis-py.

    Raises:
        MissingExtraError: it is not installed.
    """
    # Both, as importing takes longer than a call may.
    _blocking_client()
    _asyncio_client()


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("no time is left")
    return left


def _login(target: Target, protocol: int, name: str) -> list[tuple[Argument, ...]]:
    commands: list[tuple[Argument, ...]] = []
    if protocol == 3:
        hello: tuple[Argument, ...] = ("HELLO", 3)
        if target.password is not None:
            hello += ("AUTH", target.username or "default", target.password)
        commands.append(hello)
    elif target.password is not None:
        user = () if target.username is None else (target.username,)
        commands.append(("AUTH", *user, target.password))
    if target.db:
        commands.append(("SELECT", target.db))
    if name:
        commands.append(("CLIENT", "SETNAME", name))
    return commands


def _check_login(reply: Reply) -> None:
    # Naming the connection is a courtesy: a user who may not do that is still let in.
    if isinstance(reply, ReplyError) and "client" not in str(reply).lower():
        raise RefusedLogin(reply)


def _connection(client: _Client, target: Target, address: Address, timeout: float, protocol: int) -> Owner:
    options: dict[str, object] = {"socket_timeout": timeout, "socket_connect_timeout": timeout, "protocol": protocol}
    if not address.port:
        return client.unix(path=address.host, **options)
    options |= {"host": address.host, "port": address.port, "socket_keepalive": True}
    if target.tls is None:
        return client.plain(**options)
    connection = client.tls(**options)
    connection.context = tls_context(target.tls)
    return connection


def _run(connect: Callable[[], None]) -> None:
    try:
        connect()
    except Exception as error:
        raise _translated(error) from error


def _translated(error: Exception) -> OSError:
    """Return what redis-py raised, which has its own classes, as the errors of sockets."""
    for cause in _causes(error):
        if isinstance(cause, OSError):
            return TimeoutError("connecting took too long") if isinstance(cause, TimeoutError) else cause
    text = str(error)
    return TimeoutError(text) if "imeout" in type(error).__name__ else ConnectionError(text)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _detach(owner: Owner) -> None:
    # Its destructor would close the transport once more, and warn that nobody did.
    owner._reader = owner._writer = None


def _missing(error: ImportError) -> MissingExtraError:
    return MissingExtraError(f"a redis URL needs the package redis, >=5.2,<9: pip install 'redis>=5.2,<9' ({error})")


@lru_cache(1)
def _blocking_client() -> _Client:
    try:
        from redis.connection import Connection, UnixDomainSocketConnection
    except ImportError as error:
        raise _missing(error) from error

    class Opened:
        """Ends with the open socket."""

        def on_connect(self) -> None:
            """Leave logging in to the caller."""

        def on_connect_check_health(self, check_health: bool = True) -> None:
            """Leave logging in to the caller."""

    class Plain(Opened, Connection):
        """Over a port."""

    class Encrypted(Opened, Connection):
        """Over a port, with TLS."""

        context: ssl.SSLContext

        def _connect(self) -> socket.socket:
            connected: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
            try:
                return self.context.wrap_socket(connected, server_hostname=self.host)
            except BaseException:
                connected.close()
                raise

    class Local(Opened, UnixDomainSocketConnection):
        """Over a Unix socket."""

    return _Client(Plain, Encrypted, Local)


@lru_cache(1)
def _asyncio_client() -> _Client:
    try:
        from redis.asyncio.connection import Connection, UnixDomainSocketConnection
    except ImportError as error:
        raise _missing(error) from error

    class Opened:
        """Ends with the open streams."""

        async def on_connect(self) -> None:
            """Leave logging in to the caller."""

        async def on_connect_check_health(self, check_health: bool = True) -> None:
            """Leave logging in to the caller."""

    class Plain(Opened, Connection):
        """Over a port."""

    class Encrypted(Opened, Connection):
        """Over a port, with TLS."""

        context: ssl.SSLContext

        def _connection_arguments(self) -> dict[str, Any]:
            return {**super()._connection_arguments(), "ssl": self.context}

    class Local(Opened, UnixDomainSocketConnection):
        """Over a Unix socket."""

    return _Client(Plain, Encrypted, Local)
