"""The decorator for methods: one wrapper for each instance, with the cache that the instance names.

Three objects stand for one decorated method. The *descriptor* stays in the class body. What the class returns
on access is the *unbound method*, which takes the instance as its first argument. What an instance returns
is its *cached method*: the descriptor makes it on first access and places it in the instance's `__dict__`
under the method's own name, where Python finds it from then on without the descriptor.

A method that overrides another one has the same name, so the cached methods reached through `super()` live
in a dictionary of their own, by descriptor. It is named as in cachetools, where some look it up.
"""

from __future__ import annotations

from functools import partial, update_wrapper
from types import MethodType
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, TypeVar, overload

from overdrive._calls import CachedCall, Counted
from overdrive.keys import methodkey, typedmethodkey

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, MutableMapping
    from contextlib import AbstractContextManager
    from typing import Any, Literal, NoReturn, Self

    from overdrive._calls import SupportsCondition

__all__ = ("CachedMethod", "CountedMethod", "MethodDescriptor", "UnboundMethod", "cachedmethod")

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")
_K = TypeVar("_K")
_M = TypeVar("_M", bound="CachedMethod[..., Any]")

_OVERRIDDEN = "__cachetools_cachedmethods"


class CachedMethod(CachedCall, Generic[_P, _R]):
    """A method of one instance, with a cache.

    Attributes:
        cache_key: the function that makes the key from the arguments; the instance is already bound to it.
    """

    __slots__ = ("_descriptor", "_obj")

    __wrapped__: Callable[Concatenate[Any, _P], _R]
    __name__: str
    __qualname__: str
    cache_key: Callable[..., Any]

    def __init__(self, descriptor: MethodDescriptor[_P, _R, Any], obj: object) -> None:
        method = descriptor.__wrapped__
        key = partial(descriptor.key, obj)
        plain = descriptor.key is methodkey
        unguarded = descriptor.lock is None and descriptor.condition is None
        super().__init__(
            MethodType(method, obj),
            key,
            plain_key=key if plain else None,
            lock=descriptor.lock is not None,
            condition=descriptor.condition is not None,
            native={
                "getter": descriptor.cache if unguarded else None,
                "owner": obj,
                **({} if plain else {"typed": True} if descriptor.key is typedmethodkey else {"key": key}),
            },
        )
        update_wrapper(self, method)
        self._descriptor = descriptor
        self._obj = obj

    @property
    def cache(self) -> MutableMapping[Any, Any]:
        """The mapping that holds the results, as the instance names it now."""
        return self._descriptor.cache(self._obj)

    @property
    def cache_lock(self) -> AbstractContextManager[Any] | None:
        """What guards the cache; the condition if only that was given; or `None`."""
        lock = self._descriptor.lock
        return None if lock is None else lock(self._obj)

    @property
    def cache_condition(self) -> SupportsCondition | None:
        """What calls wait on for each other, or `None`."""
        condition = self._descriptor.condition
        return None if condition is None else condition(self._obj)

    if TYPE_CHECKING:

        def __call__(self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object]]:
        # The copy of an instance makes its own wrappers, which count from zero.
        return self._descriptor.__get__, (self._obj,)

    def __repr__(self) -> str:
        return f"<cachedmethod {self.__wrapped__!r} of {object.__repr__(self._obj)}>"


class CountedMethod(Counted, CachedMethod[_P, _R]):
    """A method of one instance, with a cache and statistics."""

    __slots__ = ()


