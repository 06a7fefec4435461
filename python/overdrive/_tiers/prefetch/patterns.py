"""What follows what, for people to look at."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from overdrive._tiers.prefetch.hashes import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from overdrive._core import Predictor

__all__ = ("AccessPatterns", "Successor")


class Successor(NamedTuple):
    """A key that was asked for right after another one.

    Attributes:
        key: the key.
        share: of what came after the other one lately, from 0 to 1.
    """

    key: Hashable
    share: float


class AccessPatterns(Mapping[Hashable, tuple[Successor, ...]]):
    """By key: what the same context asked for right after it, the likeliest first. Read-only, and always current.

    It has the keys that can be fetched and whose successors were learned and are known by name. Looking a key up is
    O(1), going through them all O(keys).
    """

    __slots__ = ("_key_of", "_keys", "_predictor")

    def __init__(
        self,
        predictor: Predictor,
        key_of: Callable[[int], Hashable],
        keys: Callable[[], list[Hashable]],
    ) -> None:
        self._predictor = predictor
        self._key_of = key_of
        self._keys = keys

    def __getitem__(self, key: Hashable) -> tuple[Successor, ...]:
        found = []
        for number, share in self._predictor.successors(hash_of(key)):
            try:
                found.append(Successor(self._key_of(number), share))
            except LookupError:
                # Its name is forgotten, or was never kept as nothing can fetch it.
                continue
        if not found:
            raise KeyError(key)
        return tuple(found)

    def __iter__(self) -> Iterator[Hashable]:
        return (key for key in self._keys() if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<AccessPatterns of {len(self)} keys>"
