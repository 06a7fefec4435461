"""What a history of reads and writes shows: how stale the reads were.

Times are those of the monotonic clock, which the processes of one machine share.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Write(NamedTuple):
    """A change of the origin, and the invalidation that followed it; `acked` is None if that never succeeded."""

    node: int
    key: int
    version: int
    committed: float
    acked: float | None


class Read(NamedTuple):
    """One call, and the version of what it returned."""

    node: int
    key: int
    version: int
    began: float
    ended: float


class Stale(NamedTuple):
    """A read of something older than an invalidation that was acknowledged before the read began."""

    read: Read
    seconds: float  # since the first such invalidation
    own: bool  # the reader's own node had been acknowledged one


class Findings(NamedTuple):
    """What a history shows.

    Attributes:
        reads, writes: how many there were.
        stale: the stale reads, worst first.
        invented: reads of versions that the origin did not have when the read ended.
        unacknowledged: writes whose invalidation never succeeded.
        left_over: (node, key) pairs that were still older than the origin after everything had healed.
    """

    reads: int
    writes: int
    stale: tuple[Stale, ...]
    invented: tuple[Read, ...]
    unacknowledged: tuple[Write, ...]
    left_over: tuple[tuple[int, int], ...]

    @property
    def worst(self) -> float:
        """The staleness of the stalest read, in seconds."""
        return self.stale[0].seconds if self.stale else 0.0

    @property
    def own_stale(self) -> tuple[Stale, ...]:
        """Stale reads on a node that had invalidated the key itself."""
        return tuple(each for each in self.stale if each.own)

    def __str__(self) -> str:
        return (
            f"{self.reads} reads, {self.writes} writes: {len(self.stale)} stale ({len(self.own_stale)} own), "
            f"worst {self.worst * 1000:.1f} ms, {len(self.invented)} invented, "
            f"{len(self.unacknowledged)} unacknowledged, {len(self.left_over)} left over"
        )


def check(
    writes: Iterable[Write],
    reads: Iterable[Read],
    *,
    origin: Mapping[int, int] | None = None,
    final: Iterable[Read] = (),
) -> Findings:
    """Check a history.

    Args:
        writes: what changed the origin; each key starts at version 0, which nobody writes.
        reads: while it changed.
        origin: the version of each key at the end.
        final: reads after everything had healed and come to rest.
    """
    writes, reads = tuple(writes), tuple(reads)
    of_key = defaultdict(list)
    for write in writes:
        of_key[write.key].append(write)
    keys = {key: _Key(changes) for key, changes in of_key.items()}
    nothing = _Key([])
    stale = [found for read in reads if (found := keys.get(read.key, nothing).staleness(read)) is not None]
    return Findings(
        reads=len(reads),
        writes=len(writes),
        stale=tuple(sorted(stale, key=lambda each: -each.seconds)),
        invented=tuple(read for read in reads if not keys.get(read.key, nothing).existed(read)),
        unacknowledged=tuple(write for write in writes if write.acked is None),
        left_over=tuple((read.node, read.key) for read in final if read.version != (origin or {}).get(read.key, 0)),
    )


class _Key:
    """The writes of one key: by version, and the first acknowledgement of each version or a later one."""

    def __init__(self, writes: list[Write]) -> None:
        self.committed = {write.version: write.committed for write in writes}
        self.all = _acknowledgements(writes)
        self.of_node = {
            node: _acknowledgements([write for write in writes if write.node == node])
            for node in {write.node for write in writes}
        }

    def existed(self, read: Read) -> bool:
        return read.version == 0 or self.committed.get(read.version, float("inf")) <= read.ended

    def staleness(self, read: Read) -> Stale | None:
        first = _first_newer(self.all, read.version)
        if first > read.began:
            return None
        own = _first_newer(self.of_node.get(read.node, ([], [])), read.version) <= read.began
        return Stale(read, read.began - first, own)


def _acknowledgements(writes: list[Write]) -> tuple[list[int], list[float]]:
    acked = sorted((write.version, write.acked) for write in writes if write.acked is not None)
    firsts: list[float] = []
    earliest = float("inf")
    for _, time in reversed(acked):
        earliest = min(earliest, time)
        firsts.append(earliest)
    return [version for version, _ in acked], firsts[::-1]


def _first_newer(acknowledgements: tuple[list[int], list[float]], version: int) -> float:
    versions, firsts = acknowledgements
    at = bisect_right(versions, version)
    return firsts[at] if at < len(firsts) else float("inf")
