"""A file that is not as it was saved is never loaded."""

from __future__ import annotations

import gzip
import os
import pickle
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xxhash

from overdrive import DamagedSnapshotError, NotASnapshotError, SnapshotError, SnapshotVersionError
from overdrive._snapshots import load_records, save_records
from tests.snapshots.values import SAMPLES

ROUNDS = 300


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.snapshot"


@pytest.fixture
def sound(path: Path) -> bytes:
    """Return the bytes of a snapshot with some of everything, in two blocks."""
    items: list[Any] = [(f"key {index}", value, None, None, False, None) for index, value in enumerate(SAMPLES)]
    items += [
        ("big", random.Random(1).randbytes(1 << 20), 5.0, ("tag",), True, 7, 3.0),
        ("last", 1, None, None, False, 2.5),
    ]
    save_records(path, items, meta={"policy": "lru", "maxsize": 100}, clock=lambda: 0.0)
    return path.read_bytes()


def test_truncated_files(path: Path, sound: bytes) -> None:
    lengths = random.Random(4).sample(range(len(sound)), ROUNDS)
    for length in [*range(300), *lengths, len(sound) - 1]:
        path.write_bytes(sound[:length])
        with pytest.raises(SnapshotError):
            load_records(path)


def test_flipped_bits(path: Path, sound: bytes) -> None:
    random_bits = random.Random(4).sample(range(8 * len(sound)), ROUNDS)
    for bit in [*range(8 * 300), *random_bits, *range(8 * (len(sound) - 60), 8 * len(sound))]:
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(SnapshotError):
            load_records(path)


