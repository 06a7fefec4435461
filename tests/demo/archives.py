"""Builds .npz files, whole and damaged, without NumPy."""

from __future__ import annotations

import io
import zipfile
from array import array
from collections.abc import Iterable

NUMBERS = (7, 7, 300, 0, 7)


def npy(
    numbers: Iterable[int] = NUMBERS,
    *,
    dtype: str = "<u4",
    code: str = "I",
    swap: bool = False,
    shape: str | None = None,
    version: int = 1,
) -> bytes:
    """One array in .npy format; `shape` is what the header claims."""
    data = array(code, numbers)
    shape = f"({len(data)},)" if shape is None else shape
    if swap:
        data.byteswap()
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes((version, 0)) + length + header + data.tobytes()


def npz(member: bytes, *, name: str = "keys.npy") -> bytes:
    """An archive of one array."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, member)
    return content.getvalue()
