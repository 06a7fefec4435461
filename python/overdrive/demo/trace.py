"""Request traces: the packaged one, and files of the user.

An .npz is read without NumPy: it is a zip of .npy members, each a text header and then plain integers.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
import zlib
from array import array
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

__all__ = ("PACKAGED", "Trace", "TraceError", "packaged", "read")

PACKAGED = "web12"
CREDIT = "product-page requests of an online shop; CC BY 4.0, headissue GmbH, Jens Wilke"

ARRAY = "keys.npy"
MAGIC = b"\x93NUMPY"
HEADER_LIMIT = 10_000  # NumPy writes about 120 bytes; refuse what only a damaged length can ask for
TYPE_CODES = {"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "i1": "b", "i2": "h", "i4": "i", "i8": "q"}
DTYPE = re.compile(r"""['"]descr['"]\s*:\s*['"]([<>|=])([ui][1248])['"]""")
SHAPE = re.compile(r"""['"]shape['"]\s*:\s*\(\s*(\d{1,18})\s*,\s*\)""")


class TraceError(ValueError):
    """A trace file that cannot be read, and why."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A sequence of requests for products, which are numbered from 0 in the order of their first request."""

    name: str
    requests: list[int]
    products: int
    credit: str = ""

    def first(self, count: int) -> Trace:
        """The trace that ends after `count` requests, 1 at least."""
        requests = self.requests[:count]
        return Trace(self.name, requests, max(requests) + 1, self.credit)


def packaged() -> Trace:
    """The trace that comes with overdrive; data/ATTRIBUTION.md says where it is from."""
    content = (resources.files(__package__) / "data" / f"{PACKAGED}.npz").read_bytes()
    return _trace(PACKAGED, _npz(content), CREDIT)


def read(path: Path) -> Trace:
    """The trace in a file: an .npz with an integer array `keys`, or text with one key a line.

    Raises:
        TraceError: if the file cannot be read, is malformed or has no request.
    """
    try:
        content = path.read_bytes()
        keys = _npz(content) if path.suffix == ".npz" else _lines(content)
        return _trace(path.stem, keys)
    except (OSError, TraceError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TraceError(f"{path}: {reason}") from None


def _trace(name: str, keys: Iterable[Hashable], credit: str = "") -> Trace:
    numbers: dict[Hashable, int] = {}
    dense = array("I", (numbers.setdefault(key, len(numbers)) for key in keys))
    if not dense:
        raise TraceError("has no request")
    # tolist() makes a new int per request, as a server does that parses it from a URL.
    return Trace(name, dense.tolist(), len(numbers), credit)


def _lines(content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TraceError(f"line {line} is not UTF-8 text") from None
    return [line for line in map(str.strip, text.split("\n")) if line]


def _npz(content: bytes) -> array[int]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _npy(archive.read(ARRAY))
    except KeyError:
        raise TraceError("holds no array named keys") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise TraceError(f"not a readable .npz: {error}") from None
    except (NotImplementedError, RuntimeError) as error:  # another compression, encryption
        raise TraceError(f"not an .npz that NumPy writes: {error}") from None


def _npy(content: bytes) -> array[int]:
    header, data = _split(content)
    dtype, shape = DTYPE.search(header), SHAPE.search(header)
    if dtype is None:
        raise TraceError(f"array keys is not of integers: {header.strip()}")
    if shape is None:
        raise TraceError(f"array keys does not have one dimension: {header.strip()}")
    keys = array(TYPE_CODES[dtype[2]])
    count = int(shape[1])
    if len(data) != count * keys.itemsize:
        raise TraceError(f"array keys has {len(data)} bytes, {count} x {keys.itemsize} were announced")
    keys.frombytes(data)
    if dtype[1] == ("<" if sys.byteorder == "big" else ">"):
        keys.byteswap()
    return keys


def _split(content: bytes) -> tuple[str, bytes]:
    """The header and the data of an .npy; the header's length has 2 bytes in version 1, else 4."""
    if not content.startswith(MAGIC) or len(content) < 12:
        raise TraceError("array keys is not in .npy format")
    start = 10 if content[6] == 1 else 12
    end = start + int.from_bytes(content[8:start], "little")
    if end - start > HEADER_LIMIT or end > len(content):
        raise TraceError(f"array keys has a header of {end - start} bytes, {len(content) - start} are there")
    return content[start:end].decode("latin-1"), content[end:]
