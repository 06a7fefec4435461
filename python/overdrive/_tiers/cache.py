"""`TieredCache`."""

from __future__ import annotations

from functools import partial
from math import inf
from os import PathLike
from typing import TYPE_CHECKING, Any

from overdrive._core import _TieredCache
from overdrive._tiers import writing
from overdrive._tiers.ahead import Ahead
from overdrive._tiers.ask import Ask
from overdrive._tiers.building import build
from overdrive._tiers.context import context_parameter
from overdrive._tiers.decorating import decorator
from overdrive._tiers.driving import BLOCKING, LOOPING, pool, run
from overdrive._tiers.found import Found
from overdrive._tiers.loading import answer, answer_task
from overdrive._tiers.log import logger
from overdrive._tiers.many import load_many, read_many, write_many
from overdrive._tiers.reading import described, read
from overdrive._tiers.results import found_result, remembered_result, result_of
from overdrive._tiers.stats import L1_HIT, L1_MISS
from overdrive._tiers.terms import names_of_tags
from overdrive._tiers.warming import load_snapshot, save_snapshot, warm

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
    from datetime import timedelta
    from typing import Literal, Self, TypeAlias, TypeVar, Unpack

    from overdrive._memory import MemoryCache
    from overdrive._tiers.driving import IO
    from overdrive._tiers.functions import Decorator
    from overdrive._tiers.health import Health
    from overdrive._tiers.prefetch import Prefetcher
    from overdrive._tiers.result import Result
    from overdrive._tiers.stats import TieredStats
    from overdrive._tiers.terms import TermOptions, Terms
    from overdrive._tiers.values.serializers import Serializer

    Seconds: TypeAlias = float | timedelta | str
    T = TypeVar("T")

__all__ = ("TieredCache",)

_ABSENT: Any = object()


