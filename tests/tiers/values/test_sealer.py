"""The native envelope against the reference, and against whoever changes a byte of it."""

from __future__ import annotations

import random
import resource
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from overdrive._core import Header, Opened, Sealer, xxh3_64
from tests.tiers.values import gcm, reference

NOW = 1_700_000_000_000
MAC_KEY, CIPHER_KEY = b"m" * 32, b"c" * 32
KEYS = [(7, MAC_KEY, CIPHER_KEY)]
CAP = 1 << 20


def plain(**options: object) -> Sealer:
    return Sealer(b"app", max_raw=CAP, **options)  # type: ignore[arg-type]


def signed(**options: object) -> Sealer:
    return plain(keys=KEYS, write_key=7, require_mac=True, **options)


def payload_of(opened: Opened | str) -> bytes:
    assert not isinstance(opened, str), opened
    return bytes(opened.payload)


def header_of(envelope: bytes) -> Header:
    header = Sealer.header(envelope)
    assert header is not None
    return header


@given(
    key=st.binary(max_size=40),
    payload=st.binary(max_size=300),
    serializer=st.integers(0, 255),
    schema=st.integers(0, 2**32 - 1),
    version=st.integers(0, 2**64 - 1),
    created_ms=st.integers(0, 2**63),
    soft=st.floats(0, width=32, allow_nan=False),
    cost=st.integers(0, 10_000),
    epoch=st.none() | st.integers(0, 2**64 - 1),
    tags=st.lists(st.integers(0, 2**64 - 1), max_size=5),
    flags=st.sampled_from([0, 2, 16, 32, 50]),
    mac=st.booleans(),
)
def test_the_native_envelope_is_that_of_the_reference_bit_for_bit(
    key: bytes,
    payload: bytes,
    serializer: int,
    schema: int,
    version: int,
    created_ms: int,
    soft: float,
    cost: int,
    epoch: int | None,
    tags: list[int],
    flags: int,
    mac: bool,
) -> None:
    if epoch is None:
        tags = []
    envelope = (signed if mac else plain)(compression=None).seal(
        key,
        payload,
        serializer=serializer,
        schema=schema,
        version=version,
        created_ms=created_ms,
        soft=soft,
        cost=cost,
        epoch=epoch,
        tags=tags,
        flags=flags,
    )
    fields = reference.Fields(
        payload=payload,
        flags=flags | (reference.MAC if mac else 0),
        serializer=serializer,
        key_id=7 if mac else 0,
        schema=schema,
        raw_length=len(payload),
        version=version,
        created_ms=created_ms,
        soft=soft,
        cost=cost * 10_000,
        extension=() if epoch is None else (epoch, *tags),
    )
    assert envelope == reference.write(b"app", key, fields, MAC_KEY)
    header = header_of(envelope[:56])
    assert (header.version, header.soft, header.cost, header.serializer) == (version, soft, cost, serializer)
    assert (header.epoch, header.tags) == (None, [])
    whole = header_of(envelope)
    assert (whole.epoch, whole.tags, whole.total_length) == (epoch, tags, len(envelope))


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_payloads_are_compressed_only_if_that_is_of_use(codec: str) -> None:
    sealer = plain(compression=codec)
    noise = random.Random(1).randbytes(5000)
    for payload, is_compressed in [(b"ab" * 400, False), (b"ab" * 600, True), (noise, False)]:
        envelope = sealer.seal(b"k", payload, serializer=0, created_ms=NOW)
        assert (header_of(envelope).codec != 0) == is_compressed
        assert payload_of(sealer.open(b"k", envelope, NOW)) == payload


def test_zstd_is_zstd() -> None:
    payload = b"what is said thrice is true; " * 100
    fields = reference.read(b"app", b"k", plain().seal(b"k", payload, serializer=0, created_ms=NOW))
    assert (fields.codec, fields.flags, fields.raw_length) == (1, reference.COMPRESSED, len(payload))
    assert zstandard.ZstdDecompressor().decompress(fields.payload) == payload


