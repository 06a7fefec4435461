"""Buffers as they are: arrays of numpy, which is imported when there is one, and memoryviews.

The payload is the memory itself, and behind it a line of text that says what it is, so that what is read is as
well aligned as the envelope. Nothing is copied but what is not in one piece, and what is read is read-only.
"""

from __future__ import annotations

import math
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from overdrive._tiers.values.serializers import RAW, Payload

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ("load", "write_array", "write_memoryview")

# What `memoryview.cast` makes again. Sizes differ between platforms, and are compared.
FORMATS: Final = frozenset("bBhHiIlLqQnNfd?c")
# Booleans, numbers, times, strings of a fixed length: anything else, read from outside, could be taken for addresses.
DTYPE: Final = re.compile(r"[<>|][biufcmMSU][0-9]{1,9}(\[[0-9]{0,9}[A-Za-zμ]{1,2}\])?")
MAX_LINE: Final = 1024
MAX_DIMENSIONS: Final = 64
ORDERS: Final = {"little": "<", "big": ">"}


def write_memoryview(value: memoryview) -> Payload | None:
    """A memoryview as a payload; None if it cannot come back."""
    kind = value.format.removeprefix("@")
    if kind not in FORMATS or value.ndim == 0 or (value.nbytes == 0 and value.ndim > 1):
        return None
    data = value.cast("B") if value.c_contiguous else value.tobytes()
    order = ORDERS[sys.byteorder]
    return _payload(data, "view", f"{order}{kind}{value.itemsize}", value.shape or ())


def write_array(value: Any) -> Payload | None:
    """An array of numpy as a payload; None if it is of a dtype that is more than numbers, times or strings."""
    numpy = _numpy()
    dtype = value.dtype
    name = dtype.str
    if DTYPE.fullmatch(name) is None or dtype.itemsize == 0 or numpy.dtype(name) != dtype or dtype.metadata:
        return None
    by_columns = value.flags.f_contiguous and not value.flags.c_contiguous
    rows = value.T if by_columns else numpy.ascontiguousarray(value)
    data = memoryview(rows.reshape(-1).view(numpy.uint8)) if value.size else b""
    return _payload(data, "columns" if by_columns else "rows", name, value.shape)


def _payload(data: bytes | memoryview, form: str, kind: str, shape: tuple[int, ...]) -> Payload:
    line = f"{form} {kind} {','.join(map(str, shape))}".encode()
    return Payload(RAW, (data, line, len(line).to_bytes(2, "little")))


def load(payload: bytes | memoryview) -> Any:
    """The array or memoryview that a payload was made of.

    Raises:
        ValueError: if it was made of neither.
    """
    view = memoryview(payload)
    length = int.from_bytes(view[-2:], "little")
    if len(view) < length + 2 or length > MAX_LINE:
        raise ValueError("a buffer does not say what it is")
    data = view[: len(view) - length - 2]
    form, kind, dimensions = bytes(view[len(data) : -2]).decode().split(" ")
    shape = tuple(map(int, dimensions.split(","))) if dimensions else ()
    if len(shape) > MAX_DIMENSIONS or any(dimension < 0 for dimension in shape):
        raise ValueError("a buffer has no such shape")
    if form == "view":
        return _memoryview(data, kind, shape)
    if form not in {"rows", "columns"} or DTYPE.fullmatch(kind) is None:
        raise ValueError("a buffer is of no known kind")
    return _array(data, kind, shape, by_columns=form == "columns")


def _memoryview(data: memoryview, kind: str, shape: tuple[int, ...]) -> memoryview:
    order, code, size = kind[0], kind[1], int(kind[2:])
    if order != ORDERS[sys.byteorder] or code not in FORMATS or not shape:
        raise ValueError("a memoryview is of another platform")
    flat = data.cast(code)  # type: ignore[call-overload]  # one of FORMATS
    if flat.itemsize != size or len(flat) != math.prod(shape):
        raise ValueError("a memoryview is of another size")
    return flat if len(shape) == 1 else data.cast(code, shape)  # type: ignore[call-overload, no-any-return]


def _array(data: memoryview, name: str, shape: tuple[int, ...], *, by_columns: bool) -> Any:
    numpy = _numpy()
    dtype = numpy.dtype(name)
    if dtype.hasobject or dtype.itemsize == 0 or dtype.itemsize * math.prod(shape) != len(data):
        raise ValueError("an array is of another size")
    if not len(data):
        array = numpy.empty(shape, dtype)
        array.flags.writeable = False
        return array
    flat = numpy.frombuffer(data, dtype)
    return flat.reshape(shape[::-1]).T if by_columns else flat.reshape(shape)


def _numpy() -> ModuleType:
    import numpy

    return numpy
