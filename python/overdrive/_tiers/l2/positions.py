"""Where a listener is in the stream of invalidations, and what it may conclude from what it read there.

A position is the id of an entry that was applied: the *anchor*. A poll reads what follows the anchor and then,
in the same request, looks for the anchor itself. Streams lose entries only from their old end, and all at once; so if
the anchor is still there after the read, then nothing that followed it is missing. Neither a stream that was trimmed
past the position, nor one that was deleted and begun anew (a flush, an empty restart), nor the shorter one of a
replica that became the primary, contains the anchor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Final

__all__ = ("ORIGIN", "StreamId", "gap_reason", "is_caught_up")


class StreamId(NamedTuple):
    """The id of an entry of a stream; ids are ordered as the entries are.

    Attributes:
        ms: the server's clock when the entry was added, in ms since 1970.
        seq: the number of the entry within that millisecond.
    """

    ms: int
    seq: int

    @classmethod
    def parse(cls, text: bytes | str) -> StreamId:
        """Return the id that a server wrote as `ms-seq`.

        Raises:
            ValueError: if the text is something else.
        """
        ms, dash, seq = (text.decode("ascii") if isinstance(text, bytes) else text).partition("-")
        if not (dash and ms.isdecimal() and seq.isdecimal()):
            raise ValueError(f"{text!r} is not the id of an entry of a stream")
        return cls(int(ms), int(seq))

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"


ORIGIN: Final = StreamId(0, 0)  # before every entry


def is_caught_up(applied: int, limit: int) -> bool:
    """Tell whether a poll that asked for `limit` entries and got `applied` has seen the end of the stream.

    A full answer says nothing about what is behind it; trust waits for one that is not.
    """
    return applied < limit


def gap_reason(position: StreamId | None, newest: StreamId | None) -> str:
    """Say why entries between a position and the end of the stream may have been missed.

    Args:
        position: the anchor that the stream no longer has; None if the listener had none yet.
        newest: the id of the newest entry of the stream now; None if there is no entry.
    """
    if position is None:
        return "first attach"
    if newest is None:
        return "the stream is gone (flushed, or the server restarted empty)"
    if newest < position:
        return "ids of the stream went back (failover or restart)"
    return "the stream was trimmed or flushed past the position"