def test_pieces_and_buffers_are_sealed_as_the_bytes_that_they_are() -> None:
    whole = signed().seal(b"k", b"abcdef", serializer=5, created_ms=NOW)
    pieces: list[Any] = [(b"abc", b"def"), (memoryview(b"abcd"), b"", b"ef")]
    for payload in [*pieces, bytearray(b"abcdef"), memoryview(b"abcdef")]:
        assert signed().seal(b"k", payload, serializer=5, created_ms=NOW) == whole
    assert payload_of(signed().open(b"k", memoryview(whole), NOW)) == b"abcdef"
    assert payload_of(signed().open(b"k", bytearray(whole), NOW)) == b"abcdef"


def test_a_large_payload_is_a_view_of_what_was_opened() -> None:
    sealer = signed(compression=None)
    envelope = sealer.seal(b"k", bytes(100_000), serializer=0, created_ms=NOW)
    opened = sealer.open(b"k", envelope, NOW)
    assert isinstance(opened, Opened)
    assert isinstance(opened.payload, memoryview)
    assert opened.payload.obj is envelope
    assert opened.payload.readonly


@pytest.mark.parametrize("encrypt", [False, True])
@pytest.mark.parametrize("codec", ["zstd", "lz4", None])
def test_large_payloads_come_back_with_and_without_compression_and_encryption(encrypt: bool, codec: str | None) -> None:
    sealer = signed(encrypt=encrypt, compression=codec)
    payload = b"0123456789abcdef" * 10_000
    envelope = sealer.seal(b"k", payload, serializer=0, created_ms=NOW)
    assert payload_of(sealer.open(b"k", envelope, NOW)) == payload
    assert (payload[:64] in envelope) == (codec is None and not encrypt)


