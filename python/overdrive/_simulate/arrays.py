"""Integer arrays in the formats of NumPy, read without NumPy and without holding the file.

An .npy is a text header and then the integers as they are in memory; an .npz is a zip of those.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from overdrive._core import RequestTrace, TraceBuilder
from overdrive._simulate.pieces import read
from overdrive.exceptions import TraceError

__all__ = ("MAGIC", "from_npy", "from_npz")

MAGIC = b"\x93NUMPY"
ARRAY = "keys"
HEADER_LIMIT = 10_000  # NumPy writes about 120 bytes; only damage asks for more
DTYPE = re.compile(r"""['"]descr['"]\s*:\s*['"]([<>|=])([ui])([1248])['"]""")
SHAPE = re.compile(r"""['"]shape['"]\s*:\s*\(\s*(\d{1,18})\s*,\s*\)""")


def from_npz(path: Path) -> RequestTrace:
    """The array `keys` of an archive, or its only one.

    Raises:
        TraceError: if there is none, it is not of integers, or the archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if ARRAY not in names and len(names) != 1:
                raise TraceError(f"{path}: holds no array named {ARRAY}, but {', '.join(names) or 'nothing'}")
            name = ARRAY if ARRAY in names else names[0]
            with archive.open(archive.namelist()[names.index(name)]) as member:
                return from_npy(f"{path}, array {name}", read(member))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # The last two: a compression or an encryption that NumPy does not write.
        raise TraceError(f"{path}: is no whole .npz file: {error}") from None


def from_npy(where: str, content: Iterator[bytes]) -> RequestTrace:
    """One array, of which the content comes in pieces; `where` begins what an error says.

    Raises:
        TraceError: if it is not of integers in one dimension, or not whole.
    """
    data = b""
    while not (header := _header(where, data)):
        piece = next(content, b"")
        if not piece:
            raise TraceError(f"{where}: ends within the header of an .npy file, after {len(data)} bytes")
        data += piece
    text, data = header
    dtype, shape = DTYPE.search(text), SHAPE.search(text)
    if dtype is None:
        raise TraceError(f"{where}: is not of integers: {text.strip()}")
    if shape is None:
        raise TraceError(f"{where}: does not have one dimension: {text.strip()}")
    width, count = int(dtype[3]), int(shape[1])
    builder = TraceBuilder.integers(width)
    length = 0
    rest = b""  # of an integer that pieces share
    for piece in chain([data], content):
        length += len(piece)
        rest += piece
        whole = len(rest) - len(rest) % width
        builder.feed(rest[:whole])
        rest = rest[whole:]
    if length != count * width:
        raise TraceError(f"{where}: has {length} bytes, {count} integers of {width} were announced")
    return builder.finish()


def _header(where: str, data: bytes) -> tuple[str, bytes] | None:
    """The header and what follows, once there is enough; its length has 2 bytes in version 1, else 4."""
    if not MAGIC.startswith(data[: len(MAGIC)]):
        raise TraceError(f"{where}: is not in .npy format")
    if len(data) < 12:
        return None
    start = 10 if data[6] == 1 else 12
    length = int.from_bytes(data[8:start], "little")
    if length > HEADER_LIMIT:
        raise TraceError(f"{where}: has a header of {length} bytes, the limit is {HEADER_LIMIT}")
    end = start + length
    return (data[start:end].decode("latin-1"), data[end:]) if len(data) >= end else None
