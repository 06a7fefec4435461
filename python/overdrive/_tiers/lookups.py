"""Finding values: the methods of a tiered cache, and their twins for tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overdrive._tiers.driving import BLOCKING, LOOPING, run
from overdrive._tiers.found import Found
from overdrive._tiers.loading import BlockingSearch, TaskSearch, answer, answer_task
from overdrive._tiers.many import load_many, read_many
from overdrive._tiers.questions import Questions
from overdrive._tiers.reading import read
from overdrive._tiers.results import found_result, remembered_result, result_of
from overdrive._tiers.stats import L1_HIT, L1_MISS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
    from datetime import timedelta
    from typing import TypeAlias, TypeVar, Unpack

    from overdrive._tiers.driving import IO
    from overdrive._tiers.result import Result
    from overdrive._tiers.terms import TermOptions

    Seconds: TypeAlias = float | timedelta | str
    T = TypeVar("T")

__all__ = ("Lookups",)

# Where `None` is a value.
_ABSENT: Any = object()


class Lookups(Questions):
    """The methods that find values, or load them."""

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
        return _value(answer(BlockingSearch(self._tiers, ask, self._flights, _name(loader))))

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
        return _value(await answer_task(TaskSearch(self._tiers, ask, self._task_flights, _name(loader))))

    def get_result(
        self, key: Hashable, loader: Callable[..., Any] | None = None, **terms: Unpack[TermOptions]
    ) -> Result[Any] | None:
        """Return the value of a key with the tier that it came from, its age and whether it is stale.

        Without a loader `None` if no tier has it. The arguments are those of `get_or_load`.
        """
        ask = self._ask(key, loader, self._terms.changed(**terms))
        if loader is not None:
            return result_of(self._tiers, ask, answer(BlockingSearch(self._tiers, ask, self._flights, _name(loader))))
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
            return result_of(
                self._tiers, ask, await answer_task(TaskSearch(self._tiers, ask, self._task_flights, _name(loader)))
            )
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


def _value(answered: Any) -> Any:
    return answered.value if type(answered) is Found else answered


def _name(loader: Callable[..., Any]) -> str:
    return getattr(loader, "__qualname__", None) or type(loader).__qualname__
