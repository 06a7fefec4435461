"""Functions whose results are kept in all tiers: what `cached` of a `TieredCache` makes.

They are memoized functions: hits in memory are answered natively, and everything that `memoize` says of options,
waiting and keys holds. What a miss runs is a search through the tiers, and what changes a result tells all instances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, overload

from overdrive._core import Entry
from overdrive._memoize.coroutine import MemoizedCoroutineFunction
from overdrive._memoize.decorator import code_flags, mark_coroutine_function
from overdrive._memoize.function import MemoizedFunction
from overdrive._memoize.lifetimes import Verdict
from overdrive._tiers import writing
from overdrive._tiers.ask import Ask
from overdrive._tiers.context import context_parameter
from overdrive._tiers.driving import BLOCKING, LOOPING, run
from overdrive._tiers.found import Found
from overdrive._tiers.loading import BlockingSearch, TaskSearch, verdict_of
from overdrive._tiers.reading import described
from overdrive._tiers.results import result_of
from overdrive.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable
    from typing import Any

    from overdrive._memoize.function import Memoized
    from overdrive._memoize.options import Options
    from overdrive._tiers.ask import L1
    from overdrive._tiers.memory import SharedMemory
    from overdrive._tiers.result import Result
    from overdrive._tiers.terms import Terms
    from overdrive._tiers.tiers import Tiers
    from overdrive._tiers.values.codec import Codec

__all__ = ("Decorator", "TieredCoroutineFunction", "TieredFunction", "decorate")

_P = ParamSpec("_P")
_R = TypeVar("_R")

_COROUTINE = 0x80
_GENERATORS = 0x20 | 0x200


class Decorator(Protocol):
    """What `cached` returns."""

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[_P, Coroutine[Any, Any, _R]], /
    ) -> TieredCoroutineFunction[_P, _R]: ...
    @overload
    def __call__(self, function: Callable[_P, _R], /) -> TieredFunction[_P, _R]: ...


class _OwnMemory:
    """The memory of one function, whose keys mean nothing elsewhere."""

    __slots__ = ("_memo",)

    def __init__(self, memo: Memoized[..., Any]) -> None:
        self._memo = memo

    def entry(self, key: Hashable) -> Entry | None:
        try:
            entry = self._memo._find(key)
        except KeyError:
            return None
        return entry if isinstance(entry, Entry) else None

    def keep(self, key: Hashable, entry: Entry, _seconds: float) -> None:
        self._memo._store_entry(key, entry, self._memo._options.now())

    def drop(self, key: Hashable) -> None:
        self._memo.cache.pop(key, None)


class _NamedMemory(_OwnMemory):
    """The memory of a function whose results have keys of the cache: what the cache holds is found, too."""

    __slots__ = ("_shared",)

    def __init__(self, memo: Memoized[..., Any], shared: SharedMemory) -> None:
        super().__init__(memo)
        self._shared = shared

    def entry(self, key: Hashable) -> Entry | None:
        own = super().entry(key)
        if own is not None and own.standing == "current":
            return own
        shared = self._shared.entry(key)
        if shared is None or shared.error is not None or shared.standing == "invalid":
            return own
        super().keep(key, shared, 0.0)
        return shared

    def keep(self, key: Hashable, entry: Entry, seconds: float) -> None:
        super().keep(key, entry, seconds)
        if entry.error is None:
            self._shared.keep(key, entry, seconds)

    def drop(self, key: Hashable) -> None:
        super().drop(key)
        self._shared.drop(key)


class _Counted:
    """Has the function count, besides the cache."""

    __slots__ = ()

    memo: Memoized[..., Any]

    def _count_hit(self) -> None:
        self._count_answer()  # type: ignore[attr-defined]  # of the search
        self.memo._count_hit()

    def _count_miss(self) -> None:
        self.memo._count_miss()
        self._tiers.tally.count_tier("l1", "misses")  # type: ignore[attr-defined]  # of the search

    def _count_error(self) -> None:
        self.memo._count_error()

    def _count_load(self, seconds: float) -> None:
        self.memo._count_load(seconds)


class _FunctionSearch(_Counted, BlockingSearch):
    __slots__ = ("memo",)


class _TaskFunctionSearch(_Counted, TaskSearch):
    __slots__ = ("memo",)


class _Blocking:
    """Answers calls of functions that memory does not answer."""

    @staticmethod
    def answer(memo: Any, key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
        """Answer a call."""
        found = _Blocking.find(memo, memo._ask(key, args, kwargs or {}))
        return found.value if type(found) is Found else found

    @staticmethod
    def find(memo: Any, ask: Ask) -> Any:
        """Answer a call: with the value, if memory has it, or else with what was found."""
        from overdrive._memoize import threads

        search = _FunctionSearch(memo._tiers, ask, memo._flights, memo._name)
        search.memo = memo
        return threads.answer(search, ask.l1_key, (), None)  # type: ignore[arg-type]


class _Looping:
    """Answers calls of coroutine functions that memory does not answer."""

    @staticmethod
    async def answer(memo: Any, key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
        """Answer a call."""
        found = await _Looping.find(memo, memo._ask(key, args, kwargs or {}))
        return found.value if type(found) is Found else found

    @staticmethod
    async def find(memo: Any, ask: Ask) -> Any:
        """Answer a call: with the value, if memory has it, or else with what was found."""
        from overdrive._memoize import tasks

        search = _TaskFunctionSearch(memo._tiers, ask, memo._flights, memo._name)
        search.memo = memo
        return await tasks.answer(search, ask.l1_key, (), None)  # type: ignore[arg-type]


class _InTiers:
    """What both kinds of functions have."""

    __slots__ = ()

    # What is not in memory is searched for in the other tiers, and kept under the stamp of the search.
    _loads_natively = False
    _tiers: Tiers
    _terms: Terms
    _keys: Callable[[Hashable], bytes]
    _context_name: str | None
    _codec: Codec | None
    _shared: SharedMemory | None

    def _memory(self) -> L1:
        memo: Any = self
        return _OwnMemory(memo) if self._shared is None else _NamedMemory(memo, self._shared)

    def _ask(self, key: Hashable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ask:
        memo: Any = self
        return Ask(
            self._keys(key),
            self._memory(),
            key,
            self._terms,
            memo.__wrapped__,
            args,
            kwargs,
            context_name=self._context_name,
            codec=self._codec,
        )

    def _ask_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ask:
        memo: Any = self
        return self._ask(memo._key(*args, **kwargs), args, kwargs)

    def _peek(self, key: Hashable) -> Any:
        from overdrive._memoize.function import ABSENT

        memo: Any = self
        entry = _OwnMemory(memo).entry(key)
        ask = Ask(b"", self._memory(), key, self._terms)
        return ABSENT if verdict_of(self._tiers, ask, entry) is Verdict.GONE else entry

    def __set_name__(self, owner: type, name: str) -> None:
        is_method = getattr(self, "__qualname__", "").rpartition(".")[0] == owner.__qualname__
        if is_method and self._shared is None:
            raise ConfigError(
                f"{owner.__qualname__}.{name} is a method: its instance means nothing to other processes; give key=, "
                "a function of the instance and the arguments, or a text such as 'user:{self.id}'"
            )


class TieredFunction(_InTiers, MemoizedFunction[_P, _R]):
    """A function whose results are kept in all tiers.

    It has the methods of a memoized function. `peek`, `cached`, `cache_info` and `cache_clear` are about this
    instance's memory; `invalidate`, `put` and `refresh` are about all tiers of all instances.
    """

    _loading = _Blocking  # type: ignore[assignment]  # has what of the module is used

    def invalidate(self, *args: _P.args, **kwargs: _P.kwargs) -> bool:
        """Forget the result of a call everywhere; return whether this instance's memory had one."""
        ask = self._ask_of(args, kwargs)
        present = self.cached(*args, **kwargs)
        run(writing.invalidate(self._tiers, BLOCKING, (ask.key,)))
        ask.memory.drop(ask.l1_key)
        return present

    def put(self, value: _R, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Keep `value` as the result for these arguments, everywhere."""
        ask = self._ask_of(args, kwargs)
        run(writing.write(self._tiers, BLOCKING, ask, described(self._tiers, ask, value)))

    def refresh(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Compute the result anew, keep it everywhere in place of the old one, and return it.

        What is invalidated while it is computed is returned, and not kept.
        """
        ask = self._ask_of(args, kwargs)
        value: _R = run(writing.renew(self._tiers, BLOCKING, ask)).value
        return value

    def result(self, *args: _P.args, **kwargs: _P.kwargs) -> Result[_R]:
        """Return the result with the tier that it came from, its age and whether it is stale."""
        ask = self._ask_of(args, kwargs)
        return result_of(self._tiers, ask, _Blocking.find(self, ask))


class TieredCoroutineFunction(_InTiers, MemoizedCoroutineFunction[_P, _R]):
    """A coroutine function whose results are kept in all tiers.

    It has the methods of a memoized function, of which `invalidate`, `put` and `refresh`, which are about all tiers
    of all instances, are coroutine functions.
    """

    _loading = _Looping  # type: ignore[assignment]  # has what of the module is used

    async def invalidate(self, *args: _P.args, **kwargs: _P.kwargs) -> bool:  # type: ignore[override]
        """Forget the result of a call everywhere; return whether this instance's memory had one."""
        ask = self._ask_of(args, kwargs)
        present = self.cached(*args, **kwargs)
        await writing.invalidate(self._tiers, LOOPING, (ask.key,))
        ask.memory.drop(ask.l1_key)
        return present

    async def put(self, value: _R, /, *args: _P.args, **kwargs: _P.kwargs) -> None:  # type: ignore[override]
        """Keep `value` as the result for these arguments, everywhere."""
        ask = self._ask_of(args, kwargs)
        await writing.write(self._tiers, LOOPING, ask, described(self._tiers, ask, value))

    async def refresh(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Compute the result anew, keep it everywhere in place of the old one, and return it.

        What is invalidated while it is computed is returned, and not kept.
        """
        ask = self._ask_of(args, kwargs)
        value: _R = (await writing.renew(self._tiers, LOOPING, ask)).value
        return value

    async def result(self, *args: _P.args, **kwargs: _P.kwargs) -> Result[_R]:
        """Return the result with the tier that it came from, its age and whether it is stale."""
        ask = self._ask_of(args, kwargs)
        return result_of(self._tiers, ask, await _Looping.find(self, ask))


def decorate(
    tiers: Tiers,
    options: Options,
    terms: Terms,
    keys_of: Callable[[Any], Callable[[Hashable], bytes]],
    shared: SharedMemory | None,
    codec: Codec | None,
    function: Any,
) -> Any:
    """Return a function whose results are kept in all tiers."""
    if isinstance(function, (classmethod, staticmethod)):
        return type(function)(decorate(tiers, options, terms, keys_of, shared, codec, function.__func__))
    if not callable(function):
        raise TypeError(f"cached decorates functions, got {function!r}")
    flags = code_flags(function)
    if flags & _GENERATORS:
        raise TypeError(f"{function!r} is a generator function, whose results can be used only once; return a list")
    kind = TieredCoroutineFunction if flags & _COROUTINE else TieredFunction
    memo: Any = kind(function, options)
    memo._tiers = tiers
    memo._terms = terms
    memo._keys = keys_of(function)
    memo._context_name = context_parameter(function)
    memo._shared = shared
    memo._codec = codec
    if flags & _COROUTINE:
        mark_coroutine_function(memo)
    return memo


TieredFunction.__module__ = TieredCoroutineFunction.__module__ = "overdrive"
