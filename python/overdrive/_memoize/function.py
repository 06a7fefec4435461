"""Memoized functions: what they offer besides being called.

Hits are answered by the native base class, and so are the misses of functions without special options. Everything
else is in `threads` and `tasks`, by the kind of function.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import partial, update_wrapper
from math import inf
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, overload
from weakref import ref

from overdrive._calls import native_lookup
from overdrive._core import Cache, Entry, Memo
from overdrive._info import MemoInfo
from overdrive._memoize import registry, threads
from overdrive._memoize.flight import wait_natively
from overdrive._memoize.lifetimes import Verdict, error_entry, judge, unwrap, value_entry
from overdrive._plan import plan
from overdrive.keys import hashkey, typedkey

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from types import ModuleType
    from typing import Any, Concatenate, NoReturn, Self
    from weakref import ReferenceType

    from overdrive._memoize.flight import Landing
    from overdrive._memoize.method import MemoizedMethod
    from overdrive._memoize.options import Options

__all__ = ("ABSENT", "Memoized", "MemoizedFunction")

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R = TypeVar("_R")
_S = TypeVar("_S")
_D = TypeVar("_D")

# Slots looked at for expired results by each store that is not native; see SWEEP in the native module.
_SWEEP = 4


class _Absent:
    """Stands for nothing, where `None` is a value."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


