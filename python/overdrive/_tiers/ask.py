"""One question to the tiers: for a key, by a call of `get`, of `get_or_load` or of a decorated function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from overdrive._core import Entry
    from overdrive._tiers.terms import Terms
    from overdrive._tiers.values.codec import Codec

__all__ = ("L1", "Ask")


_NONE: dict[str, Any] = {}


class L1(Protocol):
    """The memory that an answer is kept in: that of the cache, or of a decorated function."""

    def entry(self, key: Hashable) -> Entry | None:
        """Return what is kept for a key, whatever its state; does not count as a use."""

    def keep(self, key: Hashable, entry: Entry, seconds: float) -> None:
        """Keep an entry for so long."""

    def drop(self, key: Hashable) -> None:
        """Forget a key."""


class Ask:
    """What is asked for, on which terms, and who could load it.

    Attributes:
        key: the key, as bytes.
        memory: where the answer is kept in memory.
        l1_key: the key there.
        terms: on which terms the answer is cached.
        loader: computes the value; `None` to look only.
        args: positional arguments of the loader.
        kwargs: and its keyword arguments.
        context_name: the parameter that the loader wants its `LoadContext` as, if it wants one.
        names: what invalidates the answer, besides its tags.
        stamp: when the search began.
        codec: writes and reads the value; that of the cache by default.
    """

    __slots__ = (
        "args",
        "codec",
        "context_name",
        "key",
        "kwargs",
        "l1_key",
        "loader",
        "memory",
        "names",
        "stamp",
        "terms",
    )

    def __init__(
        self,
        key: bytes,
        memory: L1,
        l1_key: Hashable,
        terms: Terms,
        loader: Callable[..., Any] | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        context_name: str | None = None,
        codec: Codec | None = None,
    ) -> None:
        self.key = key
        self.memory = memory
        self.l1_key = l1_key
        self.terms = terms
        self.loader = loader
        self.args = args
        self.kwargs = _NONE if kwargs is None else kwargs
        self.context_name = context_name
        self.names = (b"k" + key,)  # as `names.key_name`
        self.stamp = 0
        self.codec = codec

    def entry(self) -> Entry | None:
        """Return what memory has, whatever its state."""
        return self.memory.entry(self.l1_key)
