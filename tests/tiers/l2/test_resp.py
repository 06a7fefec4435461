"""The parser for where hiredis is not installed reads what hiredis reads, however it is cut into pieces."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overdrive._tiers.l2.resp import NOTHING, ProtocolError, Push, PythonReader, Reader, ReplyError, _pack, _Push, pack


def read_all(reader: Reader, pieces: list[bytes]) -> list[Any]:
    replies = []
    for piece in pieces:
        reader.feed(piece)
        while (reply := reader.gets()) is not NOTHING:
            replies.append(reply)
    return replies


def hiredis_reader() -> Reader:
    return hiredis.Reader(protocolError=ProtocolError, replyError=ReplyError, notEnoughData=NOTHING)


def plain(reply: Any) -> Any:
    """Return a reply in a form that compares: errors as their texts, messages as marked lists."""
    if isinstance(reply, ReplyError):
        return ("error", str(reply))
    if isinstance(reply, list):
        return ("push" if isinstance(reply, (Push, _Push)) else "list", [plain(one) for one in reply])
    return {key: plain(value) for key, value in reply.items()} if isinstance(reply, dict) else reply


line = st.text("abc XYZ:-09", max_size=12).map(str.encode)
scalars = st.one_of(
    line.map(lambda text: b"+%b\r\n" % text),
    line.map(lambda text: b"-ERR %b\r\n" % text),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: b":%d\r\n" % number),
    st.binary(max_size=40).map(lambda content: b"$%d\r\n%b\r\n" % (len(content), content)),
    st.sampled_from([b"$-1\r\n", b"*-1\r\n", b"_\r\n", b"#t\r\n", b"#f\r\n", b",1.5\r\n", b"=7\r\ntxt:abc\r\n"]),
)
replies = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4).map(lambda parts: b"*%d\r\n%b" % (len(parts), b"".join(parts))),
    max_leaves=12,
)
maps = st.lists(st.tuples(line.map(lambda text: b"+%b\r\n" % text), replies), max_size=3, unique_by=lambda p: p[0])


@given(st.lists(replies, min_size=1, max_size=5), st.lists(st.integers(0, 400), max_size=8), maps)
def test_it_reads_what_hiredis_reads(parts: list[bytes], cuts: list[int], pairs: list[tuple[bytes, bytes]]) -> None:
    stream = b"".join(parts)
    stream += b"%%%d\r\n" % len(pairs) + b"".join(key + value for key, value in pairs)
    stream += b">2\r\n+message\r\n:1\r\n"
    ends = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(ends)]
    expected = [plain(reply) for reply in read_all(hiredis_reader(), [stream])]
    assert [plain(reply) for reply in read_all(PythonReader(), pieces)] == expected
    assert len(expected) == len(parts) + 2


@pytest.mark.parametrize("reader", [PythonReader(), hiredis_reader()], ids=["python", "hiredis"])
def test_what_is_no_reply_is_an_error(reader: Reader) -> None:
    with pytest.raises(ProtocolError):
        read_all(reader, [b"HTTP/1.1 400 Bad Request\r\n"])


@pytest.mark.parametrize("content", [b":x\r\n", b"$x\r\n", b"?1\r\n", b"\r\n"])
def test_numbers_that_are_none(content: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_all(PythonReader(), [content])


@given(st.lists(st.binary(max_size=20) | st.text(max_size=10) | st.integers(), min_size=1, max_size=5))
def test_commands_are_packed_as_hiredis_packs_them(command: list[bytes | str | int]) -> None:
    assert _pack(tuple(command)) == pack(tuple(command))


def test_the_code_of_an_error() -> None:
    assert ReplyError("MOVED 1 h:2").code == "MOVED"
    assert ReplyError("").code == ""