class Memoized(Memo, Generic[_P, _R]):
    """A function whose results are kept, as returned by `memoize`.

    Attributes:
        cache: the cache that holds the results. With time options its values are `Entry` objects. For a method this
            is `None`: each instance has a cache of its own, `instance.method.cache`.
    """

    __slots__ = ("_flights", "_is_native", "_name", "_options", "cache")

    __wrapped__: Callable[_P, Any]
    __name__: str
    __qualname__: str
    cache: Any
    _asynchronous = False
    # Where the calls go that are not answered natively.
    _loading: ModuleType
    # Whether misses may be computed and stored natively, if the options are simple.
    _loads_natively = True

    def __init__(
        self, function: Callable[_P, Any], options: Options, *, instance: object = None, bound: bool = False
    ) -> None:
        self._options = options
        self._name = getattr(function, "__qualname__", None) or repr(function)
        self._flights: dict[Hashable, Any] = {}
        if options.cache is None:
            self.cache = options.new_cache()
        elif bound:
            self.cache = options.cache(instance)  # type: ignore[operator]  # `__set_name__` has checked it
        else:
            self.cache = options.cache
        native = native_lookup(self.cache)
        self._is_native = native is not None
        simply = self._loads_natively and options.is_simply_timed and not self._asynchronous
        super().__init__(
            function,
            plan(
                cache=native,
                slow=self._loading.answer,
                wait=wait_natively,
                unhashable=_explain,
                key=_key_function(function, options, skip_first=bound),
                clock=options.clock,
                ttl=options.ttl if simply and not callable(options.ttl) else inf,
                idle=options.idle,
                typed=options.typed,
                skip_first=bound,
                entries=options.timed,
                asynchronous=self._asynchronous,
                single_flight=options.single_flight,
                direct=self._is_native and simply,
            ),
        )
        if bound:
            self.__wrapped__ = function
        else:
            update_wrapper(self, function)
            registry.register(self)

    # --- what users call --------------------------------------------------------------------------

    def cache_info(self) -> MemoInfo:
        """Return the statistics since the last `cache_clear()`; of a method, of all instances together."""
        hits, misses, loads, errors, load_seconds = self._counts()
        evictions, expirations = self._tally()
        maxsize, currsize = _sizes(self.cache)
        info = MemoInfo(hits, misses, maxsize, currsize, loads, load_seconds, errors, evictions, expirations)
        return _sum([info, *(own.cache_info() for own in self._memos())])

    def cache_clear(self) -> None:
        """Forget all results and statistics. What is being computed meanwhile is returned, but not kept."""
        for own in self._memos():
            own.cache_clear()
        self._detach_all()
        self._flights.clear()
        if self.cache is not None:
            self.cache.clear()
        self._reset()

    def cache_parameters(self) -> dict[str, Any]:
        """Return the options that the function was decorated with, times in seconds."""
        options = self._options
        return {name: value for name, value in options._asdict().items() if name != "timed"} | {
            "exceptions": dict(options.exceptions),
            "maxsize": None if options.maxsize == inf else options.maxsize,
            "ttl": None if options.ttl == inf else options.ttl,
            "idle": None if options.idle == inf else options.idle,
        }

    def invalidate(self, *args: _P.args, **kwargs: _P.kwargs) -> bool:
        """Forget the result of a call with these arguments; return whether there was one.

        What is being computed for them meanwhile is returned to those who asked for it before, but not kept.
        """
        memo = self._of(args)
        key = memo._key(*args, **kwargs)
        present = memo._peek(key) is not ABSENT
        memo._forget_flight(key)
        memo.cache.pop(key, None)
        return present

    def peek(self, *args: _P.args, **kwargs: _P.kwargs) -> Any | None:  # noqa: ANN401
        """Return the result kept for these arguments, or `None`; neither computes nor counts as a use."""
        memo = self._of(args)
        stored = memo._peek(memo._key(*args, **kwargs))
        return stored.value if isinstance(stored, Entry) else None if stored is ABSENT else stored

    def cached(self, *args: _P.args, **kwargs: _P.kwargs) -> bool:
        """Return whether a call with these arguments would be answered without computing first."""
        memo = self._of(args)
        return memo._peek(memo._key(*args, **kwargs)) is not ABSENT

    def put(self, value: Any, /, *args: _P.args, **kwargs: _P.kwargs) -> None:  # noqa: ANN401
        """Keep `value` as the result for these arguments, for as long as a computed one; see also `WithTTL`."""
        memo = self._of(args)
        key = memo._key(*args, **kwargs)
        value, ttl = unwrap(memo._options, value)
        memo._forget_flight(key)
        memo._store(key, value, ttl, 0.0)

    # --- binding ----------------------------------------------------------------------------------

    def __set_name__(self, owner: type, name: str) -> None:
        method = self._options.method
        if method is None:
            # Defined in the body of this class, not merely named in it.
            method = getattr(self, "__qualname__", "").rpartition(".")[0] == owner.__qualname__
        if method:
            self._make_method()

    def _make_method(self) -> None:
        if self._options.cache is not None and not callable(self._options.cache):
            raise TypeError(
                f"{self._name} is a method: each instance has a cache of its own; "
                "cache must be a function that returns it, such as `lambda self: self.cache`"
            )
        self.cache = None
        self._become_method()

    def _bind(self, instance: object) -> Memo:
        """Return the memo of an instance, made if need be: called natively."""
        present = self._memo_of(instance)
        if present is not None:
            return present
        own = type(self)(self.__wrapped__, self._options, instance=instance, bound=True)
        try:
            reference = ref(instance, partial(_forget, ref(self), id(instance)))
        except TypeError as error:
            raise TypeError(
                f"{self._name} keeps results for each instance, but instances of {type(instance).__qualname__} cannot "
                "be weakly referenced: add '__weakref__' to the class's __slots__, or decorate with method=False "
                "to make the instance a part of the key"
            ) from error
        return self._keep(instance, reference, own)

    def _bound(self, instance: object) -> MemoizedMethod[..., Any]:
        """Return what `instance.method` is: called natively."""
        from overdrive._memoize.method import MemoizedMethod

        return MemoizedMethod(self._bind(instance), instance)

    def _of(self, args: tuple[Any, ...]) -> Self:
        """Return the memo that answers a call with these arguments: that of the instance, for a method."""
        if self.cache is not None:
            return self
        if not args:
            raise TypeError(f"{self._name} is a method: the first argument must be the instance")
        return self._bind(args[0])  # type: ignore[return-value]

    # --- the cache --------------------------------------------------------------------------------

    def _peek(self, key: Hashable) -> Any:  # noqa: ANN401
        """Return what is kept for a key, if it may still be returned, or `ABSENT`; does not count as a use."""
        try:
            stored = self._find(key) if self._is_native else self.cache[key]
        except KeyError:
            return ABSENT
        if isinstance(stored, Entry):
            verdict = judge(self._options, stored, self._options.now())
            if verdict is not Verdict.FRESH and verdict is not Verdict.REFRESH:
                return ABSENT
        return stored

    def _look(self, key: Hashable) -> tuple[Any, str]:
        """Return what is kept for a key and what to make of it; counts as a use."""
        try:
            stored = self.cache[key]
        except KeyError:
            return ABSENT, Verdict.GONE
        except TypeError:
            if isinstance(self.cache, MutableMapping) or not callable(self.cache):
                raise
            raise TypeError(
                f"cache must be a mutable mapping: it is a function of the instance, but {self._name} is not a method"
            ) from None
        if not isinstance(stored, Entry):
            return stored, Verdict.FRESH
        now = self._options.now()
        verdict = judge(self._options, stored, now)
        if verdict is Verdict.FRESH or verdict is Verdict.REFRESH:
            stored._use(now)
        return stored, verdict

    def _store(self, key: Hashable, value: Any, ttl: float, load_seconds: float) -> None:  # noqa: ANN401
        options = self._options
        if not options.timed:
            self._store_object(key, value)
            return
        now = options.now()
        self._store_entry(key, value_entry(options, value, ttl, now, load_seconds), now)

    def _store_error(self, key: Hashable, error: BaseException, load_seconds: float) -> None:
        now = self._options.now()
        entry = error_entry(self._options, error, now, load_seconds)
        if entry is not None:
            self._store_entry(key, entry, now)

    def _store_entry(self, key: Hashable, entry: Entry | None, now: float) -> None:
        if self._is_native:
            try:
                old = self._find(key)
            except KeyError:
                old = None
            if isinstance(old, Entry) and now >= old.expires:
                self._count_expiration()
        if entry is None:  # gone at once, and so is what it replaces
            self.cache.pop(key, None)
        else:
            self._store_object(key, entry)
            self._sweep(now, _SWEEP)

    def _store_object(self, key: Hashable, value: object) -> None:
        try:
            self.cache[key] = value
        except ValueError:
            return  # too large for the cache, which then holds nothing for the key

    def _store_marked(self, key: Hashable, result: Any, wanted: bool) -> Any:  # noqa: ANN401
        """Keep a result that brings its ttl along, if it is wanted, and return it without: called natively."""
        value, ttl = unwrap(self._options, result)
        if wanted:
            self._store(key, value, ttl, 0.0)
        return value

    def _forget_flight(self, key: Hashable) -> None:
        self._detach(key)
        self._flights.pop(key, None)

    def _is_wanted(self, key: Hashable, flight: Landing | None, forgets: int) -> bool:
        """Return whether a result may be kept that was computed since `_forgets` was `forgets`.

        Without a flight it is not known which keys have been forgotten since: then none may.
        """
        return self._forgets == forgets or (flight is not None and self._flights.get(key) is flight)

    def _land(self, key: Hashable, flight: Landing | None) -> None:
        """Let nobody find a flight any more, if there is one."""
        if flight is not None and self._flights.get(key) is flight:
            del self._flights[key]

    # --- being a function -------------------------------------------------------------------------

    def __reduce__(self) -> str:
        return self.__qualname__

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<memoized {self.__wrapped__!r}>"