def test_what_else_happens_to_files(path: Path, sound: bytes) -> None:
    middle = len(sound) // 2
    for damaged in (
        sound + b"\0",
        sound + sound,
        sound.replace(b"\r", b"\r\n").replace(b"\n", b"\r\n"),
        sound[:middle] + bytes(4096) + sound[middle + 4096 :],
        sound[:middle] + sound[middle + 1 :],
        sound[:middle] + b"x" + sound[middle:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(SnapshotError):
            load_records(path)


def test_the_error_says_what_and_where(path: Path, sound: bytes) -> None:
    damaged = bytearray(sound)
    damaged[len(sound) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DamagedSnapshotError) as caught:
        load_records(path)
    assert "the checksum of a block does not match (at byte " in str(caught.value)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"text\n",
        gzip.compress(b"text"),
        pickle.dumps({"a": 1}),
        b"PK\x03\x04",
        b"SQLite format 3\0",
        random.Random(4).randbytes(1000),
    ],
)
def test_foreign_files(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(NotASnapshotError, match=f"{path.name}.* is not a snapshot"):
        load_records(path)


def test_later_versions(path: Path, sound: bytes) -> None:
    path.write_bytes(sound[:8] + b"\x02\0" + sound[10:])
    with pytest.raises(SnapshotVersionError, match="is of version 2 of the format; this release reads version 1"):
        load_records(path)


def test_folders_pipes_and_nothing(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as directory:
        load_records(tmp_path)
    assert directory.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError) as missing:
        load_records(tmp_path / "missing")
    assert missing.value.filename == str(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotASnapshotError, match="it is not a regular file"):
        load_records(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(path: Path, sound: bytes) -> None:
    path.chmod(0)
    with pytest.raises(PermissionError):
        load_records(path)


# --- files whose checksums are right: nobody's accident, but nobody's crash either ------------------

HEADER = struct.Struct("<8sHHIdQ")


def forge(payload: bytes, count: int, *, meta: bytes = b"\x0f\0", flags: int = 0) -> bytes:
    """Return a file with this block and right checksums, computed as the documentation says."""
    header = HEADER.pack(b"\x89ODSNAP\n", 1, flags, len(meta), 0.0, count) + meta
    header += digest(header)
    frame = b"BLCK" + struct.pack("<IQ", count, len(payload))
    block_digest = digest(frame + payload)
    footer = b"DONE" + struct.pack("<QQQ", 1, count, len(header) + len(frame) + len(payload) + 8 + 36)
    whole = digest(frame + block_digest + header[-8:] + footer)
    return header + frame + payload + block_digest + footer + whole


def digest(data: bytes) -> bytes:
    return xxhash.xxh3_64_intdigest(data).to_bytes(8, "little")


def one(value: bytes) -> bytes:
    """Return a record with the key None and this value, in a block."""
    record = b"\0\0" + value
    assert len(record) < 128
    return bytes([len(record)]) + record


def test_forged_files_are_read(path: Path) -> None:
    path.write_bytes(forge(one(b"\x0d\x02\x01\x04\x05"), 1))
    assert load_records(path).records == [(None, (False, -3), None, None, False, None, None)]


HUGE = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
MALFORMED = [
    b"",
    b"\x20",
    b"\xff",
    b"\x04",
    b"\x04\x80\x00",
    b"\x04" + b"\xff" * 10,
    b"\x06\0\0",
    *(bytes([tag]) + HUGE for tag in (5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 25, 27, 28)),
    *(bytes([tag]) + b"\x05ab" for tag in (5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 25, 27, 28)),
    b"\x0a\x01\xff\xff\xff\xff",
    b"\x0a\x01\x00\x00\x11\x00",
    b"\x0f\x01\x0e\x00\x00",
    b"\x0f\x02\x01\x00\x01\x00",
    b"\x10\x01\x0e\x00",
    b"\x11\x02\x01\x01",
    b"\x12\x04\x00\x04\x00\x04\x00",
    b"\x12\x00\x00\x00",
    b"\x13\0\0\0\0",
    b"\x13\xea\x07\x02\x1e",
    b"\x14\x18\0\0\0\0\0\0\0\0",
    b"\x14\0\0\0\x02\0\0\0\0\0",
    b"\x14\0\0\0\0\0\0\0\0\x01",
    b"\x16\x00\x80\xa3\x05\x00",
    b"\x16" + HUGE + b"\0\0",
    b"\x17\x01\x00",
    b"\x17\x16\x04\0\0\0",
    b"\x18\x04\x02",
    b"\x18\x08\x09../../etc",
    b"\x19\x05wrong",
    b"\x19\x01\xff",
    b"\x1b\x03|O8\x00\x01\x01\x08abcdefgh",
    b"\x1b\x05i4,O8\x00\x01\x01\x08abcdefgh",
    b"\x1b\x03<i4\x00\x01\x02\x04abcd",
    b"\x1b\x03<i4\x02\x01\x01\x04abcd",
    b"\x1b\x03<i3\x00\x01\x01\x03abc",
    b"\x1b\x03|S0\x00\x01\x01\x00",
    b"\x1b\x03<i4\x00\x02" + HUGE + HUGE + b"\x04abcd",
    b"\x1b\x03<i4\x00\x02\x00" + HUGE + b"\x00",
    b"\x1c\x03<i4\x03abc",
    b"\x1f\x00",
    b"\x0e\x01" * 60,
    b"\x00\x00",
]


@pytest.mark.parametrize("value", MALFORMED, ids=bytes.hex)
def test_malformed_values_with_right_checksums(value: bytes, path: Path) -> None:
    path.write_bytes(forge(one(value), 1))
    with pytest.raises(DamagedSnapshotError, match="is damaged: "):
        load_records(path)


def test_random_values_with_right_checksums(path: Path) -> None:
    chance = random.Random(4)
    outcomes = set()
    for _ in range(2000):
        value = bytes(
            [chance.randrange(32), *(chance.choice((0, 1, 2, 4, 8, 13, chance.randrange(256))) for _ in range(12))]
        )
        path.write_bytes(forge(one(value[: chance.randrange(1, 13)]), 1))
        try:
            load_records(path)
        except SnapshotError:
            outcomes.add("damaged")
        else:
            outcomes.add("loaded")
    assert outcomes == {"damaged", "loaded"}


def test_time_zones_that_this_machine_does_not_know(path: Path) -> None:
    path.write_bytes(forge(one(b"\x18\x08\x07No/Zone"), 1))
    with pytest.raises(SnapshotError, match="time zone 'No/Zone', which is not known here") as caught:
        load_records(path)
    assert isinstance(caught.value.__cause__, KeyError)


def test_depth_is_limited_when_reading(path: Path) -> None:
    record = b"\0\0" + b"\x0e\x01" * 5000 + b"\0"
    size = len(record)
    block = bytes([size & 127 | 128, size >> 7]) + record
    path.write_bytes(forge(block, 1))
    with pytest.raises(DamagedSnapshotError, match="values nest deeper than is ever written"):
        load_records(path)


def test_hostile_lengths_do_not_take_memory(path: Path) -> None:
    body = b"\0\0"
    for _ in range(100):
        body += b"\x0e" + b"\xf0\x80\x3c"  # lists that each announce 983,152 items
    body += bytes(983_500)
    size = len(body)
    block = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + body
    path.write_bytes(forge(block, 1))
    child = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from overdrive import DamagedSnapshotError
from overdrive._snapshots import load_records
try:
    load_records({str(path)!r})
except DamagedSnapshotError:
    print("damaged")
"""
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
    assert done.stdout == "damaged\n"


@pytest.mark.parametrize(
    "content",
    [
        forge(one(b"\0"), 2),
        forge(one(b"\0") + b"\0", 1),
        forge(b"\x03\x20\0\0", 1),
        forge(b"\x04\0\0\0\0", 1),
        forge(b"\x0b\x01" + struct.pack("<d", float("nan")) + b"\0\0", 1),
        forge(b"\x04\x08\0\0\0", 1),
        forge(b"\x04\x04\0\0\0", 1),
        forge(one(b"\0"), 1, meta=b"\0"),
        forge(one(b"\0"), 1, meta=b"\x0f\0\0"),
        forge(one(b"\0"), 1, meta=b""),
        forge(one(b"\0"), 1, flags=3),
        forge(one(b"\0"), 1, flags=4),
    ],
)
def test_malformed_records_with_right_checksums(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(DamagedSnapshotError):
        load_records(path)
