"""What was seen in one phase."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field

from overdrive.demo.instances.ledger import WRONG
from overdrive.demo.instances.wire import Response

__all__ = ("Tally",)


@dataclass(slots=True)
class Tally:
    """The requests of one phase.

    Attributes:
        phase: what happened.
        bound: how stale a page may be, in seconds.
        tiers: how many pages came from each tier.
        loads: how many pages the shop made.
        spent_ns: how long the servers looked for each page.
        waited_ns: how long it took until whoever asked had it.
        changes: prices that were changed.
        stale: pages that had been replaced before they were asked for.
        beyond: those of them that had been replaced for longer than the bound.
        worst: how long the worst had been, in seconds.
        wrong: pages that are not what the shop shows, in any version.
        redirected: requests that the other process answered, as the first one did not.
        unanswered: requests that neither did.
    """

    phase: str
    bound: float
    tiers: Counter[str] = field(default_factory=Counter)
    loads: int = 0
    spent_ns: array[int] = field(default_factory=lambda: array("Q"))
    waited_ns: array[int] = field(default_factory=lambda: array("Q"))
    changes: int = 0
    stale: int = 0
    beyond: int = 0
    worst: float = 0.0
    wrong: int = 0
    redirected: int = 0
    unanswered: int = 0

    @property
    def requests(self) -> int:
        """Pages that were returned."""
        return len(self.waited_ns)

    def count(self, response: Response, staleness: float, waited_ns: int) -> None:
        """Count a page."""
        self.tiers[response.fields["tier"]] += 1
        self.spent_ns.append(int(response.fields["spent-ns"]))
        self.waited_ns.append(waited_ns)
        if staleness == WRONG:
            self.wrong += 1
        elif staleness > 0:
            self.stale += 1
            self.beyond += staleness > self.bound
            self.worst = max(self.worst, staleness)
