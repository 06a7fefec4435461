"""What came out of a simulation."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from overdrive._simulate.advice import Recommendation, recommend
from overdrive._simulate.table import text_table

__all__ = ("CEILING", "Row", "Simulation")

CEILING = "opt"


@dataclass(frozen=True, slots=True)
class Row:
    """One policy at one size.

    Attributes:
        policy: its name.
        size: how many keys the cache holds.
        hit_ratio: hits / requests, from 0 to 1; an estimate if `sample_rate` is below 1.
        hits: requests, of those replayed, for a key that was in the cache.
        requests: how many were replayed.
        evictions: keys that had to leave.
        ns_per_request: what a replayed request took, in nanoseconds.
        sample_rate: the share of keys whose requests were replayed.
    """

    policy: str
    size: int
    hit_ratio: float
    hits: int
    requests: int
    evictions: int
    ns_per_request: float
    sample_rate: float


class Simulation:
    """What policies would have made of a trace; `overdrive.simulate` makes it. Immutable.

    Attributes:
        rows: a `Row` for each policy and size, the policies from simple to elaborate, sizes ascending.
        requests: how many the trace has.
        keys: how many different ones they were for.
        seed: what the sample and random replacement were drawn from.
    """

    __slots__ = ("keys", "requests", "rows", "seed")

    def __init__(self, rows: Iterable[Row], *, requests: int, keys: int, seed: int) -> None:
        self.rows: tuple[Row, ...] = tuple(rows)
        self.requests = requests
        self.keys = keys
        self.seed = seed

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies, without the ceiling `opt`, from simple to elaborate."""
        return tuple(dict.fromkeys(row.policy for row in self.rows if row.policy != CEILING))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes in keys, ascending."""
        return tuple(dict.fromkeys(row.size for row in self.rows))

    def row(self, policy: str, size: int) -> Row:
        """The row of a policy and a size.

        Raises:
            KeyError: if it was not asked for.
        """
        for row in self.rows:
            if (row.policy, row.size) == (policy, size):
                return row
        raise KeyError((policy, size))

    @property
    def is_sampled(self) -> bool:
        """Whether any hit ratio is an estimate from a sample of the keys."""
        return any(row.sample_rate < 1 for row in self.rows)

    @property
    def recommendation(self) -> Recommendation:
        """The policy and the size to choose, and why."""
        return recommend([row for row in self.rows if row.policy != CEILING])

    def table(self, *, bold: bool = False) -> str:
        """Hit ratios in per cent, a line a policy and a column a size; the best of each is marked.

        Args:
            bold: mark for a terminal, with escape sequences, rather than with an asterisk.
        """
        return text_table(self.policies, self.sizes, self.rows, ceiling=CEILING, bold=bold)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """All figures as JSON, also written to `path` if one is given.

        Raises:
            OSError: if the file cannot be written.
        """
        document = {
            "requests": self.requests,
            "keys": self.keys,
            "seed": self.seed,
            "sampled": self.is_sampled,
            "rows": [asdict(row) for row in self.rows],
            "recommendation": asdict(self.recommendation),
        }
        return _written(json.dumps(document, indent=1) + "\n", path)

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """The rows as comma-separated values with a heading, also written to `path` if one is given.

        Raises:
            OSError: if the file cannot be written.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, Row.__slots__, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in self.rows)
        return _written(text.getvalue(), path)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw miss ratio over size, a curve a policy, into a .png or .svg file.

        Needs matplotlib: `pip install 'overdrive[plot]'`.

        Raises:
            ImportError: if matplotlib is not installed.
            ValueError: if the name of the file ends otherwise.
            OSError: if the file cannot be written.
        """
        from overdrive._simulate.plot import draw  # matplotlib is an extra

        draw(self, Path(path))

    def __repr__(self) -> str:
        return f"<Simulation of {self.requests} requests: {len(self.policies)} policies, {len(self.sizes)} sizes>"

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.recommendation}"


def _written(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="ascii")
    return text


# The public name, under which it is shown.
Simulation.__module__ = "overdrive"
