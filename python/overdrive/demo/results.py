"""What a run found out, as it is shown and as it is written to a file."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass
from types import ModuleType

import overdrive
from overdrive.demo.contenders import BASELINE, find_cachetools
from overdrive.demo.replay import Served, quantile

__all__ = ("Place", "Row", "Run")


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one contender; None where there is nothing to measure."""

    contender: str
    requests_per_second: float
    p50_us: float
    p99_us: float
    mean_us: float
    hit_ratio: float | None
    cache_ns_per_request: float | None
    bytes_per_entry: float | None

    @classmethod
    def of(cls, served: Served, cost: float | None, memory: float | None) -> Row:
        """The row of a contender, without a hit ratio if it has no cache."""
        latencies = sorted(served.latencies_ns)
        return cls(
            contender=served.name,
            requests_per_second=served.requests_per_second,
            p50_us=quantile(latencies, 0.50) / 1000,
            p99_us=quantile(latencies, 0.99) / 1000,
            mean_us=1e6 / served.requests_per_second,
            hit_ratio=None if served.name == BASELINE else served.hit_ratio,
            cache_ns_per_request=cost,
            bytes_per_entry=memory,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Versions and machine: what the figures depend on besides the code."""

    overdrive: str
    cachetools: str | None
    implementation: str
    python: str
    gil: bool
    platform: str
    cores: int

    @classmethod
    def here(cls) -> Place:
        """This process."""
        return cls(
            overdrive=overdrive.__version__,
            cachetools=_version(find_cachetools()),
            implementation=platform.python_implementation(),
            python=platform.python_version(),
            gil=getattr(sys, "_is_gil_enabled", lambda: True)(),
            platform=platform.platform(),
            cores=os.cpu_count() or 0,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the demo."""

    place: Place
    trace: str
    credit: str
    requests: int
    products: int
    cache_size: int
    clock_ns: int
    memory_entries: int | None
    pages_sha256: str
    differing_pages: dict[str, int]
    rows: list[Row]

    def row(self, contender: str) -> Row | None:
        """The figures of a contender, if it took part."""
        return next((row for row in self.rows if row.contender == contender), None)

    def document(self) -> dict[str, object]:
        """The run in the types that JSON has."""
        return asdict(self)


def _version(package: ModuleType | None) -> str | None:
    return None if package is None else str(package.__version__)
