"""H11: an exception raised by user code reaches the caller unchanged, and the cache is as before."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.contracts.kinds import Kind
from tests.hostile.callbacks import ENTRIES, Trigger, cases
from tests.hostile.child import in_child
from tests.hostile.reactions import assert_usable


class Mine(Exception):
    """No exception that any library would raise or catch."""


class MineAtExit(BaseException):
    """One that `except Exception` does not catch."""


RAISING = {name: case for name, case in cases("").items() if ENTRIES[case[1]].raises}
SILENT = {name: case for name, case in cases("").items() if not ENTRIES[case[1]].raises}
#: User code that runs when the operation has already done its work, or a part of it. (A timed cache
#: removes first and asks for the time then, as cachetools does.)
LATE = ("after", "update", "eviction", "in delitem, ")
EXCEPTIONS = (Mine, MineAtExit, KeyError, KeyboardInterrupt, MemoryError, StopIteration)


def contents(cache: Any) -> tuple[Any, ...]:
    """Return what is stored, without expiring or comparing anything."""
    return [id(key) for key in iter(cache)], cache.maxsize


def raise_from(kind: Kind, name: str, raised: BaseException) -> None:
    """Let user code raise; the operation must pass that very exception on."""
    trigger = Trigger()

    def throw() -> None:
        raise raised

    cache, operation = ENTRIES[name].arrange(kind, trigger)
    before = contents(cache)
    trigger.arm(throw)
    try:
        operation()
    except BaseException as error:  # noqa: BLE001 - which one is the question
        # An iterator must not let a StopIteration out (PEP 479), for it would look like its end.
        assert error is raised or (isinstance(raised, StopIteration) and error.__cause__ is raised)
    else:
        missing = name.startswith("key") and name.endswith("in items") and isinstance(raised, KeyError)
        assert missing, f"{raised!r} was swallowed"
    assert trigger.calls == 1
    if not any(word in name for word in LATE):
        assert contents(cache) == before
    assert_usable(cache)


@in_child
@pytest.mark.parametrize(("kind", "name"), RAISING.values(), ids=RAISING.keys())
def test_exception_reaches_the_caller(kind: Kind, name: str) -> None:
    for exception in EXCEPTIONS:
        raise_from(kind, name, exception("mine"))


@in_child
@pytest.mark.parametrize(("kind", "name"), SILENT.values(), ids=SILENT.keys())
def test_exception_at_the_end_of_an_object_is_reported_not_raised(kind: Kind, name: str) -> None:
    reported: list[Any] = []
    trigger = Trigger()

    def throw() -> None:
        raise Mine("mine")

    cache, operation = ENTRIES[name].arrange(kind, trigger)
    trigger.arm(throw)
    sys.unraisablehook = reported.append
    try:
        operation()
    finally:
        sys.unraisablehook = sys.__unraisablehook__
    assert [type(one.exc_value) for one in reported] == [Mine]
    assert_usable(cache)


@in_child
def test_exception_in_flight_survives_the_end_of_an_object(kind: Kind) -> None:
    class Noisy:
        def __del__(self) -> None:
            try:
                raise Mine("inside")
            except Mine:
                pass

    class Failing(kind.cls):  # type: ignore[misc, name-defined]
        def popitem(self) -> Any:
            super().popitem()
            raise Mine("outside")

    cache = kind.make(1, cls=Failing)
    cache["a"] = Noisy()
    with pytest.raises(Mine, match="outside"):
        cache["b"] = Noisy()
    cache._check()