@pytest.mark.parametrize("options", [{}, {"encrypt": True}, {"compression": None}])
def test_no_change_to_an_envelope_goes_unnoticed(options: dict[str, object]) -> None:
    payload = b"what is said thrice is true; " * 60
    for sealer in (signed(**options), plain(compression=options.get("compression", "zstd"))):
        envelope = sealer.seal(b"k", payload, serializer=0, created_ms=NOW, epoch=1, tags=[2])
        for seed in range(200):
            chance = random.Random(seed)
            bit = chance.randrange(8 * len(envelope))
            flipped = bytearray(envelope)
            flipped[bit // 8] ^= 1 << bit % 8
            assert isinstance(sealer.open(b"k", bytes(flipped), NOW), str), bit
            cut = envelope[: chance.randrange(len(envelope))]
            assert isinstance(sealer.open(b"k", cut, NOW), str)
            start = chance.randrange(len(envelope))
            zeroed = envelope[:start] + bytes(len(envelope[start : start + 16])) + envelope[start + 16 :]
            if zeroed != envelope:
                assert isinstance(sealer.open(b"k", zeroed, NOW), str)


@pytest.mark.parametrize("make", [plain, signed])
def test_values_that_changed_places_are_refused(make: Callable[[], Sealer]) -> None:
    sealer = make()
    keys = [b"%d" % seed for seed in range(200)]
    envelopes = {key: sealer.seal(key, key, serializer=0, created_ms=NOW) for key in keys}
    for key, envelope in envelopes.items():
        assert payload_of(sealer.open(key, envelope, NOW)) == key
        assert sealer.open(b"%d" % (int(key) + 1), envelope, NOW) in {"mac", "checksum"}


def test_forged_macs_are_refused() -> None:
    sealer = signed()
    envelope = sealer.seal(b"k", b"value", serializer=0, created_ms=NOW)
    fields = reference.read(b"app", b"k", envelope, MAC_KEY)
    for seed in range(200):
        chance = random.Random(seed)
        guessed = reference.write(b"app", b"k", fields._replace(payload=b"mine!"), chance.randbytes(32))
        assert sealer.open(b"k", guessed, NOW) == "mac"
        assert sealer.open(b"k", envelope[:-16] + chance.randbytes(16), NOW) == "mac"
    assert sealer.open(b"k", reference.write(b"app", b"k", fields._replace(flags=0)), NOW) == "mac"
    other = reference.write(b"app", b"k", fields._replace(key_id=8), MAC_KEY)
    assert sealer.open(b"k", other, NOW) == "key"


def test_what_ran_out_cannot_be_replayed() -> None:
    sealer = signed()
    envelope = sealer.seal(b"k", b"value", serializer=0, created_ms=NOW, hard=60)
    assert payload_of(sealer.open(b"k", envelope, NOW + 59_999)) == b"value"
    for late in range(200):
        assert sealer.open(b"k", envelope, NOW + 60_000 + late * late) == "expired"
    longer = bytearray(envelope)
    longer[36:40] = b"\x00\x00\x80\x7f"  # inf
    assert sealer.open(b"k", bytes(longer), NOW) == "mac"


@pytest.mark.parametrize("version", [0, 2, 3, 255])
def test_another_version_of_the_format_is_a_miss(version: int) -> None:
    envelope = reference.write(b"app", b"k", reference.Fields(b"value", raw_length=5, format=version))
    assert plain().open(b"k", envelope, NOW) == "format"
    assert Sealer.header(envelope) is None


def test_unknown_flags_and_codecs_are_misses() -> None:
    fields = reference.Fields(b"value", raw_length=5)
    for flags in (64, 128):
        assert plain().open(b"k", reference.write(b"app", b"k", fields._replace(flags=flags)), NOW) == "format"
    for flags, codec in [(0, 1), (1, 0), (1, 3), (1, 255)]:
        forged = reference.write(b"app", b"k", fields._replace(flags=flags, codec=codec))
        assert plain().open(b"k", forged, NOW) == "codec"


@pytest.mark.parametrize("foreign", [b"", b"\xf5", b"{}", b"\x80\x05N.", bytes(100), b"\xf5U" + bytes(90)])
def test_foreign_bytes_are_a_miss(foreign: bytes) -> None:
    assert plain().open(b"k", foreign, NOW) == "magic"
    assert Sealer.header(foreign) is None


def bomb(codec: str, size: int) -> reference.Fields:
    """So many zeros, compressed by our own means."""
    sealer = Sealer(b"app", max_raw=(1 << 32) - 1, compression=codec)
    return reference.read(b"app", b"k", sealer.seal(b"k", bytes(size), serializer=0, created_ms=NOW))


def gigabyte_of_zstd() -> bytes:
    """A frame of 1 GiB of zeros, put together by hand: a repeated byte for each 128 KiB."""
    block = 128 << 10
    count = (1 << 30) // block
    blocks = [(block << 3 | 2 | (index == count - 1)).to_bytes(3, "little") + b"\0" for index in range(count)]
    head = b"\x28\xb5\x2f\xfd" + b"\xe0" + (1 << 30).to_bytes(8, "little")
    return head + b"".join(blocks)


def gigabyte_of_lz4() -> bytes:
    """A block of 1 GiB of zeros: a zero, repeated as often."""
    return b"\x1f\x00\x01\x00" + b"\xff" * ((1 << 30) // 255) + b"\x00" + b"\x50\0\0\0\0\0"


@pytest.mark.parametrize(("codec", "packed"), [(1, gigabyte_of_zstd()), (2, gigabyte_of_lz4())], ids=["zstd", "lz4"])
def test_a_gigabyte_from_a_bomb_costs_nothing(codec: int, packed: bytes) -> None:
    fields = reference.Fields(packed, flags=reference.COMPRESSED, codec=codec)
    honest = reference.write(b"app", b"k", fields._replace(raw_length=1 << 30))
    liars = [reference.write(b"app", b"k", fields._replace(raw_length=size)) for size in (0, 1, 1000, CAP)]
    sealer = plain()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sealer.open(b"k", honest, NOW) == "bomb"
    for liar in liars:
        assert sealer.open(b"k", liar, NOW) == "bomb"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 16 << 20


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_what_is_larger_than_it_says_is_refused_at_200_sizes(codec: str) -> None:
    fields = bomb(codec, 100_000)
    for seed in range(200):
        size = random.Random(seed).randrange(100_000)
        forged = reference.write(b"app", b"k", fields._replace(raw_length=size))
        assert plain().open(b"k", forged, NOW) == "bomb"


@pytest.mark.parametrize("codec", [1, 2])
def test_random_bytes_as_compressed_ones_are_refused(codec: int) -> None:
    for seed in range(200):
        chance = random.Random(seed)
        packed, size = chance.randbytes(chance.randrange(200)), chance.randrange(CAP)
        fields = reference.Fields(packed, flags=reference.COMPRESSED, codec=codec, raw_length=size)
        opened = plain().open(b"k", reference.write(b"app", b"k", fields), NOW)
        assert isinstance(opened, str) or len(opened.payload) == fields.raw_length


def test_threads_share_a_sealer() -> None:
    sealer = signed()
    failures: list[object] = []

    def work(seed: int) -> None:
        for size in (10, 2000, 100_000):
            payload = bytes([seed]) * size
            for _ in range(20):
                opened = sealer.open(b"k", sealer.seal(b"k", payload, serializer=0, created_ms=NOW), NOW)
                if isinstance(opened, str) or bytes(opened.payload) != payload:
                    failures.append(opened)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keys": [(0, b"m", None)]}, "from 1 to 255"),
        ({"keys": [(1, b"m", b"short")]}, "must have 32 bytes, got 5"),
        ({"write_key": 3}, "write_key=3 is the id of none"),
        ({"encrypt": True}, "encrypt=True needs"),
        ({"require_mac": True}, "require_mac=True needs"),
        ({"compression": "gzip"}, "must be 'zstd', 'lz4' or None"),
        ({"keep_below": 2.0}, "keep_below must be from 0 to 1"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plain(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"payload": bytes(CAP + 1)}, "exceeds max_raw=1048576"),
        ({"tags": [1], "epoch": None}, "tags need an epoch"),
        ({"tags": [1] * 255}, "at most 254 tags"),
        ({"flags": 4}, "flags must be of 2, 16 and 32"),
        ({"hard": float("nan")}, "numbers of seconds >= 0"),
        ({"soft": -1.0}, "numbers of seconds >= 0"),
    ],
)
def test_what_cannot_be_sealed_is_told(options: dict[str, object], message: str) -> None:
    arguments = {"payload": b"", "serializer": 0, "created_ms": NOW, "epoch": 1} | options
    with pytest.raises(ValueError, match=message):
        plain().seal(b"k", **arguments)  # type: ignore[arg-type]


