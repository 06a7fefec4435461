"""What an envelope says of its value, and whether an instance would return that."""

from __future__ import annotations

import time
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any, Final

    from overdrive._core import Header
    from overdrive._tiers.command.places import Places, Redis

__all__ = ("BAD", "Judged", "TagClocks", "judge")

# Verdicts that one word does not explain, in more.
REASONS: Final = {
    "magic": "no envelope of ours",
    "format": "of a format that this release does not know",
    "length": "cut off, or too long",
    "bomb": "above max_value_bytes",
    "checksum": "damaged, or of another key or namespace",
    "codec": "cannot be decompressed",
    "mac": "bad signature",
    "unsigned": "not signed, and a secret is given",
    "foreign": "signed with another secret",
    "unchecked": "signed, and no secret is given to check that",
    "tag": "dead: one of its tags, or everything, was invalidated",
    "suspect": "written before the machine went down: asked of Redis, or else loaded anew",
}
#: Verdicts on what nobody should have written, or what has changed since.
BAD: Final = frozenset({"magic", "format", "length", "bomb", "checksum", "codec", "mac", "unsigned", "foreign"})
_SERIALIZERS: Final = ("bytes", "str", "msgpack", "json", "pickle", "array", "exact")
_CODECS: Final = ("none", "zstd", "lz4")


class Judged(NamedTuple):
    """An envelope, looked at.

    Attributes:
        verdict: `"fresh"`; `"stale"`: its ttl is over, and it is kept for what comes after; `"expired"`; `"tag"`: one
            of its tags, or everything, was invalidated; `"unchecked"`; or why it is refused, one of `BAD`.
        header: what it says of itself, which is worth as much as its signature; `None` if it is no envelope.
        payload: the value as bytes; `None` if it is refused.
    """

    verdict: str
    header: Header | None
    payload: bytes | memoryview | None

    @property
    def words(self) -> str:
        """The verdict for people."""
        return REASONS.get(self.verdict, self.verdict)

    def facts(self, size: int) -> dict[str, Any]:
        """Return what is known of it, by name; `size` is how many bytes it takes."""
        header = self.header
        facts: dict[str, Any] = {"verdict": self.verdict, "bytes": size}
        if header is None:
            return facts
        age = max(0.0, time.time() - header.created_ms / 1000)
        return facts | {
            "version": header.version,
            "age": round(age, 3),
            "fresh_for": _left(header.soft, age),
            "kept_for": _left(header.hard, age),
            "load_seconds": header.cost,
            "epoch": header.epoch,
            "tags": [f"{value:016x}" for value in header.tags],
            "serializer": _name(_SERIALIZERS, header.serializer),
            "compression": _name(_CODECS, header.codec),
            "value_bytes": header.raw_length,
            "schema": header.schema,
            "key_id": header.key_id or None,
            "is_signed": bool(header.key_id),
            "is_none": header.null,
        }


def judge(places: Places, key: bytes, blob: bytes, clocks: TagClocks) -> Judged:
    """Look at an envelope that was found under a key.

    Raises:
        TierUnavailable: Redis does not answer.
    """
    sealer = places.sealer
    header = sealer.header(blob)
    opened = sealer.open(key, blob, int(time.time() * 1000), schema=None)
    if isinstance(opened, str):
        if opened == "key":
            opened = "foreign" if places.has_secret else "unchecked"
        elif opened == "mac" and header is not None and not header.key_id:
            opened = "unsigned"
        return Judged(opened, header, None)
    header = opened.header
    if any(clock > (header.epoch or 0) for clock in clocks.of(header).values()):
        return Judged("tag", header, opened.payload)
    age = max(0.0, time.time() - header.created_ms / 1000)
    return Judged("fresh" if age < header.soft else "stale", header, opened.payload)


class TagClocks:
    """When tags, and everything, were invalidated last, as Redis knew when it was first asked.

    Args:
        redis: where that is known; without it nothing is.
    """

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis
        self._known: dict[int, int] = {}

    def of(self, header: Header | None) -> dict[int, int]:
        """Return the clocks that concern a value.

        Raises:
            TierUnavailable: Redis does not answer.
        """
        from overdrive._tiers.names import EVERYTHING, tag_text

        if self._redis is None:
            return {}
        hashes = (EVERYTHING, *([] if header is None else header.tags))
        unknown = [value for value in hashes[1:] if value not in self._known]
        if unknown or EVERYTHING not in self._known:
            clocks = self._redis.tier.call(self._redis.steps.tag_epochs([tag_text(value) for value in unknown]))
            self._known |= zip((EVERYTHING, *unknown), clocks, strict=True)
        return {value: self._known[value] for value in hashes}


def _left(lives: float, age: float) -> float | None:
    # Of an envelope that is damaged it may be anything.
    return round(lives - age, 3) if isfinite(lives) else None


def _name(names: tuple[str, ...], number: int) -> str | int:
    return names[number] if number < len(names) else number
