"""Telling this process what was invalidated."""

from __future__ import annotations

from logging import getLogger
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from overdrive._tiers.l2.epochs import TagEpochs
    from overdrive._tiers.l2.scripts import Notice

__all__ = ("Delivery", "Hooks", "Trust")

_log = getLogger("overdrive")


class Trust(Protocol):
    """What the backplane needs of `overdrive._core.Coherence`."""

    @property
    def trusted_until(self) -> float:
        """Until when memory answers on its own, as `time.monotonic()`."""
        ...

    def bump(self, *names: bytes) -> object:
        """Invalidate what was loaded under these names until now."""
        ...

    def bump_all(self) -> object:
        """Suspect everything that was loaded until now."""
        ...

    def trust(self, until: float, /) -> object:
        """Let memory answer on its own until then."""
        ...


def _nothing(*_: object) -> None:
    pass


class Hooks(NamedTuple):
    """Who else is told, in the thread of the listener, before what was told counts as applied.

    No lock is held. A hook that raises is logged and counted; a hook that is slow delays trust.

    Attributes:
        on_keys: of keys that were invalidated.
        on_tags: of tags that were invalidated.
        on_clear: that everything was cleared.
        on_suspect: that something may have been missed, and why.
        on_probe: of the token of a probe that arrived.
        on_attached: that the server was heard, for the first time or after a cut.
    """

    on_keys: Callable[[tuple[bytes, ...]], object] = _nothing
    on_tags: Callable[[tuple[bytes, ...]], object] = _nothing
    on_clear: Callable[[], object] = _nothing
    on_suspect: Callable[[str], object] = _nothing
    on_probe: Callable[[bytes], object] = _nothing
    on_attached: Callable[[], object] = _nothing


class Delivery:
    """Brings invalidations to memory first, then to the epochs of tags, then to the hooks.

    Args:
        coherence: what memory is judged by.
        epochs: the clocks of tags.
        hash_tag: the hash under which `epochs` knows a tag.
        hooks: who else is told.

    Attributes:
        notices: how many entries of the stream were delivered.
        hook_errors: how many calls of hooks raised.
    """

    __slots__ = ("_coherence", "_epochs", "_hash_tag", "_hooks", "hook_errors", "notices")

    def __init__(self, coherence: Trust, epochs: TagEpochs, hash_tag: Callable[[bytes], int], hooks: Hooks) -> None:
        self._coherence = coherence
        self._epochs = epochs
        self._hash_tag = hash_tag
        self._hooks = hooks
        self.notices = 0
        self.hook_errors = 0

    def apply(self, notices: Iterable[Notice]) -> None:
        """Deliver entries of the stream, in one go."""
        keys: list[bytes] = []
        tags: list[bytes] = []
        probes: list[bytes] = []
        cleared = False
        for notice in notices:
            self.notices += 1
            if notice.kind == "k":
                keys += notice.names
            elif notice.kind == "t":
                tags += notice.names
                self._learn(notice.names, notice.clock)
            elif notice.kind == "c":
                cleared = True
                self._learn((b"*",), notice.clock)
            else:
                probes += notice.names
        names = [b"k" + key for key in keys] + [b"t" + tag for tag in tags]
        self._invalidate(names, cleared=cleared)
        if cleared:
            self._call(self._hooks.on_clear)
        if keys:
            self._call(self._hooks.on_keys, tuple(keys))
        if tags:
            self._call(self._hooks.on_tags, tuple(tags))
        # Once more: what was read meanwhile from what the hooks have emptied now is as old.
        self._invalidate(names, cleared=cleared)
        for token in probes:
            self._call(self._hooks.on_probe, token)

    def changed(self, keys: Sequence[bytes]) -> None:
        """Deliver that the values of keys were changed by someone who wrote no entry of the stream."""
        names = [b"k" + key for key in keys]
        self._invalidate(names, cleared=False)
        self._call(self._hooks.on_keys, tuple(keys))
        self._invalidate(names, cleared=False)

    def suspect(self, reason: str, clock: int) -> None:
        """Deliver that anything may have been missed; `clock` is the tag clock from which on nothing will be."""
        self._epochs.reset(clock)
        self._coherence.bump_all()
        self._call(self._hooks.on_suspect, reason)

    def _invalidate(self, names: Sequence[bytes], *, cleared: bool) -> None:
        if names:
            self._coherence.bump(*names)
        if cleared:
            self._coherence.bump_all()

    def _learn(self, tags: Iterable[bytes], clock: int) -> None:
        for tag in tags:
            self._epochs.learn(self._hash_tag(tag), clock)

    def _call(self, hook: Callable[..., object], *arguments: object) -> None:
        try:
            hook(*arguments)
        except Exception:  # noqa: BLE001 - the invalidation itself has been applied
            self.hook_errors += 1
            _log.exception("%r, which was told of an invalidation, raised an exception", hook)
