"""What a server process is told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

__all__ = ("SERVER", "Settings")

SERVER = "overdrive.demo.instances.server"  # the module that is run


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process is told: the shop's database, how many pages memory holds, Redis, the folder of the disk tier."""

    database: str
    pages: int
    redis: str | None
    disk: str
    max_staleness: float

    def text(self) -> str:
        """As an argument of a command line."""
        return json.dumps(asdict(self))