class MethodDescriptor(Generic[_P, _R, _M]):
    """What `cachedmethod` leaves in the class body.

    Attributes:
        cache: returns the cache of an instance.
        key: makes the key from the instance and the arguments.
        lock: returns the lock of an instance; the condition if only that was given; or `None`.
        condition: returns the condition of an instance, or `None`.
    """

    __slots__ = ("__dict__", "_name", "_owner", "_unbound", "_wrapper", "cache", "condition", "key", "lock")

    __wrapped__: Callable[Concatenate[Any, _P], _R]
    __name__: str
    __qualname__: str

    def __init__(
        self,
        method: Callable[Concatenate[Any, _P], _R],
        wrapper: Callable[[MethodDescriptor[_P, _R, _M], object], _M],
        cache: Callable[[Any], MutableMapping[Any, Any]],
        key: Callable[..., Hashable],
        lock: Callable[[Any], AbstractContextManager[Any]] | None,
        condition: Callable[[Any], SupportsCondition] | None,
    ) -> None:
        update_wrapper(self, method)
        self.cache = cache
        self.key = key
        self.lock = condition if lock is None else lock
        self.condition = condition
        self._wrapper = wrapper
        self._unbound = UnboundMethod(self)
        self._owner: type | None = None
        self._name: str | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        if self._name is None:
            self._owner, self._name = owner, name
        elif name != self._name:
            raise TypeError(f"a cached method cannot have two names, {self._name!r} and {name!r}")

    @overload
    def __get__(self, obj: None, objtype: type | None = None) -> UnboundMethod[_P, _R]: ...
    @overload
    def __get__(self, obj: Any, objtype: type | None = None) -> _M: ...  # noqa: ANN401 - any instance
    def __get__(self, obj: object, objtype: type | None = None) -> UnboundMethod[_P, _R] | _M:
        """Return the cached method of the instance, which is made on first access."""
        name = self._name
        if name is None:
            if isinstance(obj, type):
                self()  # a class method: before Python 3.13 it binds what it wraps, instead of calling it
            raise TypeError("a cached method must be defined in the class body: it was not told its name")
        if obj is None:
            return self._unbound
        if self._is_attribute_of(type(obj), name):
            return self._place(obj, name, self._wrapper(self, obj))
        overridden: dict[MethodDescriptor[..., Any, Any], _M] = self._place(obj, _OVERRIDDEN, {})
        method = overridden.get(self)
        return overridden.setdefault(self, self._wrapper(self, obj)) if method is None else method

    def __call__(self, /, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse: only a class method calls what it wraps."""
        raise TypeError("cachedmethod cannot decorate a class method")

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return _descriptor_of, (self._owner, self._name)

    def _is_attribute_of(self, cls: type, name: str) -> bool:
        """Return whether instances of `cls` find this descriptor under its name, rather than an override."""
        for base in cls.__mro__:
            if name in base.__dict__:
                return base.__dict__[name] is self
        return False

    def _place(self, obj: object, name: str, value: _T) -> _T:
        """Enter `value` into the instance's dictionary; another thread's, if that was first, is returned."""
        instance = f"'__dict__' attribute on {type(obj).__name__!r} instance"
        try:
            return obj.__dict__.setdefault(name, value)  # type: ignore[no-any-return]
        except AttributeError:
            problem = f"No {instance}"
        except TypeError:
            problem = f"The {instance} does not support item assignment"
        raise TypeError(f"{problem} to cache {self._name!r}")


def _descriptor_of(owner: type, name: str) -> object:
    return owner.__dict__[name]


class UnboundMethod(Generic[_P, _R]):
    """A cached method as found on its class: called with the instance as the first argument.

    It is not a function, on purpose. `unittest.mock.create_autospec` drops the first parameter of functions
    in a class, and of nothing else, to tell how their instances are called. An instance finds a wrapper, not
    a function bound to it, so a mock must accept what the wrapper accepts.
    """

    __slots__ = ("__dict__", "__weakref__", "_descriptor")

    __wrapped__: Callable[Concatenate[Any, _P], _R]
    __name__: str
    __qualname__: str

    def __init__(self, descriptor: MethodDescriptor[_P, _R, Any]) -> None:
        update_wrapper(self, descriptor.__wrapped__)
        self._descriptor = descriptor

    @overload
    def __get__(self, obj: None, objtype: type | None = None) -> Self: ...
    @overload
    def __get__(self, obj: Any, objtype: type | None = None) -> CachedMethod[_P, _R]: ...  # noqa: ANN401 - any instance
    def __get__(self, obj: object, objtype: type | None = None) -> Self | CachedMethod[_P, _R]:
        """Bind as a method does, where a class has this as an attribute under another name."""
        return self if obj is None else self._descriptor.__get__(obj)

    # At run time the instance is no parameter of its own, for the sake of mocks: see above.
    if TYPE_CHECKING:

        def __call__(self, obj: object, /, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...

    else:

        def __call__(self, /, *args: object, **kwargs: object) -> object:
            """Call the cached method of the instance, given first or by the name of the first parameter."""
            if args:
                return self._descriptor.__get__(args[0])(*args[1:], **kwargs)
            return self._descriptor.__get__(self._pop_instance(kwargs))(**kwargs)

    def _pop_instance(self, kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        name = _first_parameter(self.__wrapped__)
        if name is None or name not in kwargs:
            raise TypeError("a cached method was called through its class without an instance")
        return kwargs.pop(name)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[None]]:
        return self._descriptor.__get__, (None,)

    def __repr__(self) -> str:
        return f"<cachedmethod {self.__wrapped__!r}>"


def _first_parameter(method: Callable[..., object]) -> str | None:
    """Return the name by which the instance may be passed to `method`, or `None` if there is none."""
    from inspect import Parameter, signature

    try:
        parameters = list(signature(method).parameters.values())
    except ValueError:
        return None
    if not parameters or parameters[0].kind is not Parameter.POSITIONAL_OR_KEYWORD:
        return None
    return parameters[0].name


@overload
def cachedmethod(
    cache: Callable[[Any], MutableMapping[_K, Any]],
    key: Callable[..., _K] = ...,
    lock: Callable[[Any], AbstractContextManager[Any]] | None = None,
    condition: Callable[[Any], SupportsCondition] | None = None,
    *,
    info: Literal[True],
) -> Callable[[Callable[Concatenate[Any, _P], _R]], MethodDescriptor[_P, _R, CountedMethod[_P, _R]]]: ...
@overload
def cachedmethod(
    cache: Callable[[Any], MutableMapping[_K, Any]],
    key: Callable[..., _K],
    lock: Callable[[Any], AbstractContextManager[Any]] | None,
    condition: Callable[[Any], SupportsCondition] | None,
    info: Literal[True],
) -> Callable[[Callable[Concatenate[Any, _P], _R]], MethodDescriptor[_P, _R, CountedMethod[_P, _R]]]: ...
@overload
def cachedmethod(
    cache: Callable[[Any], MutableMapping[_K, Any]],
    key: Callable[..., _K] = ...,
    lock: Callable[[Any], AbstractContextManager[Any]] | None = None,
    condition: Callable[[Any], SupportsCondition] | None = None,
    info: Literal[False] = False,
) -> Callable[[Callable[Concatenate[Any, _P], _R]], MethodDescriptor[_P, _R, CachedMethod[_P, _R]]]: ...
def cachedmethod(
    cache: Callable[[Any], MutableMapping[Any, Any]],
    key: Callable[..., Hashable] = methodkey,
    lock: Callable[[Any], AbstractContextManager[Any]] | None = None,
    condition: Callable[[Any], SupportsCondition] | None = None,
    info: bool = False,
) -> Callable[[Callable[Concatenate[Any, _P], _R]], MethodDescriptor[_P, _R, Any]]:
    """Decorate a method so that its results are kept in a cache that the instance names.

    The calls work as those of a function that is decorated with `cached`; only the cache, the lock and the
    condition come from the instance.

    Args:
        cache: called with the instance, at each call; returns the mutable mapping where results are kept.
            Instances, and methods, that name the same one share results.
        key: makes the key from the instance and the arguments; see `overdrive.keys`. The default leaves the
            instance out, which need not be hashable then.
        lock: called with the instance; returns the lock to hold during each access to the cache.
        condition: called with the instance; returns the condition that turns single flight on.
        info: if true, the wrappers count hits and misses, for each instance, and have `cache_info()`.

    Returns:
        A decorator. The decorated method of an instance has the attributes `cache`, `cache_key`,
        `cache_lock`, `cache_condition`, `cache_clear()` and `__wrapped__`. Through the class it can be called
        with an instance, and has none of these but the last.

    Raises:
        TypeError: when the method is first used, if the instance has no `__dict__` that can be written to, if
            it is a class method, or if it was not defined in a class body; when the class is made, if the
            method has two names in it (before Python 3.12 as the cause of a `RuntimeError`).

    Cost: as `cached`, and one call each of `cache`, `lock` and `condition`. Instances can still be pickled
    and copied; the wrappers of a copy count from zero. Thread-safe as `cached` is.

    Example:
        >>> from overdrive import LRUCache, cachedmethod
        >>> class Squares:
        ...     def __init__(self):
        ...         self.cache = LRUCache(maxsize=100)
        ...     @cachedmethod(lambda self: self.cache)
        ...     def square(self, n):
        ...         return n * n
        >>> squares = Squares()
        >>> squares.square(3), len(squares.cache)
        (9, 1)
    """

    def decorate(method: Callable[Concatenate[Any, _P], _R]) -> MethodDescriptor[_P, _R, Any]:
        wrapper: type[CachedMethod[_P, _R]] = CountedMethod if info else CachedMethod
        return MethodDescriptor(method, wrapper, cache, key, lock, condition)

    return decorate
