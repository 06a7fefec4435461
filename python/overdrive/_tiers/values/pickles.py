"""Pickles, for those who ask for them: a pickle can run any code when it is loaded.

Large buffers are not copied into the pickle but stand in front of it, each at a multiple of eight bytes; behind
it are the lengths of them all, and how many there are.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any, Final

from overdrive._tiers.values.blame import blame
from overdrive._tiers.values.serializers import PICKLE, Payload

__all__ = ("load", "write")

PROTOCOL: Final = 5
BUFFERS: Final = 16  # the flag of envelopes
COUNT: Final = struct.Struct("<I")
LENGTH: Final = 8
# What pickle raises about a value; anything else comes from the value's own methods.
REFUSALS: Final = (pickle.PicklingError, TypeError, AttributeError, RecursionError)


def write(value: object, limit: int) -> Payload:  # noqa: ARG001 - pickle has no limit; what it made is measured
    """A value as a pickle."""
    buffers: list[pickle.PickleBuffer] = []
    try:
        data = pickle.dumps(value, PROTOCOL, buffer_callback=buffers.append)
    except REFUSALS as error:
        raise blame(value, _is_fine, f"which pickle does not take: {error}", attributes=True) from error
    if not buffers:
        return Payload(PICKLE, data)
    parts: list[bytes | memoryview] = []
    lengths = []
    for buffer in buffers:
        view = buffer.raw()
        lengths.append(view.nbytes)
        parts += (view, bytes(-view.nbytes % LENGTH))
    table = struct.pack(f"<{len(lengths)}Q", *lengths)
    return Payload(PICKLE, (*parts, data, table, COUNT.pack(len(lengths))), BUFFERS)


def load(payload: bytes | memoryview, flags: int) -> Any:
    """The value of a pickle. It must be known who wrote it."""
    if not flags & BUFFERS:
        return pickle.loads(payload)
    view = memoryview(payload)
    (count,) = COUNT.unpack(view[-COUNT.size :])
    end = len(view) - COUNT.size - LENGTH * count
    if end < 0:
        raise ValueError("a pickle has fewer buffers than it says")
    buffers, start = [], 0
    for (length,) in struct.iter_unpack("<Q", view[end : len(view) - COUNT.size]):
        buffers.append(view[start : start + length])
        start += length + -length % LENGTH
    if start > end:
        raise ValueError("the buffers of a pickle are longer than it is")
    return pickle.loads(view[start:end], buffers=buffers)


def _is_fine(value: object) -> bool:
    try:
        pickle.dumps(value, PROTOCOL)
    except REFUSALS:
        return False
    return True
