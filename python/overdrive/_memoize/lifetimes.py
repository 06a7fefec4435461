"""How long results live, and what a lookup makes of one: decisions without input and output.

The functions that load results, in threads and in tasks, ask here; so both have the same rules.

- A result is *fresh* for its ttl, less a random part of it (`jitter`), so that results that were stored
  together do not expire together.
- Then it is *stale*, for `stale` seconds: it is returned once more while it is computed anew
  (stale-while-revalidate, RFC 5861).
- For `stale_if_error` seconds after it was fresh it is kept for the case that computing it anew fails (RFC 5861).
- While it is fresh, a lookup may ask for it to be computed *early*: with a probability that rises towards
  the end, and sooner for results that took long (XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic
  Cache Stampede Prevention", VLDB 2015).
- Whatever its age, a result is returned only while it is *current* (see `Entry.standing`): one that was invalidated is
  gone, and one that may have been is doubtful, to be compared with its origin or computed anew.
"""

from __future__ import annotations

from math import inf, log
from typing import TYPE_CHECKING

from overdrive._core import Entry, WithTTL
from overdrive._memoize.options import seconds

if TYPE_CHECKING:
    from typing import Any, Final

    from overdrive._memoize.options import Options

__all__ = ("Verdict", "error_entry", "judge", "unwrap", "value_entry", "without_traceback")


class Verdict:
    """What a lookup makes of an entry."""

    FRESH: Final = "return it"
    REFRESH: Final = "return it, and compute it anew meanwhile"
    FALLBACK: Final = "compute it anew, and return it if that fails"
    DOUBTFUL: Final = "find out whether it was invalidated, or compute it anew"
    GONE: Final = "compute it anew"


# The logarithm of the smallest number that `1 - random()` can be: nothing is refreshed earlier than that says.
_LONGEST = 53 * log(2)


def _random() -> float:
    """Return a number in [0, 1)."""
    from random import random  # whose import takes longer than that of this package

    return random()


def judge(options: Options, entry: Entry, now: float) -> str:
    """Say what to do with an entry that was found."""
    if now >= entry.expires:  # of age, or unused for too long
        return Verdict.GONE
    standing = entry._standing(now)
    if standing != "current":
        return Verdict.GONE if standing == "invalid" else Verdict.DOUBTFUL
    fresh_until = entry.fresh_until
    if now < fresh_until:
        if entry.error is None and options.early:
            ahead = -entry.load_seconds * options.early * log(1.0 - _random())
            if now + ahead >= fresh_until:
                return Verdict.REFRESH
        return Verdict.FRESH
    return Verdict.REFRESH if now < fresh_until + options.stale else Verdict.FALLBACK


def value_entry(options: Options, value: object, ttl: float, now: float, load_seconds: float) -> Entry | None:
    """Return an entry for a result, or `None` if it would be gone at once."""
    fresh = ttl * (1.0 - options.jitter * _random()) if options.jitter else ttl
    kept = fresh + max(options.stale, options.stale_if_error)
    if kept <= 0 or options.idle <= 0:
        return None
    fresh_until = now + fresh
    ahead = _LONGEST * load_seconds * options.early
    return Entry(
        value,
        quiet_until=fresh_until - ahead if ahead else fresh_until,
        fresh_until=fresh_until,
        expires=now + kept,
        load_seconds=load_seconds,
        idle=options.idle,
        now=now,
    )


def error_entry(options: Options, error: BaseException, now: float, load_seconds: float) -> Entry | None:
    """Return an entry for an exception, or `None` if it is not one to be kept."""
    for kind, lives in options.exceptions:
        if isinstance(error, kind):
            if lives <= 0:
                return None
            kept = without_traceback(error)
            expires = now + lives
            return Entry(
                None, error=kept, quiet_until=-inf, fresh_until=expires, expires=expires, load_seconds=load_seconds
            )
    return None


def without_traceback(error: BaseException) -> BaseException:
    """Return a copy of an exception whose traceback keeps no frames, with all their objects, alive.

    An exception that cannot be copied is returned itself, without the traceback that it had.
    """
    from copy import copy

    try:
        twin = copy(error)
    except Exception:  # noqa: BLE001 - from the constructor of the user's class, which need not take its own `args`
        return error.with_traceback(None)
    if type(twin) is not type(error):
        return error.with_traceback(None)
    twin.__cause__ = error.__cause__
    twin.__suppress_context__ = True  # what was being handled when it was raised first is not what is now
    return twin.with_traceback(None)


def unwrap(options: Options, result: Any) -> tuple[Any, float]:  # noqa: ANN401 - whatever the function returns
    """Return a result without its marker, and its time to live in seconds.

    Raises:
        TypeError, ValueError: the marker's, or the function's, time to live is not one.
    """
    if type(result) is WithTTL:
        if not options.timed:
            raise TypeError("a WithTTL needs a function decorated with a time option: add ttl=math.inf")
        return result.value, seconds("the ttl of a WithTTL", result.ttl)
    if callable(options.ttl):
        lives = options.ttl(result)
        return result, inf if lives is None else seconds("what ttl() returns", lives)
    return result, options.ttl
