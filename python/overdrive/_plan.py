"""What a `Memo` is made from: the arguments of the native class that answers calls."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any, Unpack

    from overdrive._core import Cache

__all__ = ("Plan", "plan")


class Plan(TypedDict, total=False):
    """How calls are answered.

    Attributes:
        cache: where hits are looked up natively; without it every call goes to `slow`.
        slow: answers what is not answered natively. Called as `slow(memo, *args, **kwargs)` if `forward`, else as
            `slow(memo, key, args, kwargs_or_None)`.
        wait: called as `wait(memo, key)` when another thread computes the key; returns a tuple of its value,
            `None` to look again, or false to compute without waiting.
        unhashable: called as `unhashable(memo, error, args, kwargs_or_None)` to raise a better error.
        key: makes the key from all arguments.
        clock: gives the time in seconds; `None` for `time.monotonic`, read natively.
        lock: no hit is answered while it is held.
        getter: called with `owner`, gives the cache of the moment.
        owner: the argument of `getter`.
        ttl: seconds that a result lives, in `direct` with `entries`.
        idle: seconds that it lives unused.
        cachetools_keys: keys have the form of `overdrive.keys`, otherwise that of `functools.lru_cache`.
        typed: types of arguments are part of the key.
        skip_first: the first argument is not, being an instance.
        entries: results may be kept as `Entry`.
        asynchronous: answers are awaitable.
        single_flight: in `direct`, one thread computes while others wait.
        direct: misses are computed and stored natively.
        forward: misses are passed on as they came.
        keep: in `direct`, a value that another call stored meanwhile stays.
    """

    cache: Cache[Any, Any] | None
    slow: Callable[..., object] | None
    wait: Callable[..., object] | None
    unhashable: Callable[..., object] | None
    key: Callable[..., Hashable] | None
    clock: Callable[[], float] | None
    lock: object
    getter: Callable[[Any], object] | None
    owner: object
    ttl: float
    idle: float
    cachetools_keys: bool
    typed: bool
    skip_first: bool
    entries: bool
    asynchronous: bool
    single_flight: bool
    direct: bool
    forward: bool
    keep: bool


_DEFAULTS: Plan = {
    "cache": None,
    "slow": None,
    "wait": None,
    "unhashable": None,
    "key": None,
    "clock": None,
    "lock": None,
    "getter": None,
    "owner": None,
    "ttl": inf,
    "idle": inf,
    "cachetools_keys": False,
    "typed": False,
    "skip_first": False,
    "entries": False,
    "asynchronous": False,
    "single_flight": False,
    "direct": False,
    "forward": False,
    "keep": False,
}


def plan(**changes: Unpack[Plan]) -> Plan:
    """Return a plan with these changes to the defaults: nothing, and no limits."""
    return {**_DEFAULTS, **changes}
