"""Two caches of the same class, one from each library, that must answer alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis.errors import UnsatisfiedAssumption

Operation = Callable[[Any], object]

#: Once a clock has gone backwards, deadlines are out of order. An item that cachetools evicts to make room
#: can then be followed by one that has expired; removing that one makes room, yet `popitem` raises because
#: nothing is left, and the item that was to be set is lost. Ours is set. There is nothing to compare after.
FAILED_EVICTION = "raised KeyError('TTLCache is empty',)"


@dataclass(frozen=True)
class Outcome:
    """What an operation returned or raised; the text tells 1 from 1.0, and one error from another."""

    text: str
    #: The result itself.
    value: object

    def agrees_with(self, other: Outcome, *, equal_keys_are_one: bool) -> bool:
        """Return whether both are the same, or differ only by which of several equal keys they show."""
        return self.text == other.text or (equal_keys_are_one and self.value == other.value)


class Raised:
    """The value of an operation that raised: equal to nothing."""


def outcome(operation: Operation, cache: Any) -> Outcome:
    """Perform the operation and return what came of it."""
    try:
        result = operation(cache)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other library must raise the same
        text = f"raised {type(error).__name__}{error.args!r}, suppresses context: {error.__suppress_context__}"
        return Outcome(text, Raised())
    return Outcome(f"returned {result!r}", result)


@dataclass
class Pair:
    """A cache of cachetools and one of overdrive."""

    theirs: Any
    ours: Any
    #: Whether the caches draw from the global random generator.
    draws: bool = False
    #: cachetools keeps several references to a key; in some classes an operation with an equal key
    #: replaces one of them but not the others. That is not worth following.
    equal_keys_are_one: bool = False

    def agree(self, operation: Operation) -> None:
        """Run the operation on both and compare; both start from the same state of the generator."""
        before = random.getstate() if self.draws else None
        expected = outcome(operation, self.theirs)
        if before is not None:
            after = random.getstate()
            random.setstate(before)
        actual = outcome(operation, self.ours)
        if not actual.agrees_with(expected, equal_keys_are_one=self.equal_keys_are_one):
            if expected.text.startswith(FAILED_EVICTION):
                raise UnsatisfiedAssumption(FAILED_EVICTION)
            raise AssertionError(f"cachetools {expected.text}\noverdrive  {actual.text}")
        if before is not None:
            assert random.getstate() == after, "drew other random numbers"

    def replace(self, operation: Callable[[Any], Any]) -> None:
        """Go on with what the operation makes of each cache."""
        self.theirs, self.ours = operation(self.theirs), operation(self.ours)
