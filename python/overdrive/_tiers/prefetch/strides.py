"""Keys that count up or down: after `page:41` and `page:42` comes `page:43`, though nobody ever asked for it.

A table of successors knows only keys that it has seen follow. Here the number at the end of a key is taken apart
from the rest, and for each context and rest the last number and step are kept. How often a step has to repeat
before it is trusted is learned for each rest: a prefetch that was wasted doubles it, one that was used lowers it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ("Numbered", "Strides", "may_count", "numbered")

DIGITS = "0123456789"
_LAST = frozenset(DIGITS)
LEAST_RUN = 2
MOST_RUN = 256
# The longest number that is taken apart: what is longer counts nothing.
MOST_DIGITS = 18


class Numbered(NamedTuple):
    """A key taken apart."""

    rest: Hashable
    number: int
    rebuilt: Callable[[int], Hashable]


def may_count(key: Hashable) -> bool:
    """Whether a key may have a number at its end: quick, and true of all that have one."""
    kind = type(key)
    return (kind is str and key[-1:] in _LAST) or kind is tuple  # type: ignore[index]  # it is a str there


def numbered(key: Hashable) -> Numbered | None:
    """Take a key apart: a str that ends in digits, or a tuple that ends in an int; None for any other.

    A number that is filled up with zeros stays as wide.
    """
    if type(key) is str:
        text = key.rstrip(DIGITS)
        digits = key[len(text) :]
        if not digits or len(digits) > MOST_DIGITS:
            return None
        width = len(digits) if digits[0] == "0" else 0
        return Numbered(text, int(digits), lambda number: f"{text}{number:0{width}}")
    if type(key) is tuple and key and type(key[-1]) is int:
        front = key[:-1]
        return Numbered(front, key[-1], lambda number: (*front, number))
    return None


class _Walk:
    """Where a context is in a sequence."""

    __slots__ = ("named", "number", "run", "step")

    def __init__(self, number: int) -> None:
        self.number = number
        self.step = 0
        self.run = 0
        # How many of the next numbers were named already.
        self.named = 0

    def go(self, number: int) -> None:
        step = number - self.number
        if step == self.step:
            self.run += 1
            self.named = max(0, self.named - 1)
        elif step:
            self.run = 1
            self.named = 0
        self.step = step or self.step
        self.number = number

    def name(self, ahead: int) -> range:
        """The next numbers, so many at most, that were not named yet."""
        first, self.named = self.named + 1, max(ahead, self.named)
        return range(self.number + first * self.step, self.number + (self.named + 1) * self.step, self.step)


class Strides:
    """Sequences of a fixed number; the ones that were silent the longest are forgotten. Not thread-safe.

    Args:
        size: sequences that are followed at once, and rests whose trust is kept.
    """

    __slots__ = ("_needed", "_size", "_walks")

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._walks: OrderedDict[tuple[int, Hashable], _Walk] = OrderedDict()
        self._needed: OrderedDict[Hashable, int] = OrderedDict()

    def observe(self, context: int, key: Hashable, ahead: int) -> list[Hashable]:
        """Note a request, and return of the next `ahead` keys those that are new, if the sequence is trusted."""
        parts = numbered(key)
        if parts is None:
            return []
        place = context, parts.rest
        walk = self._walks.get(place)
        if walk is None:
            self._walks[place] = _Walk(parts.number)
            if len(self._walks) > self._size:
                self._walks.popitem(last=False)
            return []
        self._walks.move_to_end(place)
        if walk.number == parts.number:
            return []
        walk.go(parts.number)
        if walk.run < self._needed.get(parts.rest, LEAST_RUN):
            return []
        return [parts.rebuilt(number) for number in walk.name(ahead) if number >= 0]

    def used(self, key: Hashable) -> None:
        """Trust the sequence of a key that was fetched a little more."""
        parts = numbered(key)
        if parts is not None and parts.rest in self._needed:
            self._needed[parts.rest] = max(LEAST_RUN, self._needed[parts.rest] - 1)

    def wasted(self, key: Hashable) -> None:
        """Trust the sequence of a key that was fetched in vain less."""
        parts = numbered(key)
        if parts is None:
            return
        self._needed[parts.rest] = min(MOST_RUN, self._needed.pop(parts.rest, LEAST_RUN) * 2)
        if len(self._needed) > self._size:
            self._needed.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._walks.clear()
        self._needed.clear()

    def __len__(self) -> int:
        return len(self._walks)
