"""`LoadContext`: what a loader is told, and what it can say of the value that it returns.

A loader that wants it has a parameter for it: one that is annotated with `LoadContext`, or one without annotation that
is called `ctx`. `context_parameter` finds it without running the loader.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from inspect import Parameter, signature
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Generic, TypeVar, final, get_args, get_origin
from weakref import WeakKeyDictionary

from overdrive._tiers.quantities import parse_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
    from datetime import timedelta
    from typing import Any, Final

__all__ = ("NOT_MODIFIED", "NO_VALUE", "LoadContext", "Tags", "context_parameter")

V = TypeVar("V")


@final
class _Marker:
    """A value that no loader returns by chance; there is one of each name, also after a copy."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> str:
        return self._name


NO_VALUE: Final[Any] = _Marker("NO_VALUE")
"""Is in the place of a value that there is none of; `None` would be one."""

NOT_MODIFIED: Final[Any] = _Marker("NOT_MODIFIED")
"""What `LoadContext.not_modified()` returns."""


class Tags:
    """The tags of the value that is loaded: a set of str, to add to."""

    __slots__ = ("_tags",)

    def __init__(self, tags: Iterable[str] = ()) -> None:
        self._tags: set[str] = set()
        self.update(tags)

    def add(self, tag: str) -> None:
        """Add a tag.

        Raises:
            TypeError: it is not a str.
            ValueError: it is empty.
        """
        if not isinstance(tag, str):
            raise TypeError(f"a tag must be a str, got {tag!r}")
        if not tag:
            raise ValueError("a tag must not be empty")
        self._tags.add(tag)

    def update(self, tags: Iterable[str]) -> None:
        """Add several tags.

        Raises:
            TypeError: one is not a str, or `tags` is a single str.
            ValueError: one is empty.
        """
        if isinstance(tags, str):
            raise TypeError(f"tags must be an iterable of str, got the str {tags!r}; add() takes one")
        for tag in tags:
            self.add(tag)

    def discard(self, tag: str) -> None:
        """Remove a tag, if it is there."""
        self._tags.discard(tag)

    def __contains__(self, tag: object) -> bool:
        return tag in self._tags

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._tags))

    def __len__(self) -> int:
        return len(self._tags)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Tags):
            return self._tags == other._tags
        return self._tags == other

    __hash__ = None  # type: ignore[assignment] # as of a set

    def __repr__(self) -> str:
        return f"Tags({sorted(self._tags)})"


@final
class LoadContext(Generic[V]):
    """What a loader is told of the entry that it loads, and what it can say of it.

    For one load, and for the loader: not to be used after it has returned.

    Attributes:
        key: what is loaded.
        tags: those of the entry; more can be added.
        stale: the value that is out of date, which the new one replaces; `NO_VALUE` if there is none.
        stale_version: that value's version; 0 if there is none, or it is not known.
        private: whether to keep the entry off the disk.

    Example:
        >>> def load(key, ctx):
        ...     ctx.ttl = "5m"
        ...     ctx.tags.add("users")
        ...     return {"name": key}
    """

    __slots__ = ("_stored", "_ttl", "key", "private", "stale", "stale_version", "tags")

    def __init__(
        self,
        key: Hashable,
        *,
        ttl: float | None = None,
        tags: Iterable[str] = (),
        stale: V = NO_VALUE,
        stale_version: int = 0,
        private: bool = False,
    ) -> None:
        self.key = key
        self._ttl = ttl
        self.tags = Tags(tags)
        self.stale = stale
        self.stale_version = stale_version
        self.private = private
        self._stored = True

    @property
    def ttl(self) -> float | None:
        """For how many seconds the value is fresh; `None` if neither the caller nor the loader has said so.

        It can be set to seconds, a timedelta, or text such as "5m"; 0 for a value that is returned and not stored.

        Raises:
            TypeError: it is set to something else.
            ValueError: it is negative or NaN, or not written like that.
        """
        return self._ttl

    @ttl.setter
    def ttl(self, ttl: float | timedelta | str | None) -> None:
        try:
            self._ttl = None if ttl is None else parse_seconds(ttl)
        except (TypeError, ValueError) as error:
            raise type(error)(f"ctx.ttl: {error}") from None

    @property
    def has_stale(self) -> bool:
        """Whether there is a value that is out of date."""
        return self.stale is not NO_VALUE

    def not_modified(self) -> V:
        """Return what a loader returns to say that the stale value is right: it is kept, and fresh again.

        Raises:
            ValueError: there is no stale value.
        """
        if self.stale is NO_VALUE:
            raise ValueError(f"not_modified() needs a stale value, and there is none for {self.key!r:.100}")
        return NOT_MODIFIED  # type: ignore[no-any-return]

    def no_store(self) -> None:
        """Have the value returned to those who wait for it, and stored nowhere."""
        self._stored = False

    @property
    def is_stored(self) -> bool:
        """Whether the value is to be stored."""
        return self._stored and self._ttl != 0

    def __repr__(self) -> str:
        parts = [f"{self.key!r:.100}", f"ttl={self._ttl}", f"tags={list(self.tags)}"]
        if self.has_stale:
            parts.append(f"stale_version={self.stale_version}")
        return f"<LoadContext of {', '.join(parts)}>"


