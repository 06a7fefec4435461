"""Memoized coroutine functions; apart from the others since `asyncio` takes long to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, overload

from overdrive._memoize import tasks
from overdrive._memoize.function import Memoized

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, Concatenate, Self

    from overdrive._memoize.method import MemoizedCoroutineMethod

__all__ = ("MemoizedCoroutineFunction",)

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R = TypeVar("_R")
_S = TypeVar("_S")
_D = TypeVar("_D")


class MemoizedCoroutineFunction(Memoized[_P, _R]):
    """A memoized coroutine function."""

    __slots__ = ()

    _asynchronous = True

    _loading = tasks

    if TYPE_CHECKING:

        def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> Coroutine[Any, Any, _R]: ...
        def peek(self, *args: _P.args, **kwargs: _P.kwargs) -> _R | None: ...
        def put(self, value: _R, /, *args: _P.args, **kwargs: _P.kwargs) -> None: ...
        @overload
        def __get__(  # type: ignore[misc]  # mypy takes no union here
            self: Callable[Concatenate[type[_S], _Q], Coroutine[Any, Any, _D]], instance: _S | None, owner: type[_S], /
        ) -> MemoizedCoroutineFunction[_Q, _D]: ...
        @overload
        def __get__(self, instance: None, owner: type | None = None, /) -> Self: ...
        @overload
        def __get__(
            self: Callable[Concatenate[_S, _Q], Coroutine[Any, Any, _D]], instance: _S, owner: type | None = None, /
        ) -> MemoizedCoroutineMethod[_Q, _D]: ...
        @overload
        def __get__(self, instance: object, owner: type | None = None, /) -> Self: ...
        def __get__(self, instance: Any, owner: type | None = None, /) -> Any: ...

    async def refresh(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Compute the result anew, keep it in place of the old one, and return it."""
        memo = self._of(args)
        key = memo._key(*args, **kwargs)
        memo._forget_flight(key)
        return await tasks.load(memo, key, args, kwargs)  # type: ignore[no-any-return]
