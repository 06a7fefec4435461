"""The entries of the stream of invalidations, with their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from overdrive._tiers.l2.positions import StreamId
from overdrive._tiers.l2.scripts import Notice, read_notice

if TYPE_CHECKING:
    from typing import Any

__all__ = ("Entry", "entries_of")

# What a version that this one does not know may have meant: dropping too much is always right.
UNKNOWN = Notice("c", b"", 0, ())


class Entry(NamedTuple):
    """A notice, and the id that it has in the stream."""

    stream_id: StreamId
    notice: Notice


def entries_of(reply: Any) -> list[Entry]:
    """Return what `XREAD` of one stream answered, oldest first; a notice that cannot be read is one of everything."""
    if not reply:
        return []
    # RESP3 answers with a map of streams, RESP2 with a list of pairs.
    streams = reply.items() if isinstance(reply, dict) else reply
    return [
        Entry(StreamId.parse(stream_id), read_notice(fields) or UNKNOWN)
        for _, entries in streams
        for stream_id, fields in entries
    ]
