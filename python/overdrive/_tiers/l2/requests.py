"""Steps as bytes, and the replies that send a step elsewhere; the same for threads and event loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from overdrive._tiers.l2.resp import pack
from overdrive._tiers.l2.url import Address

if TYPE_CHECKING:
    from typing import TypeAlias

    from overdrive._tiers.l2.resp import ReplyError
    from overdrive._tiers.l2.step import Step

    Detour: TypeAlias = Literal["source", "moved", "ask", "forget"]

__all__ = ("ASKING", "MOST_HOPS", "Turn", "request_of", "turn_of")

#: How often one call follows what servers say, before it gives up on them.
MOST_HOPS: Final = 4
#: Goes before a request that a node takes only because another one sent it there.
ASKING: Final = pack(("ASKING",))


class Turn(NamedTuple):
    """What to do about a reply that is not the answer.

    Attributes:
        kind: `source`: send the script itself; `moved`: the server is another one from now on; `ask`: another one
            just this time; `forget`: look for the server anew, and report the error.
        address: of the other server.
    """

    kind: Detour
    address: Address | None = None


def request_of(step: Step[Any], *, source: bool = False) -> bytes:
    """Return the bytes that ask for `step`; with `source` the script travels along, and the server keeps it."""
    script = step.script
    if script is None:
        return pack(step.command)
    head = ("EVAL", script.source) if source else ("EVALSHA", script.sha)
    return pack((*head, len(step.keys), *step.keys, *step.args))


def turn_of(reply: ReplyError, here: Address) -> Turn | None:
    """Return where a reply from `here` sends a step, None if it is an error to report."""
    code = reply.code
    if code == "NOSCRIPT":
        return Turn("source")
    if code == "READONLY":
        return Turn("forget")
    if code in ("MOVED", "ASK"):
        host, _, port = str(reply).rpartition(" ")[2].rpartition(":")
        if port.isdigit():
            return Turn("moved" if code == "MOVED" else "ask", Address(host or here.host, int(port)))
    return None
