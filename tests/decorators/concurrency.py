"""Tools for scenarios: what threads do that compute, wait for and ask for each other's results.

A scenario is a function of a module that is run as a script, with the name of the scenario. One that fails to
end hangs that process, instead of the one that tests, and shows where. None takes time unless it fails.
"""

from __future__ import annotations

import faulthandler
import sys
from threading import Condition, Semaphore, Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PATIENCE = 20  # seconds until a scenario that hangs shows where, and ends


class WatchedCondition(Condition):
    """A condition that tells when somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.release()
        return super().wait(timeout)

    def until_somebody_waits(self) -> None:
        assert self.waits.acquire(timeout=PATIENCE)
        with self:  # whoever announced to wait has the lock until it does
            pass


class Call(Thread, Generic[T]):
    """A call in a thread of its own, which starts at once."""

    value: T

    def __init__(self, function: Callable[..., T], *args: object) -> None:
        super().__init__(daemon=True)
        self.function = function
        self.args = args
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.value = self.function(*self.args)
        except BaseException as error:  # noqa: BLE001 - raised again in `result`
            self.error = error

    def result(self) -> T:
        self.join(PATIENCE)
        assert not self.is_alive(), "the call did not return"
        if self.error is not None:
            raise self.error
        return self.value


def play(scenarios: dict[str, Any]) -> None:
    """Run the scenario that the command line names."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    scenarios[sys.argv[1]]()
