"""Why L2 did not do what it was asked to: the errors of servers and sockets, as the tier reports them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from overdrive._tiers.l2.connections import RefusedLogin
from overdrive._tiers.l2.resp import ProtocolError, ReplyError
from overdrive.exceptions import TierUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("DENIED", "RedisUnavailable", "of_failure", "of_reply")

#: What the server replies with while it can answer other calls, or soon will: it is there, so the breaker stays closed.
REFUSALS: Final = {
    "READONLY": ("readonly", "the server is a replica and takes no writes"),
    "OOM": ("oom", "the server has no memory left and evicts nothing"),
    "LOADING": ("loading", "the server is reading its data from disk"),
    "MASTERDOWN": ("masterdown", "the server is a replica that lost its primary"),
    "CLUSTERDOWN": ("clusterdown", "a part of the cluster is missing"),
    "TRYAGAIN": ("resharding", "the slot of the namespace is on its way to another node"),
    "MOVED": ("moved", "the nodes of the cluster do not agree on who owns the slot"),
    "ASK": ("resharding", "the slot of the namespace is on its way to another node"),
    "BUSY": ("busy script", "the server runs a script of somebody else's that does not end"),
    "NOREPLICAS": ("noreplicas", "the server takes no writes, as too few replicas follow it"),
    "MISCONF": ("misconf", "the server takes no writes, as it cannot save them"),
    "NOAUTH": ("denied", "the server asks for a password"),
    "WRONGPASS": ("denied", "the server does not know this user and password"),
    "NOPERM": ("denied", "the user lacks a right"),
    "WRONGTYPE": ("wrongtype", "a key of the namespace holds something that is not ours"),
}

#: What is said of a right that a script lacks, which has no code of its own.
MISSING_RIGHT: Final = ("ACL failure in script", "The user executing the script can't")

#: Reasons that need somebody to change a configuration; waiting does not help.
DENIED: Final = frozenset({"denied", "tls"})


class RedisUnavailable(TierUnavailable):
    """L2 did not do what it was asked to.

    Attributes:
        reason: one or two words, for statistics: `open` (the breaker answers), `busy` (no connection became free),
            `timeout`, `refused` (nobody listens), `reset`, `protocol`, `tls`, `denied`, `readonly`, `oom`, `too large`
            and so on.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason, text)
        self.reason: Final = reason

    def __str__(self) -> str:
        return f"redis: {self.args[1]}"


def of_reply(reply: ReplyError) -> RedisUnavailable:
    """Return what an error that the server replied with comes to."""
    code = reply.code
    if code == "ERR" and any(words in str(reply) for words in MISSING_RIGHT):
        code = "NOPERM"
    reason, meaning = REFUSALS.get(code, ("error", "the server replied with an error"))
    return RedisUnavailable(reason, f"{meaning} ({reply})")


def of_failure(error: BaseException, where: object) -> RedisUnavailable:
    """Return what the error of a connection comes to."""
    if isinstance(error, RefusedLogin):
        refusal = of_reply(error.reply)
        reason = "loading" if refusal.reason == "loading" else "denied"
        return RedisUnavailable(reason, f"{where} does not let us in ({error})")
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | TimeoutError):
            return RedisUnavailable("tls", f"no encrypted connection to {where}: {cause}")
    if isinstance(error, TimeoutError):
        return RedisUnavailable("timeout", f"{where} did not answer within the budget")
    if isinstance(error, ProtocolError):
        return RedisUnavailable("protocol", f"{where} does not speak as Redis does: {error}")
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return RedisUnavailable("reset", f"{where} closed the connection ({error})")
    return RedisUnavailable("refused", f"{where} cannot be reached ({error})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
