"""The entries of the stream of invalidations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from overdrive._tiers.l2.positions import StreamId

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ("Kind", "Notice", "notices_of")

Kind: TypeAlias = Literal["key", "tag", "clear", "probe"]

_KINDS: dict[bytes, Kind] = {b"k": "key", b"t": "tag", b"c": "clear", b"p": "probe"}


class Notice(NamedTuple):
    """What one entry says.

    Attributes:
        stream_id: the id of the entry.
        kind: what was invalidated: keys, tags, everything; or nothing, for an entry that only shows that it arrives.
        names: the keys or tags; of a probe, its token.
        origin: the node that wrote it.
        clock: the tag clock right after it; 0 if the entry does not say.
    """

    stream_id: StreamId
    kind: Kind
    names: tuple[bytes, ...]
    origin: bytes
    clock: int


def notices_of(reply: Any) -> list[Notice]:  # noqa: ANN401 - what the parser makes of it
    """Return what `XREAD` of one stream answered, oldest first.

    Entries of a kind that this version does not know are taken as a clear: dropping too much is always right.
    """
    return [_notice(stream_id, fields) for stream_id, fields in _entries(reply)]


def _entries(reply: Any) -> Iterator[tuple[bytes, Sequence[bytes]]]:  # noqa: ANN401
    if reply:  # RESP3 answers with a map, RESP2 with a list of pairs
        streams = reply.items() if isinstance(reply, dict) else reply
        for _, entries in streams:
            yield from entries


def _notice(stream_id: bytes, fields: Sequence[bytes]) -> Notice:
    kind: Kind = "clear"
    names: list[bytes] = []
    origin, clock = b"", 0
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        if name == b"kind":
            kind = _KINDS.get(value, "clear")
        elif name == b"name":
            names.append(value)
        elif name == b"origin":
            origin = value
        elif name == b"clock":
            clock = int(value)
    return Notice(StreamId.parse(stream_id), kind, tuple(names), origin, clock)