class TieredCache(_TieredCache[Any, Any]):
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
        l3_max_bytes: how many bytes they may take there, also as "10GB".
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

    # --- reading ------------------------------------------------------------------------------------

    def _find(self, key: Hashable, default: Any = None) -> Any:
        """Return the value of a key that memory does not answer for: called natively by `get`."""
        found = run(read(self._tiers, BLOCKING, self._ask(key)))
        self._count(found)
        return default if found is None else found.value

    async def _afind(self, key: Hashable, default: Any = None) -> Any:
        """Return the value of a key that memory does not answer for: called natively by `aget`."""
        found = await read(self._tiers, LOOPING, self._ask(key))
        self._count(found)
        return default if found is None else found.value

    def _count(self, found: Found | None) -> None:
        self._tiers.tally.count_fast(L1_HIT if found is not None and found.tier == "l1" else L1_MISS)

    def _observed_get(self, key: Hashable, default: Any = None) -> Any:
        value = self._hit(key, _ABSENT)
        self._observe(key, None, value)
        return self._find(key, default) if value is _ABSENT else value

    async def _observed_aget(self, key: Hashable, default: Any = None) -> Any:
        value = self._hit(key, _ABSENT)
        self._observe(key, None, value)
        return await self._afind(key, default) if value is _ABSENT else value

    def _observe(self, key: Hashable, loader: Callable[..., Any] | None, value: Any) -> None:
        ahead = self._tiers.ahead
        if ahead is not None:
            ahead.observed(key, loader, hit=value is not _ABSENT)

    def get_or_load(
        self,
        key: Hashable,
        loader: Callable[..., T],
        **terms: Unpack[TermOptions],
    ) -> T:
        """Return the value of a key; if no tier has it, load it with `loader(key)`, once among all instances.

        Args:
            key: the key.
            loader: called as `loader(key)`, or as `loader(key, ctx=...)` with a `LoadContext` if it has a parameter
                named `ctx`. It may return a `WithTTL`.
            **terms: `ttl`, `stale`, `stale_if_error`, `early`, `jitter`, `negative_ttl`, `soft_timeout`,
                `hard_timeout`, `wait_timeout`: as for the cache, whose own they replace for this value; `tags`: what
                it is invalidated by besides its key; `private=True`: keep it out of L3; `local=True`: keep it in
                memory alone.

        Raises:
            LoadTimeout: loading takes longer than `hard_timeout`.
            WaitTimeout: another call loads for longer than `wait_timeout`.
            Exception: whatever the loader raises, if there is no old value to return instead.
        """
        value = self._hit(key, _ABSENT)
        if self._tiers.ahead is not None:
            self._observe(key, loader, value)
        if value is not _ABSENT:
            return value  # type: ignore[no-any-return]
        return self._load(key, loader, terms)  # type: ignore[no-any-return]

    def _load(self, key: Hashable, loader: Callable[..., Any], terms: TermOptions) -> Any:
        ask = self._ask(key, loader, self._terms.changed(**terms))
        return _value(answer(self._tiers, ask, self._flights, _name(loader)))

    async def aget_or_load(
        self,
        key: Hashable,
        loader: Callable[..., Awaitable[T]],
        **terms: Unpack[TermOptions],
    ) -> T:
        """As `get_or_load`, with a coroutine function."""
        value = self._hit(key, _ABSENT)
        if self._tiers.ahead is not None:
            self._observe(key, loader, value)
        if value is not _ABSENT:
            return value  # type: ignore[no-any-return]
        return await self._aload(key, loader, terms)  # type: ignore[no-any-return]

    async def _aload(self, key: Hashable, loader: Callable[..., Any], terms: TermOptions) -> Any:
        ask = self._ask(key, loader, self._terms.changed(**terms))
        return _value(await answer_task(self._tiers, ask, self._task_flights, _name(loader)))

    def get_result(
        self, key: Hashable, loader: Callable[..., Any] | None = None, **terms: Unpack[TermOptions]
    ) -> Result[Any] | None:
        """Return the value of a key with the tier that it came from, its age and whether it is stale.

        Without a loader `None` if no tier has it. The arguments are those of `get_or_load`.
        """
        ask = self._ask(key, loader, self._terms.changed(**terms))
        if loader is not None:
            return result_of(self._tiers, ask, answer(self._tiers, ask, self._flights, _name(loader)))
        return remembered_result(self._tiers, ask) or found_result(self._tiers, run(read(self._tiers, BLOCKING, ask)))

    async def aget_result(
        self,
        key: Hashable,
        loader: Callable[..., Awaitable[Any]] | None = None,
        **terms: Unpack[TermOptions],
    ) -> Result[Any] | None:
        """As `get_result`, with a coroutine function."""
        ask = self._ask(key, loader, self._terms.changed(**terms))
        if loader is not None:
            return result_of(self._tiers, ask, await answer_task(self._tiers, ask, self._task_flights, _name(loader)))
        return remembered_result(self._tiers, ask) or found_result(self._tiers, await read(self._tiers, LOOPING, ask))

    def get_many(self, keys: Iterable[Hashable]) -> dict[Any, Any]:
        """Return the values of those keys that some tier has; Redis is asked once for all."""
        return run(self._get_many(BLOCKING, keys))

    async def aget_many(self, keys: Iterable[Hashable]) -> dict[Any, Any]:
        """As `get_many`."""
        return await self._get_many(LOOPING, keys)

    async def _get_many(self, io: IO, keys: Iterable[Hashable]) -> dict[Any, Any]:
        asks = [self._ask(key) for key in dict.fromkeys(keys)]
        return await read_many(self._tiers, io, asks)

    def load_many(
        self,
        keys: Iterable[Hashable],
        loader: Callable[[list[Any]], Mapping[Any, Any]],
        **terms: Unpack[TermOptions],
    ) -> dict[Any, Any]:
        """Return the values of keys; those that no tier has are loaded together with `loader(missing_keys)`.

        What the loader does not return is absent from the result. Keys that another instance is loading are waited
        for. The other arguments are those of `get_or_load`.
        """
        return run(self._load_many(BLOCKING, keys, loader, terms))

    async def aload_many(
        self,
        keys: Iterable[Hashable],
        loader: Callable[[list[Any]], Awaitable[Mapping[Any, Any]]],
        **terms: Unpack[TermOptions],
    ) -> dict[Any, Any]:
        """As `load_many`, with a coroutine function."""
        return await self._load_many(LOOPING, keys, loader, terms)

    async def _load_many(
        self, io: IO, keys: Iterable[Hashable], loader: Callable[..., Any], terms: TermOptions
    ) -> dict[Any, Any]:
        own = self._terms.changed(**terms)
        return await load_many(self._tiers, io, [self._ask(key, None, own) for key in dict.fromkeys(keys)], loader)

    # --- writing ------------------------------------------------------------------------------------

    def set(
        self,
        key: Hashable,
        value: object,
        **terms: Unpack[TermOptions],
    ) -> None:
        """Set the value of a key in all tiers, and have all other instances forget theirs.

        When it returns, this instance never returns an older value; if Redis does not answer, other instances learn
        of it when it does.

        Raises:
            SerializationError: the value cannot be written outside of memory. Nothing has changed then.
        """
        run(self._set(BLOCKING, key, value, terms))

    async def aset(
        self,
        key: Hashable,
        value: object,
        **terms: Unpack[TermOptions],
    ) -> None:
        """As `set`."""
        await self._set(LOOPING, key, value, terms)

    async def _set(self, io: IO, key: Hashable, value: object, terms: TermOptions) -> None:
        ask, found = self._described(key, value, self._terms.changed(**terms))
        await writing.write(self._tiers, io, ask, found)

    def set_many(self, items: Mapping[Any, Any] | Iterable[tuple[Any, Any]], **terms: Unpack[TermOptions]) -> None:
        """Set the values of several keys, each as `set` does."""
        run(self._set_many(BLOCKING, items, terms))

    async def aset_many(
        self, items: Mapping[Any, Any] | Iterable[tuple[Any, Any]], **terms: Unpack[TermOptions]
    ) -> None:
        """As `set_many`."""
        await self._set_many(LOOPING, items, terms)

    async def _set_many(self, io: IO, items: Mapping[Any, Any] | Iterable[tuple[Any, Any]], terms: TermOptions) -> None:
        own = self._terms.changed(**terms)
        await write_many(self._tiers, io, [self._described(key, value, own) for key, value in dict(items).items()])

    def delete(self, key: Hashable) -> None:
        """Remove a key from all tiers of all instances; the same as `invalidate`, for one key."""
        run(writing.invalidate(self._tiers, BLOCKING, (self._encode(key),)))

    async def adelete(self, key: Hashable) -> None:
        """As `delete`."""
        await writing.invalidate(self._tiers, LOOPING, (self._encode(key),))

    def invalidate(self, *keys: Hashable) -> None:
        """Remove keys from all tiers of all instances.

        When it returns, this instance never returns an older value, and what is being loaded for these keys anywhere
        is returned to those who asked before, but not kept. If Redis does not answer, other instances learn of it
        when it does.
        """
        run(writing.invalidate(self._tiers, BLOCKING, [self._encode(key) for key in keys]))

    async def ainvalidate(self, *keys: Hashable) -> None:
        """As `invalidate`."""
        await writing.invalidate(self._tiers, LOOPING, [self._encode(key) for key in keys])

    def invalidate_tags(self, *tags: str) -> None:
        """Remove everything that has one of these tags, as `invalidate` does. O(1) in Redis and in memory."""
        run(writing.invalidate_tags(self._tiers, BLOCKING, names_of_tags(tags)))

    async def ainvalidate_tags(self, *tags: str) -> None:
        """As `invalidate_tags`."""
        await writing.invalidate_tags(self._tiers, LOOPING, names_of_tags(tags))

    def clear(self) -> None:
        """Remove everything in this namespace, as `invalidate` does. O(1) in Redis, where it is freed as it expires."""
        run(writing.clear(self._tiers, BLOCKING))
        self._memory.cache.clear()

    async def aclear(self) -> None:
        """As `clear`."""
        await writing.clear(self._tiers, LOOPING)
        self._memory.cache.clear()

    # --- keeping up ---------------------------------------------------------------------------------

    def barrier(self, timeout: float = 1.0) -> bool:
        """Wait until this instance knows everything that others had invalidated when this was called.

        Returns: whether it does; false if that took longer than `timeout` seconds, or Redis does not answer.
        """
        backplane = self._tiers.backplane
        return backplane is None or run(backplane.barrier(BLOCKING, timeout))

    async def abarrier(self, timeout: float = 1.0) -> bool:
        """As `barrier`."""
        backplane = self._tiers.backplane
        return backplane is None or await backplane.barrier(LOOPING, timeout)

    def prefetch(self, keys: Iterable[Hashable], loader: Callable[[Any], Any] | None = None) -> int:
        """Have keys brought into memory in the background, from lower tiers or with `loader(key)`.

        Returns: how many are not in memory already. What fails is logged.
        """
        if self._tiers.ahead is not None:
            return self._tiers.ahead.hint(list(dict.fromkeys(keys)), loader)
        asks = [ask for ask in self._asks(keys, loader) if remembered_result(self._tiers, ask) is None]
        for ask in asks:
            find = partial(self._find, ask.l1_key) if loader is None else partial(self.get_or_load, ask.l1_key, loader)
            pool().submit(_logged, find)
        return len(asks)

    async def aprefetch(self, keys: Iterable[Hashable], loader: Callable[[Any], Awaitable[Any]] | None = None) -> int:
        """As `prefetch`, with tasks."""
        if self._tiers.ahead is not None:
            return self._tiers.ahead.hint(list(dict.fromkeys(keys)), loader)
        asks = [ask for ask in self._asks(keys, loader) if remembered_result(self._tiers, ask) is None]
        for ask in asks:
            found: Any = read(self._tiers, LOOPING, ask) if loader is None else self.aget_or_load(ask.l1_key, loader)
            LOOPING.start(found).add_done_callback(_note_failure)
        return len(asks)

    def warm(self, keys: Iterable[Hashable] | str | PathLike[str]) -> int:
        """Bring keys into memory from the lower tiers; return how many were there.

        Args:
            keys: the keys, or the path of a file that `snapshot` made.
        """
        return run(self._warm(BLOCKING, keys))

    async def awarm(self, keys: Iterable[Hashable] | str | PathLike[str]) -> int:
        """As `warm`."""
        return await self._warm(LOOPING, keys)

    async def _warm(self, io: IO, keys: Iterable[Hashable] | str | PathLike[str]) -> int:
        if not isinstance(keys, (str, PathLike)):
            return await warm(self._tiers, io, self._asks(keys))
        has_keys_alone, records = load_snapshot(keys)
        if has_keys_alone or self._tiers.backplane is not None:
            return await warm(self._tiers, io, self._asks(record[0] for record in records))
        for key, value, ttl, tags, *_ in records:
            await self._set(io, key, value, {"ttl": inf if ttl is None else ttl, "tags": tags or ()})
        return len(records)

    def snapshot(self, path: str | PathLike[str]) -> int:
        """Save which keys memory holds, from the coldest to the hottest, for `warm`; return how many.

        Without Redis and disk their values are saved, too; those that cannot be are left out. See
        `MemoryCache.save` for the file.
        """
        return save_snapshot(self._tiers, self._memory, path)

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
            maxsize: how many results memory keeps; as many as the cache by default.
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

    # --- inside -------------------------------------------------------------------------------------

    def _ask(self, key: Hashable, loader: Callable[..., Any] | None = None, terms: Terms | None = None) -> Ask:
        return Ask(
            self._encode(key),
            self._memory,
            key,
            self._terms if terms is None else terms,
            loader,
            (key,),
            context_name=None if loader is None else context_parameter(loader),
        )

    def _asks(self, keys: Iterable[Hashable], loader: Callable[..., Any] | None = None) -> list[Ask]:
        return [self._ask(key, loader) for key in dict.fromkeys(keys)]

    def _described(self, key: Hashable, value: object, terms: Terms) -> tuple[Ask, Found]:
        if value is None and terms.negative_ttl is None:
            terms = terms._replace(negative_ttl=inf)  # it is set, not loaded: that is asking for it to be kept
        ask = self._ask(key, None, terms)
        return ask, described(self._tiers, ask, value)


def _value(answered: Any) -> Any:
    return answered.value if type(answered) is Found else answered


def _name(loader: Callable[..., Any]) -> str:
    return getattr(loader, "__qualname__", None) or type(loader).__qualname__


def _logged(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception:  # noqa: BLE001 - nobody waits for it
        logger().warning("a key could not be prefetched", exc_info=True)


def _note_failure(task: Any) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger().warning("a key could not be prefetched", exc_info=task.exception())


TieredCache.__module__ = "overdrive"
