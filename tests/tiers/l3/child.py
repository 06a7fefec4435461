"""What child processes do: `python -m tests.tiers.l3.child <what> <directory> <engine> ...`.

Blobs carry a checksum of their own, as the envelopes of the cache do: SQLite has none.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

from overdrive._tiers.l3.tier import DiskTier

ROOT = Path(__file__).parents[3]


def sealed(key: bytes, size: int) -> bytes:
    """Return a blob for `key` that says when it is not whole."""
    body = key + b"|" + os.urandom(size)
    return body + zlib.crc32(body).to_bytes(4, "big")


def is_whole(key: bytes, blob: bytes) -> bool:
    """Whether `sealed` could have made it."""
    return blob.startswith(key + b"|") and zlib.crc32(blob[:-4]).to_bytes(4, "big") == blob[-4:]


def command(what: str, *arguments: object) -> list[str]:
    """Return how to start a child."""
    return [sys.executable, "-m", "tests.tiers.l3.child", what, *map(str, arguments)]


def run(what: str, *arguments: object, timeout: float = 60) -> str:
    """Run a child to its end and return what it printed."""
    done = subprocess.run(
        command(what, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"the child ended with {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout


def write_for_ever(directory: str, engine: str, seed: str) -> None:
    """Write entries, and print the number of each that is durable, until killed."""
    tier = DiskTier(directory, engine=engine, busy_timeout=5)
    number = 0
    while True:
        key = b"%s:%d" % (seed.encode(), number)
        if tier.put(key, sealed(key, (500, 3000, 120_000)[number % 3]), tags=(number % 5,) if number % 2 else ()):
            os.write(1, b"%d\n" % number)
        number += 1


def write(directory: str, engine: str, prefix: str, count: str) -> None:
    """Write so many entries and close."""
    with DiskTier(directory, engine=engine, busy_timeout=5) as tier:
        stored = sum(
            tier.put(key, sealed(key, 600)) for key in (b"%s:%d" % (prefix.encode(), n) for n in range(int(count)))
        )
    print(stored)


def read_damaged(directory: str, engine: str, count: str) -> None:
    """Read and write everything in a directory that was damaged; print what came of it."""
    found: Counter[str] = Counter()
    with DiskTier(directory, engine=engine) as tier:
        for number in range(int(count)):
            key = b"key:%d" % number
            row = tier.get(key)
            tier.header(key)
            found["miss" if row is None else "whole" if is_whole(key, row.blob) else "wrong"] += 1
        for key, _ in tier.iterate():
            found["iterated"] += key.startswith(b"key:")
        found["listed"] = len(tier.keys())
        tier.delete_tags((1,))
        for number in range(40):
            key = b"new:%d" % number
            found["stored"] += tier.put(key, sealed(key, 700), tags=(2,))
        tier.cleanup()
        found["set aside"] = tier.stats().events.get("shards_set_aside", 0)
    print(dict(found))


def leave_without_closing(directory: str, engine: str) -> None:
    """Write one entry and end as if killed."""
    tier = DiskTier(directory, engine=engine)
    tier.put(b"k", b"v")
    tier.put(b"large", b"x" * 70_000)
    os._exit(0)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
