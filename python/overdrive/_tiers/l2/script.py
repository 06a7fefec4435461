"""A Lua script, by the hash that a server knows it by."""

from __future__ import annotations

from hashlib import sha1
from typing import Final

__all__ = ("Script",)


class Script:
    """A script that a server runs as one step: atomically, without another command in between.

    Attributes:
        name: what it is called in statistics.
        source: the text.
        sha: the hex digest of its SHA-1, which `EVALSHA` takes.
    """

    __slots__ = ("name", "sha", "source")

    def __init__(self, name: str, source: str) -> None:
        self.name: Final = name
        self.source: Final = source.strip().encode()
        self.sha: Final = sha1(self.source, usedforsecurity=False).hexdigest().encode()

    def __repr__(self) -> str:
        return f"<script {self.name}>"
