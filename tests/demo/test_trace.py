"""Traces: the packaged one, .npz files and text files, whole and damaged."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from overdrive.demo import trace
from overdrive.demo.trace import TraceError
from tests.demo.archives import NUMBERS, npy, npz

DENSE = [0, 0, 1, 2, 0]  # NUMBERS, in the order of first request


def write(folder: Path, content: bytes, name: str = "own.npz") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_packaged_trace_has_the_published_numbers_of_requests_and_products() -> None:
    web12 = trace.packaged()

    assert (web12.name, len(web12.requests), web12.products) == ("web12", 95_607, 13_756)
    assert set(web12.requests) == set(range(13_756))


def test_packaged_trace_names_author_and_licence() -> None:
    attribution = (resources.files("overdrive.demo") / "data" / "ATTRIBUTION.md").read_text(encoding="utf-8")

    for text in (trace.packaged().credit, attribution):
        assert "headissue GmbH, Jens Wilke" in text
        assert "CC BY 4.0" in text


def test_products_are_numbered_in_the_order_of_their_first_request(tmp_path: Path) -> None:
    own = trace.read(write(tmp_path, npz(npy())))

    assert (own.name, own.requests, own.products) == ("own", DENSE, 3)


def test_first_requests_keep_their_numbers(tmp_path: Path) -> None:
    own = trace.read(write(tmp_path, npz(npy()))).first(3)

    assert (own.requests, own.products) == ([0, 0, 1], 2)


@pytest.mark.parametrize(
    ("dtype", "code", "swap"),
    [("<u4", "I", False), (">u4", "I", True), ("<u2", "H", False), ("<i8", "q", False), (">i8", "q", True)],
)
def test_integers_of_any_width_and_byte_order_are_read(tmp_path: Path, dtype: str, code: str, swap: bool) -> None:
    own = trace.read(write(tmp_path, npz(npy(dtype=dtype, code=code, swap=swap))))

    assert own.requests == DENSE


def test_single_bytes_are_read(tmp_path: Path) -> None:
    assert trace.read(write(tmp_path, npz(npy([9, 8, 9], dtype="|u1", code="B")))).requests == [0, 1, 0]


@pytest.mark.parametrize("version", [2, 3])
def test_header_with_a_long_length_field_is_read(tmp_path: Path, version: int) -> None:
    assert trace.read(write(tmp_path, npz(npy(version=version)))).requests == DENSE


def test_text_has_one_key_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff/a\r\n/b\n\n/a \n/\u00fc".encode(), "log.txt")

    assert trace.read(path).requests == [0, 1, 0, 2]


WHOLE = npz(npy())
HEADER_END = npy().index(b"}") + 2
MALFORMED = {
    "not a zip": (b"what is this?", "not a readable .npz"),
    "cut": (WHOLE[:-30], "not a readable .npz"),
    "flipped bits": (WHOLE.replace(WHOLE[50:54], b"\x00\xff\x00\xff", 1), "not a readable .npz"),
    "other array": (npz(npy(), name="values.npy"), "no array named keys"),
    "not an array": (npz(b"PICKLED"), "not in .npy format"),
    "empty member": (npz(b""), "not in .npy format"),
    "cut header": (npz(npy()[:20]), "header of"),
    "huge header": (npz(npy()[:8] + b"\xff\xff" + npy()[10:] + bytes(70_000)), "header of 65535 bytes"),
    "floats": (npz(npy(dtype="<f4")), "not of integers"),
    "objects": (npz(npy(dtype="|O")), "not of integers"),
    "two dimensions": (npz(npy(shape="(1, 5)")), "one dimension"),
    "no dimension": (npz(npy(shape="()")), "one dimension"),
    "too few numbers": (npz(npy(shape="(6,)")), "20 bytes, 6 x 4 were announced"),
    "too many numbers": (npz(npy(shape="(4,)")), "20 bytes, 4 x 4 were announced"),
    "absurd length": (npz(npy(shape="(999999999999999999,)")), "were announced"),
    "no request": (npz(npy([])), "has no request"),
}


@pytest.mark.parametrize(("content", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_archive_is_refused_with_its_name_and_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = write(tmp_path, content)

    with pytest.raises(TraceError) as refused:
        trace.read(path)

    assert str(refused.value).startswith(f"{path}: ")
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"a\nb\n\xff\n", "line 3 is not UTF-8"), (b"\n \n", "has no request")]
)
def test_malformed_text_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(TraceError, match=reason):
        trace.read(write(tmp_path, content, "log.txt"))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        trace.read(tmp_path / "nowhere.npz")


def test_equal_keys_are_one_product(tmp_path: Path) -> None:
    assert trace.read(write(tmp_path, npz(npy()))).products == len(set(NUMBERS))
