"""`TieredCache`."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from overdrive._tiers.ahead import Ahead
from overdrive._tiers.building import build
from overdrive._tiers.decorating import decorator
from overdrive._tiers.driving import LOOPING
from overdrive._tiers.keeping import Keeping

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from datetime import timedelta
    from typing import Literal, Self, TypeAlias, TypeVar, Unpack

    from overdrive._memory import MemoryCache
    from overdrive._tiers.functions import Decorator
    from overdrive._tiers.health import Health
    from overdrive._tiers.prefetch import Prefetcher
    from overdrive._tiers.stats import TieredStats
    from overdrive._tiers.terms import TermOptions
    from overdrive._tiers.values.serializers import Serializer

    Seconds: TypeAlias = float | timedelta | str
    T = TypeVar("T")

__all__ = ("TieredCache",)


class TieredCache(Keeping):
    """Memory, Redis and the disk as one cache, which all instances of a service see alike.

    L1 is memory: hits take tens of nanoseconds. L2 is Redis or Valkey, shared by all instances, and what they tell
    each other of changes by. L3 is the disk, shared by the processes of a host, and outlives them. Each is optional;
    without `l2` nothing ever connects to a server. A tier that is down is done without: values come from the others
    and from loaders, what could not be invalidated is invalidated when it is back, and `health()` says so.

    Every method has a twin for tasks, with an `a` in front: `aget`, `aset`, ...

    Args:
        l1: how many items memory keeps, or how many bytes they may take, as "64MB".
        l1_max_bytes: how many bytes they may take besides, if `l1` is a number; also as "64MB".
        l2: the URL of Redis: `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `redis+cluster://`.
        l3: a folder for the disk tier, which is made if need be, for this user alone.
        namespace: what tells this cache from others in the same Redis or folder: 1 to 64 letters, digits, `.`, `_`
            and `-`.
        ttl: how long a value is fresh, in seconds, as a `timedelta` or as "5m"; or a function of the value.
        stale: for so long after its ttl a value is still returned, while it is loaded anew in the background.
        stale_if_error: for so long after its ttl it is returned if loading it anew fails or takes too long.
        early: loads values anew before they expire, at random and the sooner the longer that takes: the beta of
            XFetch, usually 1.0.
        jitter: up to this fraction of each ttl is taken off at random; 0 to 1.
        negative_ttl: how long `None` is kept; by default it is not.
        soft_timeout: a load that takes longer goes on in the background, if there is an old value to return.
        hard_timeout: a load that takes longer raises `LoadTimeout`; it goes on, too.
        wait_timeout: how long to wait for another call, or instance, that loads the same key.
        policy: what memory evicts; see `MemoryCache`.
        secret: a text or bytes of at least 16 bytes, or a list of them, the first of which signs: values from Redis
            and the disk are then taken only if they were signed with one of them.
        version: the version of what is cached, the user's own: values of another one are not found.
        serializer: how values are written outside of memory: `"auto"` as they are, if they are made of built-in
            types; `"msgpack"`, `"json"`, `"exact"`; `"pickle"`, see `docs/envelope.md`; or a `Serializer`.
        compression: `"zstd"`, `"lz4"` or `None`.
        encrypt: whether values are encrypted outside of memory; needs a `secret`.
        allow_unsigned_pickle: accept pickles from Redis without a `secret`: whoever can write there can then run
            code here.
        max_key_bytes: how long a key may be as it is written outside of memory.
        max_value_bytes: the largest value to write outside of memory, before compression.
        max_staleness: H: for how long after another instance changed a key the old value may be returned here in the
            worst case, when this instance is cut off from Redis; seconds, at least 0.02.
        on_disconnect: what to do with values that Redis cannot vouch for as it does not answer: `"l2"` loads them
            anew, at most every H; `"stale"` returns them, marked as stale, until their ttl is over.
        budget: how long a request may wait for Redis, in seconds.
        lease: how long other instances wait for one that loads a key and has died, in seconds.
        tracking: also notice what others than this package change in Redis. Costs a message per change of any value.
        l2_max_entries: about how many values Redis keeps for this namespace.
        l3_max_entries: how many the disk keeps.
        l3_max_bytes: how many bytes they may take there, also as "10GB". A value of more than a twentieth of that is
            not written there.
        hash_keys: write keys outside of memory only as a hash.
        prefetch: fetch ahead what will probably be asked for next by `get` and `get_or_load`. Every hit in memory then
            costs about a microsecond; see `docs/prefetch.md`.
        prefetch_lookahead: how many requests ahead at most; 1 to 16.
        prefetch_budget: loads that may be wasted on that, per request; 0 to 1.
        clock: gives the time in seconds, for tests: `overdrive.testing.FakeClock`.

    Raises:
        ConfigError: an argument, or a combination, cannot work.
        TypeError: an argument is of the wrong type.
        MissingExtraError: a package is missing that an argument needs.

    Thread-safe, and usable from several event loops and, after a fork, in the child. Keys are what `encode_key`
    takes: texts, bytes, numbers, dates, and tuples of these.

    Example:
        >>> cache = TieredCache(10_000, ttl="5m")
        >>> cache.set("user:1", {"name": "Ada"}, tags="users")
        >>> cache.get("user:1")
        {'name': 'Ada'}
        >>> cache.invalidate_tags("users")
        >>> cache.get_or_load("user:1", lambda key: {"name": "Grace"})
        {'name': 'Grace'}
        >>> cache.close()
    """

    def __init__(
        self,
        l1: float | str = 100_000,
        *,
        l1_max_bytes: int | str | None = None,
        l2: str | None = None,
        l3: str | PathLike[str] | None = None,
        namespace: str = "default",
        ttl: Seconds | Callable[[Any], Any] = 3600.0,
        stale: Seconds = 0.0,
        stale_if_error: Seconds = 0.0,
        early: float = 0.0,
        jitter: float = 0.05,
        negative_ttl: Seconds | None = None,
        soft_timeout: Seconds | None = None,
        hard_timeout: Seconds | None = None,
        wait_timeout: Seconds | None = None,
        policy: str = "adaptive",
        secret: str | bytes | Iterable[str | bytes] | None = None,
        version: int | str = 0,
        serializer: str | Serializer = "auto",
        compression: Literal["zstd", "lz4"] | None = "zstd",
        encrypt: bool = False,
        allow_unsigned_pickle: bool = False,
        max_key_bytes: int | str = 1024,
        max_value_bytes: int | str = "64MB",
        max_staleness: Seconds = 1.0,
        on_disconnect: Literal["l2", "stale"] = "l2",
        budget: Seconds = 0.15,
        lease: Seconds = 10.0,
        tracking: bool = False,
        l2_max_entries: int | None = None,
        l3_max_entries: int | None = None,
        l3_max_bytes: int | str | None = None,
        hash_keys: bool = False,
        prefetch: bool = False,
        prefetch_lookahead: int = 16,
        prefetch_budget: float = 0.1,
        clock: Callable[[], float] | None = None,
    ) -> None:
        parts = build(
            l1=l1,
            l1_max_bytes=l1_max_bytes,
            l2=l2,
            l3=l3,
            namespace=namespace,
            ttl=ttl,
            stale=stale,
            stale_if_error=stale_if_error,
            early=early,
            jitter=jitter,
            negative_ttl=negative_ttl,
            soft_timeout=soft_timeout,
            hard_timeout=hard_timeout,
            wait_timeout=wait_timeout,
            policy=policy,
            secret=secret,
            version=version,
            serializer=serializer,
            compression=compression,
            encrypt=encrypt,
            allow_unsigned_pickle=allow_unsigned_pickle,
            max_key_bytes=max_key_bytes,
            max_value_bytes=max_value_bytes,
            max_staleness=max_staleness,
            on_disconnect=on_disconnect,
            budget=budget,
            lease=lease,
            tracking=tracking,
            l2_max_entries=l2_max_entries,
            l3_max_entries=l3_max_entries,
            l3_max_bytes=l3_max_bytes,
            hash_keys=hash_keys,
            prefetch=prefetch,
            prefetch_lookahead=prefetch_lookahead,
            prefetch_budget=prefetch_budget,
            clock=clock,
        )
        super().__init__(parts.memory.cache)
        self._parts = parts
        self._tiers = parts.tiers
        self._terms = parts.terms
        self._memory = parts.memory
        self._encode = parts.encode_key
        self._flights: dict[Hashable, Any] = {}
        self._task_flights: dict[Hashable, Any] = {}
        if prefetch:
            self._tiers.ahead = Ahead(self, prefetch_lookahead, prefetch_budget)
            self._memory.left = self._tiers.ahead.left
            # In front of the native methods, which nobody sees.
            vars(self).update(get=self._observed_get, aget=self._observed_aget)
        backplane = self._tiers.backplane
        if backplane is not None:
            backplane.start()

    # --- looking at it ------------------------------------------------------------------------------

    @property
    def has_lower_tiers(self) -> bool:
        """Whether there is Redis or a disk."""
        return self._tiers.backplane is not None or self._tiers.disk is not None

    def is_remembered(self, key: Hashable) -> bool:
        """Return whether memory alone would answer for a key; does not count as a use."""
        entry = self._memory.entry(key)
        return entry is not None and entry.error is None and entry._standing(self._tiers.now()) == "current"

    @property
    def prefetcher(self) -> Prefetcher | None:
        """What fetches ahead; `None` unless `prefetch` was asked for."""
        ahead = self._tiers.ahead
        return None if ahead is None else ahead.prefetcher

    @property
    def l1(self) -> MemoryCache[Any, Any]:
        """What memory keeps: keys, and entries that know how far they may be believed."""
        return self._memory.cache

    def stats(self) -> TieredStats:
        """Return what was counted; of decorated functions, too."""
        hits = self._hits + sum(function._counts()[0] for function in self._parts.functions)
        prefetch = None if self.prefetcher is None else self.prefetcher.stats()
        return self._tiers.tally.stats(l1_hits=hits, prefetch=prefetch)

    def health(self) -> Health:
        """Return how each tier is doing. O(1): nothing is asked."""
        return self._parts.watch.health(self._tiers)

    # --- functions ----------------------------------------------------------------------------------

    def cached(
        self,
        *,
        key: Callable[..., Hashable] | str | None = None,
        maxsize: float | None = None,
        policy: str = "lru",
        idle: Seconds | None = None,
        exceptions: Any = None,
        typed: bool = False,
        normalize: bool = False,
        freeze: bool = False,
        single_flight: bool = True,
        name: str | None = None,
        type: Any = None,  # noqa: A002 - the word that users know
        serializer: str | Serializer | None = None,
        version: int | str | None = None,
        **terms: Unpack[TermOptions],
    ) -> Decorator:
        """Decorate a function or a coroutine function so that its results are kept in all tiers.

        Words and behaviour are those of `memoize`: a hit in memory runs no Python code; calls that miss the same key
        at the same time compute it once, here among all instances. Its results have a memory of their own besides
        that of the cache.

        Args:
            key: the key, under which `get` and `invalidate` of the cache find the result as well: a function of the
                arguments, or a text such as "user:{id}", in which parameters are replaced. By default the name of
                the function and the arguments as they are spelled in the call. Of methods it must be given.
            maxsize: how many results memory keeps; as many as the cache keeps items by default, or 1024 if its limit is
                in bytes.
            policy: what leaves it.
            idle: after so long without a call a result leaves memory.
            exceptions: exception types that are kept, in memory, and raised again; see `memoize`.
            typed: 1, 1.0 and `True` are different arguments, in memory and outside.
            normalize: all spellings of a call are one.
            freeze: arguments that are not hashable stand for their content.
            single_flight: if false, calls that miss the same key at the same time all search.
            name: of the function outside of memory; its module and qualified name by default.
            type: of all results: a dataclass, a struct of msgspec, a model of pydantic, or a container of them. Without
                it such results are kept in memory alone.
            serializer: how results are written; as for the cache by default.
            version: of the results: those of another one are not found.
            **terms: as for `get_or_load`; `tags` may be a function of the arguments.

        Returns:
            A decorator; see `TieredFunction` and `TieredCoroutineFunction` for what functions have besides.

        Raises:
            ConfigError, TypeError: an option is wrong.

        Example:
            >>> cache = TieredCache()
            >>> @cache.cached(key="square:{n}", ttl=60)
            ... def square(n):
            ...     return n * n
            >>> square(3), cache.get("square:3"), square.cache_info().misses
            (9, 9, 1)
            >>> cache.invalidate("square:3")
            >>> square.cached(3)
            False
        """
        return decorator(
            self._parts,
            self._terms.changed(**terms),
            key=key,
            maxsize=maxsize,
            policy=policy,
            idle=idle,
            exceptions=exceptions,
            typed=typed,
            normalize=normalize,
            freeze=freeze,
            single_flight=single_flight,
            name=name,
            type=type,
            serializer=serializer,
            version=version,
        )

    # --- ending -------------------------------------------------------------------------------------

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what is to be on the disk is there; return whether it is."""
        disk = self._tiers.disk
        return disk is None or disk.flush(timeout)

    def close(self) -> None:
        """Write what is to be written, and end the threads and connections. The cache is of no use then."""
        if self._tiers.backplane is not None:
            self._tiers.backplane.close()
        if self._tiers.disk is not None:
            self._tiers.disk.close()

    async def aclose(self) -> None:
        """As `close`."""
        if self._tiers.backplane is not None:
            await self._tiers.backplane.aclose()
        if self._tiers.disk is not None:
            await LOOPING.disk(self._tiers.disk.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        backplane, disk = self._tiers.backplane, self._tiers.disk
        lower = [repr(tier) for tier in (backplane and backplane.redis, disk) if tier is not None]
        return f"<TieredCache {self._parts.namespace!r}: {', '.join([repr(self._memory.cache), *lower])}>"


TieredCache.__module__ = "overdrive"