class MemoizedFunction(Memoized[_P, _R]):
    """A memoized function."""

    __slots__ = ()

    _loading = threads

    if TYPE_CHECKING:

        def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
        def peek(self, *args: _P.args, **kwargs: _P.kwargs) -> _R | None: ...
        def put(self, value: _R, /, *args: _P.args, **kwargs: _P.kwargs) -> None: ...
        @overload
        def __get__(  # type: ignore[misc]  # mypy takes no union here
            self: Callable[Concatenate[type[_S], _Q], _D], instance: _S | None, owner: type[_S], /
        ) -> MemoizedFunction[_Q, _D]: ...
        @overload
        def __get__(self, instance: None, owner: type | None = None, /) -> Self: ...
        @overload
        def __get__(
            self: Callable[Concatenate[_S, _Q], _D], instance: _S, owner: type | None = None, /
        ) -> MemoizedMethod[_Q, _D]: ...
        @overload
        def __get__(self, instance: object, owner: type | None = None, /) -> Self: ...
        def __get__(self, instance: Any, owner: type | None = None, /) -> Any: ...

    def refresh(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Compute the result anew, keep it in place of the old one, and return it."""
        memo = self._of(args)
        key = memo._key(*args, **kwargs)
        memo._forget_flight(key)
        return threads.load(memo, key, args, kwargs)  # type: ignore[no-any-return]


def _key_function(
    function: Callable[..., object], options: Options, *, skip_first: bool
) -> Callable[..., Hashable] | None:
    """Return what makes keys, if that is Python code."""
    if options.key is not None:
        return options.key
    if options.normalize:
        from overdrive._memoize import signatures

        return signatures.normalizing_key(function, skip_first=skip_first, typed=options.typed, freeze=options.freeze)
    if not options.freeze:
        return None
    from overdrive._memoize import freezing

    make = typedkey if options.typed else hashkey
    first = 1 if skip_first else 0

    def freezing_key(*args: object, **kwargs: object) -> Hashable:
        frozen, named = freezing.freeze_call(args[first:], kwargs)
        return make(*frozen, **named)

    return freezing_key


def _explain(
    memo: Memoized[..., Any], error: TypeError, args: tuple[Any, ...], kwargs: dict[str, Any] | None
) -> NoReturn:
    """Say which argument cannot be hashed: the `unhashable` of a `Plan`."""
    from overdrive._memoize import signatures

    which = signatures.unhashable_argument(memo.__wrapped__, args, kwargs or {})
    if which is None:
        raise error
    raise TypeError(
        f"{error}: {memo._name}() cannot be cached, {which}; pass freeze=True to use its content, or key="
    ) from error


def _forget(parent: ReferenceType[Memoized[..., Any]], address: int, reference: ReferenceType[object]) -> None:
    memo = parent()
    if memo is not None:
        Memo._forget(memo, address, reference)


def _sizes(cache: MutableMapping[Any, Any] | None) -> tuple[float | None, float]:
    if cache is None:
        return None, 0
    if isinstance(cache, Cache):
        return None if cache.maxsize == inf else cache.maxsize, cache.currsize
    return None, len(cache)


def _sum(infos: list[MemoInfo]) -> MemoInfo:
    if len(infos) == 1:
        return infos[0]
    maxsizes = [info.maxsize for info in infos[1:]]
    return MemoInfo(*map(sum, zip(*(info._replace(maxsize=0) for info in infos), strict=True)))._replace(
        maxsize=maxsizes[0]
    )
