"""What the processes did, as it is shown and as it is written to a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from overdrive.demo.instances.tally import Tally
from overdrive.demo.replay import quantile

__all__ = ("Outcome", "PhaseRow", "Restart")


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """The figures of one phase; shares are of its requests, 0 to 1."""

    phase: str
    requests: int
    memory_share: float
    redis_share: float
    disk_share: float
    loads: int
    spent_p50_us: float
    spent_p99_us: float
    waited_p50_ms: float
    waited_p99_ms: float
    changes: int
    stale: int
    worst_stale_ms: float
    stale_beyond: int
    wrong: int
    redirected: int
    unanswered: int

    @classmethod
    def of(cls, tally: Tally) -> PhaseRow:
        """The row of a phase."""
        spent, waited = sorted(tally.spent_ns) or [0], sorted(tally.waited_ns) or [0]
        shares = [tally.tiers[tier] / max(1, tally.requests) for tier in ("l1", "l2", "l3")]
        return cls(
            phase=tally.phase,
            requests=tally.requests,
            memory_share=shares[0],
            redis_share=shares[1],
            disk_share=shares[2],
            loads=tally.loads,
            spent_p50_us=quantile(spent, 0.50) / 1e3,
            spent_p99_us=quantile(spent, 0.99) / 1e3,
            waited_p50_ms=quantile(waited, 0.50) / 1e6,
            waited_p99_ms=quantile(waited, 0.99) / 1e6,
            changes=tally.changes,
            stale=tally.stale,
            worst_stale_ms=tally.worst * 1000,
            stale_beyond=tally.beyond,
            wrong=tally.wrong,
            redirected=tally.redirected,
            unanswered=tally.unanswered,
        )


@dataclass(frozen=True, slots=True)
class Restart:
    """The process that was killed: for how long it did not listen."""

    down_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen; `bound_ms` is how stale pages may have been."""

    rows: list[PhaseRow]
    bound_ms: float
    has_redis: bool
    restart: Restart

    @property
    def is_right(self) -> bool:
        """Whether every page was one of the shop's, and none staler than promised."""
        return not any(row.wrong or row.stale_beyond for row in self.rows)

    def document(self) -> dict[str, object]:
        """The same in the types that JSON has."""
        return asdict(self)
