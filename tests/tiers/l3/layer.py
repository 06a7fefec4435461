"""A layer between SQLite and its files, which makes them fail."""

from __future__ import annotations

import apsw

NAME = "overdrive-faults"


class Layer(apsw.VFS):
    """SQLite's files, with writes and reads that fail when the test says so."""

    def __init__(self) -> None:
        self.on_write = self.on_read = self.on_open = 0
        super().__init__(NAME, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        fail(self.on_open)
        return LayerFile(self, name, flags)


class LayerFile(apsw.VFSFile):
    def __init__(self, layer: Layer, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self.layer = layer
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        fail(self.layer.on_write)
        super().xWrite(data, offset)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        fail(self.layer.on_read)
        return super().xRead(amount, offset)


def fail(code: int) -> None:
    if code:
        raise apsw.exception_for(code)