def test_the_hash_is_xxh3() -> None:
    assert xxh3_64(b"") == 0x2D06800538D394C2


def test_the_reference_of_the_encryption_is_right() -> None:
    # Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)".
    text = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    )
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    tag = bytes.fromhex("76fc6ece0f4e1768cddf8853bb2d551b")
    plain_text = gcm.decrypt(key, bytes.fromhex("cafebabefacedbaddecaf888"), associated, text, tag)
    assert plain_text is not None
    assert plain_text.hex().startswith("d9313225f88406e5a55909c5aff5269a")


@pytest.mark.parametrize(
    "payload", [b"", b"value", b"a text that repeats itself; " * 60], ids=["none", "short", "packed"]
)
def test_an_encrypted_payload_is_as_the_documentation_says(payload: bytes) -> None:
    envelope = signed(encrypt=True).seal(b"key", payload, serializer=0, created_ms=NOW, epoch=3, tags=[4])
    fields = reference.read(b"app", b"key", envelope, MAC_KEY)
    assert fields.raw_length == len(payload)
    nonce, text, tag = fields.payload[:12], fields.payload[12:-16], fields.payload[-16:]
    associated = reference.prefixed(b"app") + reference.prefixed(b"key") + envelope[:48] + envelope[56:72]
    found = gcm.decrypt(CIPHER_KEY, nonce, associated, text, tag)
    assert found is not None
    assert (zstandard.ZstdDecompressor().decompress(found) if fields.codec else found) == payload
    assert gcm.decrypt(CIPHER_KEY, nonce, associated + b"!", text, tag) is None


@pytest.mark.parametrize("where", ["nonce", "text", "tag", "header"])
def test_the_encryption_is_checked_by_itself_too(where: str) -> None:
    # By somebody who has the key of the MACs, and not that of the encryption.
    sealer = signed(encrypt=True)
    fields = reference.read(b"app", b"k", sealer.seal(b"k", b"value", serializer=0, created_ms=NOW), MAC_KEY)
    payload = bytearray(fields.payload)
    if where == "header":
        fields = fields._replace(version=fields.version + 1)
    else:
        payload[{"nonce": 0, "text": 12, "tag": -1}[where]] ^= 1
    forged = reference.write(b"app", b"k", fields._replace(payload=bytes(payload)), MAC_KEY)
    assert sealer.open(b"k", forged, NOW) == "mac"
    without = plain(keys=[(7, MAC_KEY, None)], write_key=7, require_mac=True)
    assert without.open(b"k", forged, NOW) == "key"
