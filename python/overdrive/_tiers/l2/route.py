"""Which server holds a namespace: the one that was named, the primary of sentinels, a node of a cluster.

All keys of a namespace are in one slot, so a cluster is one server, too: the owner of that slot.
Finding it is written once, as a generator that yields questions; `Route` asks them with and without an event loop.
"""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from overdrive._tiers.l2.connections import AsyncLink, Link, key_slot, open_async_link, open_link
from overdrive._tiers.l2.resp import pack
from overdrive._tiers.l2.url import Address, Target

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeAlias

    from overdrive._tiers.l2.resp import Reply
    from overdrive._tiers.l2.step import Argument

    Search: TypeAlias = Generator["Question", Reply, Address]

__all__ = ("Question", "Route")

ROLE: Final = pack(("ROLE",))


class Question(NamedTuple):
    """A command for a server that knows where another one is."""

    target: Target
    address: Address
    command: tuple[Argument, ...]


class Route:
    """The way to the server that holds a namespace; remembered until told that it is wrong.

    Args:
        target: what the URL says.
        key: any key of the namespace.
        connect_timeout: seconds that one attempt to connect may take.
    """

    def __init__(self, target: Target, key: bytes, connect_timeout: float) -> None:
        self.target: Final = target
        self._connect_timeout = connect_timeout
        self._slot = key_slot(key) if target.kind == "cluster" else 0
        self._guides = list(target.addresses)  # whom to ask, who answered last first
        self._address = target.addresses[0] if target.kind == "single" else None

    @property
    def address(self) -> Address | None:
        """Where the namespace was last known to be."""
        return self._address

    def open(self, deadline: float, *, protocol: int = 2, name: str = "") -> Link:
        """Connect to where the namespace is.

        Raises:
            RefusedLogin: the server does not let the user in.
            TimeoutError: at the deadline.
            OSError: no server could be found or connected to.
        """
        address = self._address or self._find(deadline)
        return self.open_at(address, deadline, protocol=protocol, name=name)

    async def aopen(self, deadline: float, *, protocol: int = 2, name: str = "") -> AsyncLink:
        """Connect to where the namespace is, on the running loop; otherwise as `open`."""
        address = self._address or await self._afind(deadline)
        return await self.aopen_at(address, deadline, protocol=protocol, name=name)

    def open_at(self, address: Address, deadline: float, *, protocol: int = 2, name: str = "") -> Link:
        """Connect to another node, which a reply named."""
        limit = self._limit(deadline)
        try:
            link = open_link(self.target, address, deadline=limit, protocol=protocol, name=name)
            if self.target.kind == "sentinel":
                try:
                    self._check_role(link.exchange(ROLE, limit), address)
                except BaseException:
                    link.close()
                    raise
        except OSError:
            self.forget(address)
            raise
        return link

    async def aopen_at(self, address: Address, deadline: float, *, protocol: int = 2, name: str = "") -> AsyncLink:
        """Connect to another node, which a reply named."""
        limit = self._limit(deadline)
        try:
            link = await open_async_link(self.target, address, deadline=limit, protocol=protocol, name=name)
            if self.target.kind == "sentinel":
                try:
                    self._check_role((await link.exchange(ROLE, deadline=limit))[0], address)
                except BaseException:
                    link.abort()
                    raise
        except OSError:
            self.forget(address)
            raise
        return link

    def forget(self, address: Address) -> None:
        """Look for the server anew before the next connection, unless that was done since."""
        if self.target.kind != "single" and self._address == address:
            self._address = None

    def moved(self, address: Address) -> None:
        """Take the word of a node that the namespace is at `address` now."""
        self._address = address
        self._learn([address])

    @staticmethod
    def _check_role(reply: Reply, address: Address) -> None:
        # A sentinel that was cut off names a primary that the others gave up. A user who may not ask is believed.
        if isinstance(reply, list) and reply[0] != b"master":
            raise ConnectionError(f"{address} is no primary any more")

    def _limit(self, deadline: float) -> float:
        return min(deadline, monotonic() + self._connect_timeout)

    def _find(self, deadline: float) -> Address:
        search = self._search()
        question = next(search)
        while True:
            try:
                answer: Reply = self._ask(question, self._share(deadline))
            except OSError as error:
                answer = error
            try:
                question = search.send(answer)
            except StopIteration as found:
                self._address = found.value
                return found.value  # type: ignore[no-any-return]

    async def _afind(self, deadline: float) -> Address:
        search = self._search()
        question = next(search)
        while True:
            try:
                answer: Reply = await self._aask(question, self._share(deadline))
            except OSError as error:
                answer = error
            try:
                question = search.send(answer)
            except StopIteration as found:
                self._address = found.value
                return found.value  # type: ignore[no-any-return]

    def _share(self, deadline: float) -> float:
        # One guide that is silent must leave time to ask another, and to connect.
        now = monotonic()
        return min(now + (deadline - now) / 3, now + self._connect_timeout)

    @staticmethod
    def _ask(question: Question, deadline: float) -> Reply:
        link = open_link(question.target, question.address, deadline=deadline)
        try:
            return link.exchange(pack(question.command), deadline)
        finally:
            link.close()

    @staticmethod
    async def _aask(question: Question, deadline: float) -> Reply:
        link = await open_async_link(question.target, question.address, deadline=deadline)
        try:
            return (await link.exchange(pack(question.command), deadline=deadline))[0]
        finally:
            link.abort()

    def _search(self) -> Search:
        target = self.target
        sentinel = target.kind == "sentinel"
        reasons = []
        command: tuple[Argument, ...] = ("CLUSTER", "SLOTS")
        if sentinel:
            command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", target.service)
            # A sentinel has no databases, and users of its own.
            target = replace(target, db=0, username=target.sentinel_username, password=target.sentinel_password)
        for guide in tuple(self._guides):
            answer = yield Question(target, guide, command)
            if isinstance(answer, Exception):  # of the connection, or the server's
                reasons.append(f"{guide}: {answer}")
                self._rank(guide, last=True)
                continue
            address = self._primary(answer) if sentinel else self._owner(answer, guide)
            if address is None:
                reasons.append(
                    f"{guide}: knows no {f'service {target.service!r}' if sentinel else 'owner of the slot'}"
                )
                continue
            self._rank(guide)
            return address
        raise ConnectionError(f"no {'primary' if sentinel else 'node'} was found ({'; '.join(reasons)})")

    @staticmethod
    def _primary(answer: Reply) -> Address | None:
        return Address(answer[0].decode(), int(answer[1])) if answer else None

    def _owner(self, answer: Reply, guide: Address) -> Address | None:
        found = None
        known = []
        for first, last, (host, port, *_), *_ in answer:
            # A node that does not know its own name says nothing for it.
            address = Address(host.decode() if host else guide.host, port)
            known.append(address)
            if first <= self._slot <= last:
                found = address
        self._learn(known)
        return found

    # Lists are replaced, not changed: other threads may be going through them.

    def _learn(self, addresses: list[Address]) -> None:
        self._guides = list(dict.fromkeys([*self._guides, *addresses]))

    def _rank(self, guide: Address, *, last: bool = False) -> None:
        others = [other for other in self._guides if other != guide]
        self._guides = [*others, guide] if last else [guide, *others]
