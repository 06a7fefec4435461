"""Traces out of files: which kind of file it is, and what went wrong where."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from overdrive._core import RequestTrace, TraceBuilder
from overdrive._simulate import arrays
from overdrive._simulate.pieces import COMPRESSIONS, pieces
from overdrive.exceptions import TraceError

__all__ = ("read",)

RECORDING = b"\x89ODTRACE"
ARCHIVE = b"PK\x03\x04"
DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read(path: Path, column: str | int | None = None) -> RequestTrace:
    """The requests in a file.

    Recordings, .npy and .npz are known by their first bytes, .csv and .tsv by their names; the rest is text
    with one key a line. `column` is the name or the number, from 1, of that which holds the keys of a table.

    Raises:
        TraceError: if the file cannot be read, is malformed, or has no request.
    """
    try:
        trace = _read(path, column)
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror or error}") from None
    if not len(trace):
        raise TraceError(f"{path}: has no request")
    return trace


def _read(path: Path, column: str | int | None) -> RequestTrace:
    compression = path.suffix.lower() if path.suffix.lower() in COMPRESSIONS else ""
    kind = path.with_suffix("").suffix.lower() if compression else path.suffix.lower()
    content = pieces(path)
    first = next(content, b"")
    delimiter = DELIMITERS.get(kind)
    if column is not None and delimiter is None:
        raise TraceError(f"{path}: is no .csv or .tsv, so it has no column {column!r}")
    if first.startswith(ARCHIVE):
        if compression:
            raise TraceError(f"{path}: is compressed twice; take off {compression}")
        return arrays.from_npz(path)
    content = chain([first], content)
    if first.startswith(arrays.MAGIC):
        return arrays.from_npy(str(path), content)
    if first.startswith(RECORDING):
        return _fed(path, TraceBuilder.recording(), content)
    if kind in (".npz", ".npy"):
        raise TraceError(f"{path}: is not in {kind} format")
    if delimiter is not None:
        return _fed(path, _table(delimiter, column), content)
    return _fed(path, TraceBuilder.lines(), content)


def _table(delimiter: str, column: str | int | None) -> TraceBuilder:
    if isinstance(column, int):
        return TraceBuilder.table(ord(delimiter), place=column - 1)
    return TraceBuilder.table(ord(delimiter), column=column)


def _fed(path: Path, builder: TraceBuilder, content: Iterator[bytes]) -> RequestTrace:
    try:
        for piece in content:
            builder.feed(piece)
        return builder.finish()
    except TraceError:
        raise
    except ValueError as error:
        raise TraceError(f"{path}: {error}") from None
