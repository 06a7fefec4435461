"""The content of a file in pieces, decompressed if its name ends in .gz, .xz or .zst."""

from __future__ import annotations

import gzip
import lzma
import sys
import zlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from overdrive.exceptions import TraceError

__all__ = ("COMPRESSIONS", "pieces", "read")

PIECE = 1 << 20
COMPRESSIONS = (".gz", ".xz", ".zst")


def pieces(path: Path) -> Iterator[bytes]:
    """Read a file piece by piece.

    Raises:
        OSError: if it cannot be read.
        TraceError: if it is damaged, or is a .zst and nothing here can read that.
    """
    suffix = path.suffix.lower()
    if suffix == ".zst":
        yield from _zstd(path)
        return
    try:
        with _open(path, suffix) as file:
            yield from read(file)
    except (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise TraceError(f"{path}: is no whole {suffix} file: {error}") from None


def read(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    """Read what is left of an open file piece by piece."""
    return iter(lambda: file.read(PIECE), b"")


def _open(path: Path, suffix: str) -> IO[bytes] | gzip.GzipFile:
    if suffix == ".gz":
        return gzip.open(path)
    if suffix == ".xz":
        return lzma.open(path)
    return path.open("rb")


def _zstd(path: Path) -> Iterator[bytes]:
    new, failure = _decompressor(path)
    decompressor = new()
    begun = False
    with path.open("rb") as file:
        for compressed in read(file):
            rest = compressed
            while rest:
                begun = True
                try:
                    yield decompressor.decompress(rest)
                except failure as error:
                    raise TraceError(f"{path}: is no whole .zst file: {error}") from None
                if not decompressor.eof:
                    break
                # Another frame may follow, as it does if files were joined.
                rest, begun = decompressor.unused_data, False
                decompressor = new()
    if begun:
        raise TraceError(f"{path}: is no whole .zst file: it ends within a frame")


def _decompressor(path: Path) -> tuple[Any, type[Exception]]:
    """Something that makes decompressors, and what they raise."""
    if sys.version_info >= (3, 14):
        zstd = import_module("compression.zstd")
        return zstd.ZstdDecompressor, zstd.ZstdError
    try:
        zstandard = import_module("zstandard")
    except ImportError:
        raise TraceError(
            f"{path}: reading .zst before Python 3.14 takes an extra: pip install 'overdrive[zstd]'"
        ) from None
    return lambda: zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError
