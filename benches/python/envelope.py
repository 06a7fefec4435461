"""What does it cost to write a value outside of memory, and to read it? Microseconds, and ratios to pure Python.

python benches/python/envelope.py [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from cli import positive
from machine import headline, surroundings
from overdrive._core import Sealer
from overdrive._tiers.values.codec import Codec

Pair: TypeAlias = tuple[Callable[[], Any], Callable[[], Any]]

NOW = 1_700_000_000_000
KEY = b"user:12345"
SECRET = os.urandom(32)
HEADER = struct.Struct("<2s6B2I2Q2f2IQ")
#: The times of rows with this name are what the project promises.
PROMISED = "1,000 B, MAC"


class Reference:
    """The envelope in Python, without compression, and with BLAKE2b for XXH3, which the standard library lacks."""

    def __init__(self, *, mac: bool) -> None:
        self.flags = 4 if mac else 0

    def seal(self, key: bytes, payload: bytes) -> bytes:
        """As `Sealer.seal`."""
        length = len(payload)
        head = HEADER.pack(b"\xf5T", 1, self.flags, 2, 0, 1, 0, 0, length, 7, NOW, 10.0, 60.0, 100, length, 0)[:48]
        covered = struct.pack("<I", 3) + b"app" + struct.pack("<I", len(key)) + key
        envelope = head + self.checksum(covered + head + payload) + payload
        if not self.flags:
            return envelope
        return envelope + hmac.digest(SECRET, b"tc1\0" + covered + envelope, "sha256")[:16]

    def open(self, key: bytes, envelope: bytes) -> bytes | None:
        """As `Sealer.open`."""
        fields = HEADER.unpack_from(envelope)
        if fields[0] != b"\xf5T" or fields[1] != 1 or fields[2] != self.flags:
            return None
        covered = struct.pack("<I", 3) + b"app" + struct.pack("<I", len(key)) + key
        if self.flags:
            envelope, mac = envelope[:-16], envelope[-16:]
            found = hmac.digest(SECRET, b"tc1\0" + covered + envelope, "sha256")[:16]
            if not hmac.compare_digest(found, mac):
                return None
        elif self.checksum(covered + envelope[:48] + envelope[56:]) != envelope[48:56]:
            return None
        if NOW - fields[10] >= fields[12] * 1000:
            return None
        return envelope[56:]

    @staticmethod
    def checksum(data: bytes) -> bytes:
        """Eight bytes."""
        from hashlib import blake2b

        return blake2b(data, digest_size=8).digest()


def native(sealer: Sealer, payload: bytes) -> Pair:
    """A call that seals, and one that opens."""

    def seal() -> bytes:
        return sealer.seal(
            KEY, payload, serializer=2, schema=1, version=7, created_ms=NOW, soft=10.0, hard=60.0, cost=0.01
        )

    envelope = seal()
    return seal, lambda: sealer.open(KEY, envelope, NOW, schema=1)


def python(*, mac: bool, payload: bytes) -> Pair:
    """The same in Python."""
    reference = Reference(mac=mac)
    envelope = reference.seal(KEY, payload)
    return lambda: reference.seal(KEY, payload), lambda: reference.open(KEY, envelope)


def codec(value: object, **options: Any) -> Pair:  # noqa: ANN401 - those of Codec
    """The same for a value."""
    made = Codec("app", **options)

    def encode() -> bytes:
        return made.encode(KEY, value, now_ms=NOW, soft=10.0, hard=60.0, cost=0.01)

    envelope = encode()
    return encode, lambda: made.decode(KEY, envelope, NOW)


def best(call: Callable[[], Any], rounds: int) -> float:
    """Microseconds of a call, in the best of the rounds."""
    began = time.perf_counter()
    call()
    repeats = max(1, min(10_000, int(0.005 / max(time.perf_counter() - began, 1e-7))))
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(repeats):
            call()
        found.append((time.perf_counter() - began) / repeats)
    return min(found) * 1e6


def rows() -> dict[str, tuple[Pair, ...]]:
    """What is measured: a pair of calls, and the one that it is compared with."""
    plain = Sealer(b"app", compression=None)
    keys = [(1, SECRET, SECRET)]
    signed = Sealer(b"app", keys=keys, write_key=1, require_mac=True, compression=None)
    encrypted = Sealer(b"app", keys=keys, write_key=1, require_mac=True, encrypt=True, compression=None)
    made: dict[str, tuple[Pair, ...]] = {}
    for size in (100, 1000, 100_000):
        payload = os.urandom(size)
        made[f"{size:,} B"] = native(plain, payload), python(mac=False, payload=payload)
        made[f"{size:,} B, MAC"] = native(signed, payload), python(mac=True, payload=payload)
        made[f"{size:,} B, MAC, encrypted"] = (native(encrypted, payload),)
    records = [{"id": index, "name": f"user {index}", "score": index * 0.5} for index in range(2500)]
    made["dict of 3, MAC"] = (codec(records[1], secret=SECRET),)
    for name in ("zstd", "lz4", None):
        made[f"2,500 records, MAC, {name}"] = (codec(records, secret=SECRET, compression=name),)
    made["10 MiB of bytes, MAC"] = (codec(os.urandom(10 << 20), secret=SECRET),)
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=positive, default=30)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    place = surroundings()
    print(headline(place))
    print(f"\n{'':<28}{'write us':>10}{'read us':>10}{'both us':>10}{'Python':>10}{'ratio':>8}")
    measured: dict[str, dict[str, float]] = {}
    for name, pairs in rows().items():
        write, read = (best(call, options.rounds) for call in pairs[0])
        line = f"{name:<28}{write:>10.2f}{read:>10.2f}{write + read:>10.2f}"
        measured[name] = {"write": write, "read": read}
        if len(pairs) > 1:
            peer = sum(best(call, options.rounds) for call in pairs[1])
            measured[name]["python"] = peer
            line += f"{peer:>10.2f}{(write + read) / peer:>8.2f}"
        print(line, flush=True)
    promised = sum(measured[PROMISED][half] for half in ("write", "read"))
    print(f"\n{PROMISED}: {promised:.2f} us together; the bar is 2 us")
    if options.json is not None:
        document = {"place": place, "microseconds": measured}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
