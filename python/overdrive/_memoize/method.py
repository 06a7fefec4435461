"""A memoized method, as found on an instance."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

from overdrive._core import BoundMemo

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, MutableMapping
    from typing import Any

    from overdrive._info import MemoInfo
    from overdrive._memoize.function import Memoized

__all__ = ("MemoizedCoroutineMethod", "MemoizedMethod")

_P = ParamSpec("_P")
_R = TypeVar("_R")


class MemoizedMethod(BoundMemo, Generic[_P, _R]):
    """A method of one instance, whose results are kept for that instance alone.

    It has the methods of a memoized function; the instance is the first argument of each. It keeps the instance
    alive, as bound methods do; its results do not.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...

    @property
    def _memo(self) -> Memoized[..., Any]:
        memo: Memoized[..., Any] = self.__func__
        return memo

    @property
    def cache(self) -> MutableMapping[Any, Any]:
        """The cache that holds the results of this instance."""
        cache: MutableMapping[Any, Any] = self._memo.cache
        return cache

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        doc: str | None = self._memo.__wrapped__.__doc__
        return doc

    @property
    def __wrapped__(self) -> Callable[_P, _R]:
        return MethodType(self._memo.__wrapped__, self.__self__)

    def cache_info(self) -> MemoInfo:
        """Return the statistics of this instance."""
        info: MemoInfo = self._memo.cache_info()
        return info

    def cache_clear(self) -> None:
        """Forget the results and statistics of this instance."""
        self._memo.cache_clear()

    def cache_parameters(self) -> dict[str, Any]:
        """Return the options that the method was decorated with."""
        options: dict[str, Any] = self._memo.cache_parameters()
        return options

    def invalidate(self, *args: _P.args, **kwargs: _P.kwargs) -> bool:
        """Forget the result of a call with these arguments; return whether there was one."""
        removed: bool = self._memo.invalidate(self.__self__, *args, **kwargs)
        return removed

    def peek(self, *args: _P.args, **kwargs: _P.kwargs) -> _R | None:
        """Return the result kept for these arguments, or `None`; neither computes nor counts as a use."""
        result: _R | None = self._memo.peek(self.__self__, *args, **kwargs)
        return result

    def cached(self, *args: _P.args, **kwargs: _P.kwargs) -> bool:
        """Return whether a call with these arguments would be answered without computing first."""
        cached: bool = self._memo.cached(self.__self__, *args, **kwargs)
        return cached

    def put(self, value: _R, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Keep `value` as the result for these arguments."""
        self._memo.put(value, self.__self__, *args, **kwargs)

    def refresh(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Compute the result anew, keep it in place of the old one, and return it."""
        return self._memo.refresh(self.__self__, *args, **kwargs)  # type: ignore[no-any-return]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            # What functions have: `__name__`, `__doc__`, the marks of coroutine functions, attributes of the user's.
            return getattr(self.__func__.__wrapped__, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MemoizedMethod):
            return NotImplemented
        return self.__func__ is other.__func__ and self.__self__ is other.__self__

    def __hash__(self) -> int:
        return hash((id(self.__func__), id(self.__self__)))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, str]]:
        return getattr, (self.__self__, self._memo.__wrapped__.__name__)

    def __repr__(self) -> str:
        return f"<memoized {self.__wrapped__!r}>"


if TYPE_CHECKING:

    class MemoizedCoroutineMethod(MemoizedMethod[_P, _R]):
        """A coroutine method of one instance, for type checkers: `MemoizedMethod` whose calls are awaited."""

        def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> Coroutine[Any, Any, _R]: ...  # type: ignore[override]
        def refresh(self, *args: _P.args, **kwargs: _P.kwargs) -> Coroutine[Any, Any, _R]: ...  # type: ignore[override]
else:
    MemoizedCoroutineMethod = MemoizedMethod
