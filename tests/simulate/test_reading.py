"""Trace files of every kind, whole and damaged."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import overdrive
from overdrive import TraceError
from overdrive._core import RequestTrace, TraceBuilder
from overdrive._simulate.reading import read
from tests.simulate.files import COMPRESS, lines, recording, table

KEYS = [7, 3, 7, 70_000, 3, 7]
REQUESTS = (6, 3)  # and the different keys among them


def shape(trace: RequestTrace) -> tuple[int, int]:
    return len(trace), trace.keys


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def told(path: Path, content: bytes, column: str | int | None = None) -> str:
    with pytest.raises(TraceError) as refused:
        read(written(path, content), column)
    message = str(refused.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def npy(array: object) -> bytes:
    import io

    content = io.BytesIO()
    np.save(content, array)  # type: ignore[arg-type]
    return content.getvalue()


CONTENT = {
    "trace.txt": lines(KEYS),
    "trace": lines(KEYS),
    "trace.csv": table(KEYS),
    "trace.tsv": table(KEYS).replace(b",", b"\t"),
    "trace.npy": npy(np.array(KEYS)),
    "trace.rec": recording(KEYS),
}


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("name", CONTENT)
def test_every_kind_is_read_compressed_or_not(name: str, compression: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"{name}{compression}", COMPRESS[compression](CONTENT[name]))

    assert shape(read(path)) == REQUESTS
    assert overdrive.simulate(path, sizes=[2], policies=["lru"]).row("lru", 2).hits == 1


@pytest.mark.parametrize("compression", [".gz", ".xz", ".zst"])
def test_joined_files_are_read_to_the_end(compression: str, tmp_path: Path) -> None:
    content = COMPRESS[compression](lines(KEYS)) * 2

    assert shape(read(written(tmp_path / f"t.txt{compression}", content))) == (12, 3)


@pytest.mark.parametrize("compression", [".gz", ".xz", ".zst"])
def test_compressed_file_that_was_cut_off_is_refused(compression: str, tmp_path: Path) -> None:
    content = COMPRESS[compression](lines(range(5000)))

    message = told(tmp_path / f"t.txt{compression}", content[: len(content) // 2])

    assert message.startswith(f": is no whole {compression} file")


@pytest.mark.parametrize("compression", [".gz", ".xz", ".zst"])
def test_file_that_is_not_compressed_as_it_says_is_refused(compression: str, tmp_path: Path) -> None:
    assert f"is no whole {compression} file" in told(tmp_path / f"t.txt{compression}", lines(KEYS))


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the standard library reads .zst")
def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)

    assert "pip install 'overdrive[zstd]'" in told(tmp_path / "t.txt.zst", COMPRESS[".zst"](lines(KEYS)))


@pytest.mark.parametrize("dtype", ["u1", "u2", "<u4", ">u4", "i8", ">i2"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_any_integers_are_read(dtype: str, save: object, tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    save(path, other=np.zeros(2), keys=np.array([7, 3, 7, 100, 3, 7], dtype=dtype))  # type: ignore[operator]

    assert shape(read(path)) == REQUESTS


def test_only_array_of_an_archive_needs_no_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", requests=np.array(KEYS))

    assert shape(read(tmp_path / "t.npz")) == REQUESTS


def test_large_arrays_come_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overdrive._simulate.pieces.PIECE", 13)

    for name, content in CONTENT.items():
        assert shape(read(written(tmp_path / name, content))) == REQUESTS


def test_lines_are_strings_without_the_space_around_them(tmp_path: Path) -> None:
    content = "\ufeffalice\r\n  alice\t\r\n\r\nbob\n007\n7\nJos\u00e9".encode()

    assert shape(read(written(tmp_path / "t.log", content))) == (6, 5)


@pytest.mark.parametrize(("column", "keys"), [("key", 3), (2, 3), (1, 7), ("bytes", 6), (None, 3)])
def test_column_is_named_or_numbered(column: str | int | None, keys: int, tmp_path: Path) -> None:
    trace = read(written(tmp_path / "t.csv", table(KEYS)), column)

    # By number, the first line is data as well.
    assert len(trace) == (7 if isinstance(column, int) else 6)
    assert trace.keys == (keys + 1 if column == 2 else keys)


def test_recording_knows_its_rate_and_what_it_left_out(tmp_path: Path) -> None:
    trace = read(written(tmp_path / "t.rec", recording(KEYS, rate=0.25, observed=30)))

    assert (trace.rate, trace.observed, trace.whole) == (0.25, 30, True)
    simulation = overdrive.simulate(trace, sizes=[8], policies=["lru"])
    assert (simulation.requests, simulation.keys) == (30, 12)
    # 2 keys of 8 fit; 7.5 requests were expected in the sample, 6 are there: the others count as hits.
    assert simulation.row("lru", 8).hit_ratio == (1 + 1.5) / 7.5


def test_recording_that_was_cut_off_is_read_so_far(tmp_path: Path) -> None:
    content = recording(KEYS, observed=30)

    trace = read(written(tmp_path / "t.rec", content[:-3]))

    assert (shape(trace), trace.whole, trace.observed) == ((5, 3), False, None)


def test_size_too_small_for_a_recording_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "t.rec", recording(KEYS, rate=0.01))

    with pytest.raises(ValueError, match="size 99 is too small for a recording of 1 key in 100"):
        overdrive.simulate(path, sizes=[99])


DAMAGED = {
    "empty": ("t.txt", b"", ": has no request"),
    "blank": ("t.txt", b" \n\n", ": has no request"),
    "binary": ("t.txt", b"one\n\xff\xfe\n", ": line 2 is not UTF-8 text"),
    "one long line": ("t.txt", b"x" * 70_000, ": line 1 is longer than the limit of 65536 bytes"),
    "no column": ("t.csv", b"time,size\n1,2\n", ': line 1: which column holds the keys? None is called "key"'),
    "short line": ("t.csv", b"time,key\n1,a\n2\n", ': line 3: column 2 was asked for, the line has 1: "2"'),
    "open quote": ("t.csv", b'key\n"a\n', ": line 2: a quoted field does not end with a quote"),
    "not npz": ("t.npz", b"one\ntwo\n", ": is not in .npz format"),
    "not npy": ("t.npy", b"one\ntwo\n", ": is not in .npy format"),
    "npz cut off": ("t.npz", b"PK\x03\x04 and no more", ": is no whole .npz file"),
    "floats": ("t.npy", npy(np.zeros(3)), ": is not of integers: {'descr': '<f8'"),
    "strings": ("t.npy", npy(np.array(["a"])), ": is not of integers: {'descr': '<U1'"),
    "two dimensions": ("t.npy", npy(np.zeros((2, 2), dtype=int)), ": does not have one dimension"),
    "npy cut off": ("t.npy", npy(np.arange(9))[:-1], ": has 71 bytes, 9 integers of 8 were announced"),
    "npy too long": ("t.npy", npy(np.arange(9)) + b"x", ": has 73 bytes, 9 integers of 8 were announced"),
    "npy header cut off": ("t.npy", npy(np.arange(9))[:50], ": ends within the header of an .npy file, after 50 bytes"),
    "npy header of 4 GB": ("t.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 90, "the limit is 10000"),
    "newer recording": ("t.rec", recording(KEYS).replace(b"\x01", b"\x02", 1), ": is a recording of version 2"),
    "header of a recording": ("t.rec", recording(KEYS)[:30], ": a recording begins with 40 bytes of header, 30 are"),
    "rate of a recording": ("t.rec", recording(KEYS, rate=2.0), ": is damaged: its rate is 2"),
    "recording too long": ("t.rec", recording(KEYS, announced=2), ": is damaged: it goes on after the 2 requests"),
    "npz in gz": ("t.npz.gz", COMPRESS[".gz"](b"PK\x03\x04"), ": is compressed twice; take off .gz"),
}


@pytest.mark.parametrize(("name", "content", "expected"), DAMAGED.values(), ids=DAMAGED)
def test_malformed_file_is_named_with_the_place(name: str, content: bytes, expected: str, tmp_path: Path) -> None:
    assert expected in told(tmp_path / name, content)


def test_wrong_columns_are_refused(tmp_path: Path) -> None:
    assert 'there is no column "user", there are time, key, bytes' in told(tmp_path / "t.csv", table(KEYS), "user")
    assert "has no column 'user'" in told(tmp_path / "t.txt", lines(KEYS), "user")
    with pytest.raises(ValueError, match="column 0 is below the limit of 1"):
        overdrive.simulate(tmp_path / "t.csv", column=0)


def test_archive_without_the_array_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", one=np.arange(3), two=np.arange(3))

    with pytest.raises(TraceError, match="holds no array named keys, but one, two"):
        read(tmp_path / "t.npz")


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="nowhere.npz: No such file"):
        read(tmp_path / "nowhere.npz")
    with pytest.raises(TraceError, match="Is a directory"):
        read(tmp_path)


def test_builder_refuses_parts_of_integers() -> None:
    with pytest.raises(ValueError, match="integers of 3 bytes; 1, 2, 4 and 8 are possible"):
        TraceBuilder.integers(3)
    with pytest.raises(ValueError, match="7 bytes are no integers of 4 bytes each"):
        TraceBuilder.integers(4).feed(b"1234567")