LoadContext.__module__ = "overdrive"


# --- who wants one ----------------------------------------------------------------------------

_ANNOTATION: Final = re.compile(r"\bLoadContext\b")
# What was found for functions with annotations; of others it costs less to look again.
_found: WeakKeyDictionary[FunctionType, str | None] = WeakKeyDictionary()


def context_parameter(loader: Callable[..., object]) -> str | None:
    """Return the name of the parameter that a loader wants its `LoadContext` by, as a keyword; `None` if it does not.

    It is the one that is annotated with `LoadContext`, or else one without annotation that is called `ctx`. A
    partial call that gives it already does not want another. Of a wrapper that passes any keyword on, it is that of
    the function it wraps.

    Raises:
        TypeError: two parameters are annotated with `LoadContext`, or it can be given by position only.

    Costs 0.3 µs; 30 µs for a partial call, and for a function with annotations when it is seen first.
    """
    if type(loader) is FunctionType:
        return _of_function(loader)
    if type(loader) is MethodType and type(loader.__func__) is FunctionType:
        return _of_method(loader.__func__)
    call = getattr(type(loader), "__call__", None)  # noqa: B004 - which function it is, not whether there is one
    if type(call) is FunctionType and not isinstance(loader, type):
        return _of_method(call)
    return _inspected(loader)


def _of_method(function: FunctionType) -> str | None:
    found = _of_function(function)
    # What the instance is called is not for loaders to tell.
    return None if found is None or found == function.__code__.co_varnames[0] else found


def _of_function(function: FunctionType) -> str | None:
    if _is_annotated(function) or hasattr(function, "__wrapped__"):
        try:
            return _found[function]
        except KeyError:
            found = _found[function] = _inspected(function)
            return found
    code = function.__code__
    named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if "ctx" not in named:
        return None
    if "ctx" in named[: code.co_posonlyargcount]:
        raise _by_position_only("ctx", function)
    return "ctx"


def _is_annotated(function: FunctionType) -> bool:
    # To ask for annotations would evaluate them, and some name what only type checkers know.
    if sys.version_info >= (3, 14) and function.__annotate__ is not None:
        return True
    return bool(function.__annotations__)


def _inspected(loader: Callable[..., object]) -> str | None:
    if isinstance(loader, partial):
        found = context_parameter(loader.func)
        if found is None or found in loader.keywords:
            return None
        left = _parameters(loader)
        return found if found in left or _takes_any_keyword(left) else None
    parameters = _parameters(loader)
    annotated = [each for each in parameters.values() if _names_context(each.annotation)]
    if len(annotated) > 1:
        raise TypeError(
            f"{_name(loader)}() has several parameters annotated with LoadContext: "
            f"{', '.join([each.name for each in annotated])}"
        )
    wanted = annotated[0] if annotated else parameters.get("ctx")
    if wanted is not None and wanted.kind not in (wanted.VAR_POSITIONAL, wanted.VAR_KEYWORD):
        if not annotated and wanted.annotation is not wanted.empty:
            return None  # a context of something else
        if wanted.kind is wanted.POSITIONAL_ONLY:
            raise _by_position_only(wanted.name, loader)
        return wanted.name
    wrapped = getattr(loader, "__wrapped__", None)
    return context_parameter(wrapped) if callable(wrapped) and _takes_any_keyword(parameters) else None


def _parameters(loader: Callable[..., object]) -> Mapping[str, Parameter]:
    options: dict[str, Any] = {"follow_wrapped": False}
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        options["annotation_format"] = Format.FORWARDREF
    try:
        return signature(loader, **options).parameters
    except (TypeError, ValueError):  # as of some builtins
        return {}


def _takes_any_keyword(parameters: Mapping[str, Parameter]) -> bool:
    return any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def _names_context(annotation: object) -> bool:
    if annotation is LoadContext:
        return True
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__forward_arg__", None)
    if isinstance(text, str):
        return _ANNOTATION.search(text) is not None
    return get_origin(annotation) is LoadContext or any(_names_context(part) for part in get_args(annotation))


def _by_position_only(name: str, loader: Callable[..., object]) -> TypeError:
    return TypeError(f"{_name(loader)}() takes {name} by position only; a LoadContext is given by keyword")


def _name(loader: Callable[..., object]) -> str:
    return getattr(loader, "__qualname__", None) or type(loader).__qualname__
