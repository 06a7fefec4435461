"""What each step does in Redis and in Valkey, seen through a bare connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from overdrive import ConfigError
from overdrive._tiers.l2.connections import Link, open_link
from overdrive._tiers.l2.resp import ReplyError, pack
from overdrive._tiers.l2.scripts import Fill, Lease, Notice, Steps, read_notice
from overdrive._tiers.l2.step import Step
from overdrive._tiers.l2.url import parse_url
from tests.tiers.servers import Server

Run = Callable[[Step[Any]], Any]


def run(link: Link, step: Step[Any]) -> Any:
    command = step.command
    if step.script:
        command = ("EVAL", step.script.source, len(step.keys), *step.keys, *step.args)
    reply = link.exchange(pack(command), time.monotonic() + 5)
    if isinstance(reply, ReplyError):
        raise reply
    return step.parse(reply)


@pytest.fixture
def link(server: Server) -> Iterator[Link]:
    target = parse_url(server.url)
    opened = open_link(target, target.addresses[0], deadline=time.monotonic() + 5)
    yield opened
    opened.close()


@pytest.fixture
def do(link: Link) -> Run:
    return lambda step: run(link, step)


def notices(link: Link, steps: Steps, after: bytes = b"-") -> list[Notice | None]:
    entries = link.ask("XRANGE", steps.stream, after, "+", deadline=time.monotonic() + 5)
    return [read_notice(fields) for _, fields in entries]


STEPS = Steps("app", origin=b"me")


def test_every_key_is_in_the_slot_of_the_namespace() -> None:
    for step in (STEPS.write(b"k", b"v", 1), STEPS.invalidate([b"k"]), STEPS.clear(), STEPS.lease(b"k", b"t", 1)):
        assert all(key.startswith(b"{app}:") for key in step.keys)


@pytest.mark.parametrize("namespace", ["", "a b", "a{b}", "ä", "a:b", "x" * 65, "a\n"])
def test_namespaces_that_keys_could_be_confused_by_are_refused(namespace: str) -> None:
    with pytest.raises(ConfigError, match="namespace"):
        Steps(namespace)


def test_reads_of_nothing(do: Run) -> None:
    assert do(STEPS.get(b"k")) is None
    assert do(STEPS.get_many([b"k", b"l"])) == [None, None]
    assert do(STEPS.header(b"k")) == b""
    assert do(STEPS.tag_epochs([b"t"])) == [0, 0]
    assert do(STEPS.position()) == b"0-0"
    assert do(STEPS.ping()) is True


def test_a_value_that_is_written_is_read_and_told_of(do: Run, link: Link, server: Server) -> None:
    position = do(STEPS.write(b"k", b"v" * 100, 60_000))
    assert do(STEPS.get(b"k")) == b"v" * 100
    assert do(STEPS.header(b"k")) == b"v" * 56
    assert do(STEPS.header(b"k", 2)) == b"v" * 72
    assert do(STEPS.position()) == position
    assert notices(link, STEPS) == [Notice("k", b"me", 0, (b"k",))]
    assert 59_000 < server.command("PTTL", "{app}:v:k") <= 60_000


def test_ttl_0_never_expires(do: Run, server: Server) -> None:
    do(STEPS.write(b"k", b"v", 0))
    do(STEPS.lease(b"l", b"t", 1000))
    do(STEPS.fill(b"l", b"t", b"v", 0))
    assert server.command("PTTL", "{app}:v:k") == server.command("PTTL", "{app}:v:l") == -1


def test_one_lease_a_key(do: Run) -> None:
    first = do(STEPS.lease(b"k", b"t1", 10_000))
    assert first.state == "granted"
    assert first.clock > 1_700_000_000_000
    assert do(STEPS.lease(b"k", b"t2", 10_000)) == Lease("held")
    assert do(STEPS.lease(b"k", b"t1", 10_000)) == first, "asked again after a reply that was lost"
    assert do(STEPS.fill(b"k", b"t2", b"wrong", 1000)) is False
    assert do(STEPS.fill(b"k", b"t1", b"v" * 56, 1000)) is True
    assert do(STEPS.lease(b"k", b"t3", 10_000)) == Lease("value", b"v" * 56)
    assert do(STEPS.fill(b"k", b"t1", b"late", 1000)) is False


def test_what_is_too_short_for_an_envelope_is_no_value(do: Run) -> None:
    do(STEPS.write(b"k", b"v" * 55, 10_000))
    assert do(STEPS.lease(b"k", b"t", 10_000)).state == "granted"


def test_each_of_many_keys_has_a_version_to_be_replaced(do: Run) -> None:
    envelopes = [bytes(16) + b"version%d" % number + bytes(32) for number in range(2)]
    for key, envelope in zip([b"a", b"b"], envelopes, strict=True):
        do(STEPS.write(key, envelope, 10_000))
    leases = do(STEPS.lease_many([b"a", b"b"], b"t", 10_000, [b"version0", b"another0"]))
    assert [lease.state for lease in leases] == ["granted", "value"]


def test_a_fill_is_not_told_of(do: Run, link: Link) -> None:
    do(STEPS.lease(b"k", b"t", 10_000))
    do(STEPS.fill(b"k", b"t", b"v", 1000))
    assert notices(link, STEPS) == []


@pytest.mark.parametrize("change", [STEPS.invalidate([b"k"]), STEPS.write(b"k", b"new", 1000)], ids=["delete", "write"])
def test_a_load_that_began_before_a_change_stores_nothing(do: Run, change: Step[Any]) -> None:
    do(STEPS.lease(b"k", b"t", 10_000))
    do(change)
    assert do(STEPS.fill(b"k", b"t", b"old", 1000)) is False
    assert do(STEPS.get(b"k")) in (None, b"new")


def test_a_value_is_replaced_by_one_while_it_is_the_one_that_is_out_of_date(do: Run) -> None:
    def envelope(version: bytes) -> bytes:
        return bytes(16) + version + bytes(32)

    old, new = b"version1", b"version2"
    do(STEPS.write(b"k", envelope(old), 10_000))
    assert do(STEPS.lease(b"k", b"t1", 10_000, old)).granted
    assert do(STEPS.lease(b"k", b"t2", 10_000, old)).state == "held"
    assert do(STEPS.lease(b"k", b"t3", 10_000)) == Lease("value", envelope(old))
    assert do(STEPS.fill(b"k", b"t1", envelope(new), 10_000)) is True
    assert do(STEPS.lease(b"k", b"t2", 10_000, old)) == Lease("value", envelope(new))


def test_a_lease_is_extended_and_released_by_its_holder_only(do: Run, server: Server) -> None:
    do(STEPS.lease(b"k", b"t", 1000))
    assert do(STEPS.extend(b"k", b"other", 60_000)) is False
    assert do(STEPS.extend(b"k", b"t", 60_000)) is True
    assert server.command("PTTL", "{app}:l:k") > 50_000
    assert do(STEPS.release(b"k", b"other")) is False
    assert do(STEPS.release(b"k", b"t")) is True
    assert do(STEPS.release(b"k", b"t")) is False
    assert do(STEPS.lease(b"k", b"t2", 1000)).state == "granted"


def test_many_at_once(do: Run) -> None:
    do(STEPS.write(b"b", b"B" * 56, 10_000))
    do(STEPS.lease(b"c", b"other", 10_000))
    leases = do(STEPS.lease_many([b"a", b"b", b"c"], b"t", 10_000))
    assert [lease.state for lease in leases] == ["granted", "value", "held"]
    fills = [Fill(b"a", b"t", b"A", 10_000), Fill(b"c", b"t", b"C", 10_000)]
    assert do(STEPS.fill_many(fills)) == [True, False]
    assert do(STEPS.get_many([b"a", b"b", b"c"])) == [b"A", b"B" * 56, None]


def test_an_invalidation_deletes_all_and_tells_in_notices_of_500(do: Run, link: Link) -> None:
    keys = [b"%d" % number for number in range(1200)]
    for key in keys[:3]:
        do(STEPS.write(key, b"v", 10_000))
    before = do(STEPS.position())
    position = do(STEPS.invalidate(keys))
    assert do(STEPS.get_many(keys[:3])) == [None] * 3
    told = [notice for notice in notices(link, STEPS, b"(" + before) if notice]
    assert [len(notice.names) for notice in told] == [500, 500, 200]
    assert [name for notice in told for name in notice.names] == keys
    assert do(STEPS.position()) == position


def test_the_clock_of_tags_only_goes_up(do: Run, link: Link, server: Server) -> None:
    granted = do(STEPS.lease(b"k", b"t", 10_000))
    first = do(STEPS.invalidate_tags([b"red", b"blue"]))
    second = do(STEPS.invalidate_tags([b"red"]))
    cleared = do(STEPS.clear())
    assert granted.clock < first.clock < second.clock < cleared.clock
    assert do(STEPS.tag_epochs([b"red", b"blue", b"green"])) == [cleared.clock, second.clock, first.clock, 0]
    assert do(STEPS.lease(b"l", b"t", 10_000)).clock == cleared.clock
    assert notices(link, STEPS) == [
        Notice("t", b"me", first.clock, (b"red", b"blue")),
        Notice("t", b"me", second.clock, (b"red",)),
        Notice("c", b"me", cleared.clock, (b"*",)),
    ]
    server.command("FLUSHALL")
    assert do(STEPS.lease(b"k", b"t", 10_000)).clock >= cleared.clock


def test_times_of_tags_can_expire(do: Run, server: Server) -> None:
    do(Steps("app", tag_ttl_ms=60_000).invalidate_tags([b"red"]))
    assert 0 < server.command("PTTL", "{app}:t:red") <= 60_000


def test_a_probe_is_told_of(do: Run, link: Link) -> None:
    position = do(STEPS.probe(b"p1"))
    assert notices(link, STEPS) == [Notice("p", b"me", 0, (b"p1",))]
    assert do(STEPS.position()) == position


def test_the_stream_keeps_about_its_length(do: Run, server: Server) -> None:
    steps = Steps("app", stream_length=100)
    for number in range(600):
        do(steps.invalidate([b"%d" % number]))
    assert 100 <= server.command("XLEN", "{app}:inv") <= 300


def test_a_limit_on_entries_is_kept_by_writes_and_fills(do: Run, server: Server) -> None:
    steps = Steps("app", limit=50)
    for number in range(100):
        key = b"%d" % number
        if number % 2:
            do(steps.write(key, b"v", 60_000))
        else:
            do(steps.lease(key, b"t", 10_000))
            do(steps.fill(key, b"t", b"v", 60_000))
    present = [value for value in do(steps.get_many([b"%d" % number for number in range(100)])) if value]
    assert len(present) == 50 == server.command("ZCARD", "{app}:z")
    assert do(steps.get(b"99")) == b"v"
    do(steps.invalidate([b"99"]))
    assert server.command("ZCARD", "{app}:z") == 49


def test_entries_that_expired_make_room_first(do: Run, server: Server) -> None:
    steps = Steps("app", limit=10)
    for number in range(10):
        do(steps.write(b"short%d" % number, b"v", 1))
    while server.command("EXISTS", *[f"{{app}}:v:short{number}" for number in range(10)]):
        pass
    for number in range(3):
        do(steps.write(b"long%d" % number, b"v", 60_000))
    assert do(steps.get_many([b"long0", b"long1", b"long2"])) == [b"v"] * 3
    assert server.command("ZCARD", "{app}:z") <= 10


def test_without_memory_a_write_leaves_no_older_value_and_tells(do: Run, link: Link, server: Server) -> None:
    do(STEPS.write(b"k", b"old", 60_000))
    server.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(ReplyError, match="OOM"):
        do(STEPS.write(b"k", b"new", 60_000))
    assert do(STEPS.get(b"k")) is None
    assert len(notices(link, STEPS)) == 2


def test_without_memory_everything_is_still_invalidated(do: Run, link: Link, server: Server) -> None:
    do(STEPS.write(b"k", b"old", 60_000))
    server.command("CONFIG", "SET", "maxmemory", "1")
    do(STEPS.invalidate([b"k"]))
    do(STEPS.invalidate_tags([b"t"]))
    do(STEPS.clear())
    assert [notice.kind for notice in notices(link, STEPS) if notice] == ["k", "k", "t", "c"]


def test_without_memory_a_load_stores_nothing_and_gives_its_lease_back(do: Run, server: Server) -> None:
    do(STEPS.lease(b"k", b"t", 60_000))
    server.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(ReplyError, match="OOM"):
        do(STEPS.fill(b"k", b"t", b"v", 60_000))
    server.command("CONFIG", "SET", "maxmemory", "0")
    assert do(STEPS.lease(b"k", b"t2", 60_000)).state == "granted"


@pytest.mark.parametrize(
    "fields",
    [[], [b"kind", b"k"], [b"kind", b"k", b"origin", b"o", b"clock", b"x"], [b"a", b"1", b"b", b"2", b"c", b"3"]],
)
def test_entries_of_others_are_no_notices(fields: list[bytes]) -> None:
    assert read_notice(fields) is None
