"""The envelope as docs/envelope.md says it, in Python: what the native one is compared with, and forged with."""

from __future__ import annotations

import hmac
import struct
from typing import NamedTuple

import xxhash

HEADER = struct.Struct("<2s6B2I2Q2f2IQ")
COMPRESSED, NULL, MAC, ENCRYPTED, BUFFERS, TOMBSTONE = 1, 2, 4, 8, 16, 32


class Fields(NamedTuple):
    """The header, and what follows it."""

    payload: bytes
    flags: int = 0
    serializer: int = 0
    codec: int = 0
    key_id: int = 0
    schema: int = 0
    raw_length: int = 0
    version: int = 0
    created_ms: int = 0
    soft: float = float("inf")
    hard: float = float("inf")
    cost: int = 0
    extension: tuple[int, ...] = ()
    format: int = 1


def prefixed(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def write(namespace: bytes, key: bytes, fields: Fields, mac_key: bytes | None = None) -> bytes:
    checked = HEADER.pack(
        b"\xf5T",
        fields.format,
        fields.flags,
        fields.serializer,
        fields.codec,
        fields.key_id,
        len(fields.extension),
        fields.schema,
        fields.raw_length,
        fields.version,
        fields.created_ms,
        fields.soft,
        fields.hard,
        fields.cost,
        len(fields.payload),
        0,
    )[:48]
    rest = struct.pack(f"<{len(fields.extension)}Q", *fields.extension) + fields.payload
    name = prefixed(namespace) + prefixed(key)
    envelope = checked + struct.pack("<Q", xxhash.xxh3_64_intdigest(name + checked + rest)) + rest
    if fields.flags & MAC:
        assert mac_key is not None
        envelope += hmac.digest(mac_key, b"tc1\0" + name + envelope, "sha256")[:16]
    return envelope


def read(namespace: bytes, key: bytes, envelope: bytes, mac_key: bytes | None = None) -> Fields:
    """The fields of an envelope that is as it should be."""
    magic, version, flags, serializer, codec, key_id, words, *numbers = HEADER.unpack_from(envelope)
    schema, raw_length, number, created_ms, soft, hard, cost, length, _ = numbers
    assert magic == b"\xf5T"
    start = 56 + 8 * words
    extension = struct.unpack_from(f"<{words}Q", envelope, 56)
    payload = envelope[start : start + length]
    fields = Fields(
        payload=payload,
        flags=flags,
        serializer=serializer,
        codec=codec,
        key_id=key_id,
        schema=schema,
        raw_length=raw_length,
        version=number,
        created_ms=created_ms,
        soft=soft,
        hard=hard,
        cost=cost,
        extension=extension,
        format=version,
    )
    assert write(namespace, key, fields, mac_key) == envelope
    return fields
