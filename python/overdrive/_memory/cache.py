"""`MemoryCache`."""

from __future__ import annotations

import os
import sys
from collections.abc import KeysView, Mapping
from math import inf
from typing import TYPE_CHECKING, TypeVar, overload

from overdrive._core import _MemoryCache
from overdrive._memory.listeners import Listeners
from overdrive._memory.loading import Loading
from overdrive._memory.recording import Recording
from overdrive._memory.statistics import AgeHistogram, CacheStats
from overdrive._memory.views import ItemsView, ValuesView

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable
    from datetime import timedelta
    from typing import Any, Literal, Self, TypeAlias

    from overdrive._snapshots import Codec, SnapshotReport
    from overdrive._what_if import WhatIf

    _Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
    _Listener: TypeAlias = Callable[[Any, Any, str], object]

__all__ = ("MemoryCache",)

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_ABSENT: Any = object()
# Says that an argument was left out where `None` means something.
_SAME: Any = object()
# The first bucket of ages ends here, and each next one at twice that.
_YOUNGEST_SECONDS = 0.1


class MemoryCache(_MemoryCache[K, V]):
    """A cache in memory, bounded by count, weight or bytes, whose items may have lifetimes, tags and pins.

    It is a mutable mapping: `cache[key]`, `cache[key] = value`, `in`, `get`, `pop`, `update` and the rest do what
    they do with a `dict`, except that items are evicted when there are too many and vanish when their time is over.
    Iterating and `==` see the live items in the order in which they were first set and count nothing as a use.

    Args:
        maxsize: how many items to keep, or what they may weigh together if there is a `weigher`: a number >= 0;
            `None` or `math.inf` for no limit. With 0 nothing is kept.
        policy: what to evict: `"adaptive"` (the default), `"lru"`, `"lfu"`, `"arc"`, `"s3fifo"`, `"wtinylfu"`,
            `"lirs"`, `"sieve"`, `"2q"`, `"fifo"`, `"rr"`, or a `CacheStrategy`. See `docs/policies.md`.
        ttl: how long an item lives after it was set: seconds or a `timedelta`; `None` for ever. An item may be set
            with a ttl of its own.
        idle: an item that is not used for so long is gone, whatever is left of its ttl: seconds or a `timedelta`,
            more than 0; `None` for ever.
        jitter: up to this fraction of each ttl is taken off at random, so that items which were set together do
            not expire together; 0 to 1.
        weigher: called as `weigher(key, value)` when an item is set; returns its weight, a number >= 0. Every item
            weighs 1 by default.
        max_bytes: what all keys and values may take together, as `sizeof` estimates them, plus about 100 bytes an
            item for the cache itself; `None` for no limit. It holds besides `maxsize`.
        on_evict: called as `on_evict(key, value, cause)` after an item has left; `cause` is `"expired"`, `"size"`
            (it was evicted to make room), `"replaced"` (the key has another value now) or `"deleted"`. See
            `add_listener`.
        clock: gives the time in seconds; `time.monotonic` by default, read natively. For tests:
            `overdrive.testing.FakeClock`.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of its range, or there is no such policy.

    Setting an item raises `ValueError` if it alone exceeds a limit, and `CacheFullError`, a `ValueError` too, if what
    is pinned leaves no room for it; nothing has changed then.

    Expired items are never returned. They are removed a few at a time by later writes, all of them by `expire()` and
    `len()`; no thread runs. All operations are O(1), except those that name many items.

    Thread-safe: every operation is atomic. A key's `__eq__` and `__hash__`, the clock, the weigher, listeners and the
    destructors of what left may use the cache; none of them runs while it is locked.

    Example:
        >>> cache = MemoryCache(1000, ttl=60)
        >>> cache["user:1"] = "Ada"
        >>> cache.set("user:2", "Grace", ttl=5, tags="users")
        >>> cache.get_or_load("user:3", lambda key: "Edsger", tags="users")
        'Edsger'
        >>> cache.invalidate_tag("users")
        2
        >>> list(cache.items())
        [('user:1', 'Ada')]
        >>> cache.stats().misses
        1
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # as all mutable mappings

    def __init__(
        self,
        maxsize: float | None,
        *,
        policy: str = "adaptive",
        ttl: float | timedelta | None = None,
        idle: float | timedelta | None = None,
        jitter: float = 0.0,
        weigher: Callable[[K, V], float] | None = None,
        max_bytes: int | None = None,
        on_evict: Callable[[K, V, str], object] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if clock is None and sys.platform != "linux":
            from time import monotonic as clock  # only Linux reads it natively
        if not isinstance(policy, str):
            raise TypeError(f"policy must be a str or a CacheStrategy, got {policy!r}")
        name = str(getattr(policy, "value", policy))
        # Differs from cache to cache and from process to process: deadlines of several caches should not agree.
        seed = hash((id(self), name, object())) & 0xFFFF_FFFF_FFFF
        super().__init__(maxsize, name, ttl, idle, jitter, weigher, max_bytes, on_evict, clock, seed)
        self._flights: dict[Hashable, Any] = {}
        self._task_flights: dict[Hashable, Any] = {}
        # The sizes and policies that `what_if` watches, as they were asked for.
        self._watched: tuple[tuple[int | float, ...] | None, tuple[str, ...] | None] | None = None

    # --- reading and writing ------------------------------------------------------------------------

    @overload
    def pop(self, key: K) -> V: ...
    @overload
    def pop(self, key: K, default: V | T) -> V | T: ...
    def pop(self, key: K, default: Any = _ABSENT) -> Any:
        """Remove a key and return its value; for an absent key return `default`, if given, else raise `KeyError`."""
        found = self._pop(key)
        if found is not None:
            return found[0]
        if default is _ABSENT:
            raise KeyError(key)
        return default

    def update(self, other: Any = (), /, **more: Any) -> None:  # noqa: ANN401 - whatever `dict.update` takes
        """Set all items of a mapping or an iterable of pairs, then the keyword arguments."""
        self._set_pairs(_pairs(other))
        if more:
            self._set_pairs(list(more.items()))  # type: ignore[arg-type]

    def set_many(
        self,
        items: Mapping[K, V] | Iterable[tuple[K, V]],
        *,
        ttl: float | timedelta | None = None,
        tags: str | Iterable[str] | None = None,
    ) -> None:
        """Set all items of a mapping or an iterable of pairs, as `set` does, in order.

        Each is set atomically, not all of them together; an error leaves those before it set.
        """
        self._set_pairs(_pairs(items), ttl, tags)

    def invalidate_tags(self, *tags: str) -> int:
        """Invalidate several tags; see `invalidate_tag`."""
        self._checked(None, tags)
        return sum(self.invalidate_tag(tag) for tag in tags)

    def resize(self, maxsize: float | None = _SAME, *, max_bytes: int | None = _SAME) -> int:
        """Change the limits, and evict until they are kept; return how many items were evicted.

        What is left out stays as it is. Pinned items stay even above the limits.

        Raises:
            ValueError: a limit is negative, or the cache was made without `max_bytes`.
        """
        limits = {"maxsize": maxsize, "max_bytes": max_bytes}
        given = {name: inf if limit is None else limit for name, limit in limits.items() if limit is not _SAME}
        return self._resize(**given)

    def keys(self) -> KeysView[K]:
        """Return a view of the keys."""
        return KeysView(self)

    def values(self) -> ValuesView[V]:
        """Return a view of the values."""
        return ValuesView(self)

    def items(self) -> ItemsView[K, V]:
        """Return a view of the `(key, value)` pairs."""
        return ItemsView(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self.items()) == dict(other.items())

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} of {len(self)} items, policy={self.policy!r}, "
            f"maxsize={self.maxsize}, currsize={self.currsize}>"
        )

    # --- loading ------------------------------------------------------------------------------------

    def get_or_load(
        self,
        key: K,
        loader: Callable[[K], V],
        *,
        ttl: float | timedelta | None = None,
        tags: str | Iterable[str] | None = None,
        wait_timeout: float | None = None,
    ) -> V:
        """Return the value of a key; if it is absent, compute it with `loader(key)` and set it.

        Of several threads that ask for one absent key, one calls its loader and the others wait for that. An
        exception is raised by all of them, and nothing is kept. A loader that asks for its own key, directly or
        through other threads, runs again rather than wait for itself. What was deleted, invalidated or set while it
        was loaded is not overwritten by the loaded value, which is returned all the same.

        Args:
            key: the key.
            loader: called as `loader(key)`, outside of every lock. It may return a `WithTTL`.
            ttl: as for `set`.
            tags: as for `set`.
            wait_timeout: seconds after which a thread gives up waiting for another one; `None` for no limit.

        Raises:
            WaitTimeout: `wait_timeout` is over.
        """
        value: V = self.get(key, _ABSENT)
        if value is not _ABSENT:
            return value
        from overdrive._memoize.threads import answer

        loading = Loading(self, self._flights, key, loader, ttl, tags, wait_timeout)
        loaded: V = answer(loading, key, (key,), None)  # type: ignore[arg-type]
        return loaded

    async def aget_or_load(
        self,
        key: K,
        loader: Callable[[K], Awaitable[V]],
        *,
        ttl: float | timedelta | None = None,
        tags: str | Iterable[str] | None = None,
        wait_timeout: float | None = None,
    ) -> V:
        """As `get_or_load`, for coroutine functions: of several tasks, in any event loops, one calls its loader.

        The load is a task of its own. It goes on while one of those who wait for it is left, and is cancelled with
        the last.
        """
        value: V = self.get(key, _ABSENT)
        if value is not _ABSENT:
            return value
        from overdrive._memoize.tasks import answer

        loading = Loading(self, self._task_flights, key, loader, ttl, tags, wait_timeout)
        loaded: V = await answer(loading, key, (key,), None)  # type: ignore[arg-type]
        return loaded

    # --- listening and counting ---------------------------------------------------------------------

    def add_listener(self, listener: Callable[[K, V, str], object]) -> None:
        """Have `listener(key, value, cause)` called after an item has left.

        It is called by the thread that removed the item, before its operation returns, or by another one that is
        telling listeners just then; outside of every lock, and perhaps by several threads at once. What it raises is
        logged, to the logger `overdrive`, and goes no further, except `KeyboardInterrupt`, `SystemExit` and their
        like; what it was to be told besides is told with the next operation then. An item that expired is told when
        it is removed: by a later write, `expire()` or `len()`. What the listener itself removes is told after it has
        returned.

        Raises:
            TypeError: `listener` is not callable.
        """
        if not callable(listener):
            raise TypeError(f"a listener must be callable, got {listener!r}")
        while True:
            present = self._listener
            if self._listen(_as_one((*_apart(present), listener)), present):
                return

    def remove_listener(self, listener: Callable[[K, V, str], object]) -> None:
        """Have a listener called no more.

        Raises:
            ValueError: it is not one of the listeners.
        """
        while True:
            present = self._listener
            listeners = list(_apart(present))
            try:
                listeners.remove(listener)
            except ValueError:
                raise ValueError(f"not a listener of this cache: {listener!r}") from None
            if self._listen(_as_one(tuple(listeners)), present):
                return

    def stats(self) -> CacheStats:
        """Return what was counted. O(1)."""
        hits, misses, loads, load_errors, load_seconds, left = self._counts()
        return CacheStats(hits, misses, loads, load_errors, load_seconds, *left)

    def ages(self) -> AgeHistogram:
        """Return how long ago the live items were set. O(n)."""
        buckets, sampled = self._ages()
        scale = len(self) / sampled if sampled else 0.0
        bounds = [_YOUNGEST_SECONDS * 2**at for at in range(len(buckets) - 1)]
        return AgeHistogram((*bounds, inf), tuple(round(count * scale) for count in buckets), sampled)

    # --- what would be better -----------------------------------------------------------------------

    def what_if(
        self,
        *,
        sizes: Iterable[int | float] | None = None,
        policies: Iterable[str] | None = None,
    ) -> WhatIf:
        """Estimate what the cache would hit under other policies and at other sizes, on the requests that it gets.

        The first call begins to watch, and its answer says nothing yet; later ones tell what was seen since. A call
        with other sizes or policies begins anew. Sampled miniatures of each combination are kept beside the cache:
        up to about 4096 keys of eight bytes and what the policy needs, per combination. A lookup of a key that is not
        in the sample costs a few nanoseconds. Until it is asked for nothing is watched, and after `stop_what_if()`.

        Args:
            sizes: how many items; a float is a multiple of the present size. `(1.0, 2.0)` by default.
            policies: their names; that of the cache, `"lru"`, `"lfu"` and `"arc"` by default.

        Returns:
            a `WhatIf`: iterate over it for the estimates, or print it.

        Raises:
            ValueError: there is no such policy, a size is 0, there are too many combinations, or the cache has neither
                a limit of items nor items yet.

        Source: miniature simulation, Waldspurger et al. (USENIX ATC '17).
        """
        from overdrive._what_if import WhatIf, WhatIfRow  # whose import takes longer than that of this package

        asked = (
            None if sizes is None else tuple(sizes),
            None if policies is None else tuple(str(getattr(policy, "value", policy)) for policy in policies),
        )
        if self._watched is None or (asked != (None, None) and asked != self._watched):
            self._watch(*self._combinations(*asked))
            self._watched = asked
        estimates = self._estimates()
        if estimates is None:
            raise RuntimeError("another thread has stopped the estimates")
        lookups, _, rate, memory, rows = estimates
        actual, *others = (WhatIfRow(*row) for row in rows)
        return WhatIf(actual, others, lookups=lookups, rate=rate, memory=memory)

    def stop_what_if(self) -> None:
        """Stop watching for `what_if`, and free what that takes."""
        self._watched = None
        self._watch(1, [], [], 0)

    def _combinations(
        self, sizes: tuple[int | float, ...] | None, policies: tuple[str, ...] | None
    ) -> tuple[int, list[str], list[int], int]:
        own = len(self)
        if self._weigher is None and self.maxsize != inf:
            own = int(self.maxsize)
        if own < 1:
            raise ValueError("there is nothing to compare with: the cache has no limit of items, and is empty")
        wanted = [round(own * size) if isinstance(size, float) else size for size in sizes or (1.0, 2.0)]
        names = policies or tuple(dict.fromkeys((self.policy, "lru", "lfu", "arc")))
        return own, list(names), wanted, int.from_bytes(os.urandom(8), "little")

    def record(self, path: str | os.PathLike[str], *, rate: float = 1.0) -> Recording:
        """Record which keys are looked up, in a file that `overdrive simulate` and `simulate()` read.

        The file has eight bytes per recorded lookup, hashed with a secret of this recording: they tell which lookups
        were for the same key and nothing else. 64 KiB are written at a time, by the thread whose lookup filled them.

        Args:
            path: the file; one that is there is overwritten.
            rate: the share of *keys* to record, above 0, up to 1. With 0.01 a cache of 100,000 items is simulated as
                one of 1,000.

        Returns:
            a `Recording`: call its `stop()`, or use it as a context manager.

        Raises:
            OSError: the file cannot be made.
            ValueError: `rate` is out of its range.
            RuntimeError: a recording of this cache is under way.
        """
        return Recording(self, path, rate)

    # --- snapshots ----------------------------------------------------------------------------------

    def save(self, path: _Path, *, codec: Codec = None, skip_unsupported: bool = False) -> SnapshotReport:
        """Save the live items to a file: keys, values, what is left of their lifetimes, tags and pins.

        The file takes the place of another one, at once, when it is complete and on the disk. See
        `docs/snapshots.md` for the format and for the types that are supported.

        Args:
            path: the file; its folder must exist.
            codec: how to save keys and values that are not made of supported types: `"pickle"`, or two functions
                `(dumps, loads)`; `None` refuses them.
            skip_unsupported: leave out and count items that cannot be saved, instead of raising.

        Raises:
            TypeError: something is not of a supported type; the message says which and where.
            SnapshotError: a value contains itself, or nests too deeply.
            OSError: the file cannot be written.

        The cache may be used meanwhile; it is locked for as long as it takes to list the items. O(n).
        """
        from overdrive._snapshots import save_records

        meta = {"policy": self.policy, "maxsize": self.maxsize}
        return save_records(path, self._records(), meta=meta, codec=codec, skip_unsupported=skip_unsupported)

    def load(
        self, path: _Path, *, codec: Codec = None, keep_ttl: Literal["remaining", "as_saved"] = "remaining"
    ) -> SnapshotReport:
        """Set the items of a file that `save` made, of this cache or of any other, from the coldest to the hottest.

        Items of the cache that are not in the file stay. If there are more than fit, the hottest are loaded.

        Args:
            path: the file.
            codec: the one that it was saved with. **A pickle can run any code when it is loaded:** pass `"pickle"`
                only for files that nobody but you could have written.
            keep_ttl: `"remaining"`: the time since saving counts, and items that have run out are left out.
                `"as_saved"`: as if the file had just been saved.

        Raises:
            NotASnapshotError: the file is something else.
            SnapshotVersionError: it is of another version of the format.
            DamagedSnapshotError: a part of it is missing or not as it was saved.
            SnapshotError: it was saved with another codec.
            OSError: it cannot be read.

        After any of these the cache is as it was.
        """
        from overdrive._snapshots import load_records

        records, report = load_records(path, codec=codec, keep_ttl=keep_ttl)[1:]
        room = self.maxsize
        if self._weigher is None and len(records) > room:
            records = records[-int(room) :] if room >= 1 else []
        self._restore([record[:6] for record in records])
        return report._replace(items=len(records))

    # --- copies -------------------------------------------------------------------------------------

    def copy(self) -> Self:
        """Return a cache with the same items, arguments and listeners, and counts of its own. O(n).

        Items keep what is left of their lifetimes, their tags and pins. They are set anew from the coldest to the
        hottest, which is also the order of iteration in the copy; what the policy has learnt besides is not copied.
        """
        return self.__copy__()

    def __copy__(self) -> Self:
        new: Self = type(self).__new__(type(self))
        _fill(new, *self._state())
        return new

    def __reduce__(self) -> tuple[Any, ...]:
        # In a state, which may refer to the cache itself.
        return _empty, (type(self),), self._state()

    def _state(self) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
        state: Any = object.__getstate__(self)
        slots = state[1] if isinstance(state, tuple) else {}
        return self._arguments(), self._records(), {**self._attributes(), **slots}

    def __setstate__(self, state: tuple[dict[str, Any], list[Any], dict[str, Any]]) -> None:
        _fill(self, *state)

    def _arguments(self) -> dict[str, Any]:
        return {
            "maxsize": self.maxsize,
            "policy": self.policy,
            "ttl": self.ttl,
            "idle": self.idle,
            "jitter": self.jitter,
            "weigher": self._weigher,
            "max_bytes": self.max_bytes,
            "on_evict": _apart(self._listener),
            "clock": self._clock if sys.platform == "linux" else _not_monotonic(self._clock),
        }

    def _attributes(self) -> dict[str, Any]:
        own = {"_flights", "_task_flights", "_watched"}
        return {name: value for name, value in self.__dict__.items() if name not in own}


def _not_monotonic(clock: Callable[[], float] | None) -> Callable[[], float] | None:
    from time import monotonic

    return None if clock is monotonic else clock


def _pairs(items: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - whatever `dict` takes
    """Return the pairs of what `dict` takes."""
    if isinstance(items, Mapping):
        return list(items.items())
    if hasattr(items, "keys"):
        return [(key, items[key]) for key in items.keys()]  # noqa: SIM118 - not a mapping, as `dict` accepts it
    pairs = []
    for pair in items:
        key, value = pair
        pairs.append((key, value))
    return pairs


def _fill(
    cache: MemoryCache[Any, Any], arguments: dict[str, Any], records: list[Any], attributes: dict[str, Any]
) -> None:
    # Without limits: pinned items may exceed them. And without listeners: nothing that happens here is news.
    limits = {name: arguments[name] for name in ("maxsize", "max_bytes")}
    unlimited = {name: None if limit is None else inf for name, limit in limits.items()}
    MemoryCache.__init__(cache, **{**arguments, **unlimited, "on_evict": None})
    for name, value in attributes.items():
        object.__setattr__(cache, name, value)
    cache._restore(records)
    cache.resize(**{name: limit for name, limit in limits.items() if limit is not None})
    cache.reset_stats()
    cache._listen(_as_one(tuple(arguments["on_evict"])), None)


def _empty(cls: type[MemoryCache[Any, Any]]) -> MemoryCache[Any, Any]:
    """Return a cache to be filled by `__setstate__`."""
    return cls.__new__(cls)


def _apart(listener: _Listener | None) -> tuple[_Listener, ...]:
    """Return the listeners that a cache tells as one."""
    if listener is None:
        return ()
    return listener.functions if isinstance(listener, Listeners) else (listener,)


def _as_one(listeners: tuple[_Listener, ...]) -> _Listener | None:
    return Listeners(listeners) if len(listeners) > 1 else next(iter(listeners), None)


MemoryCache.__module__ = "overdrive"
