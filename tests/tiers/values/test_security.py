"""Nothing is made of bytes that are not known to be ours."""

from __future__ import annotations

import logging
import os
import pickle
import random
import stat
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import overdrive
from overdrive._tiers.values.codec import Codec, Decoded, Refusal
from overdrive._tiers.values.secrets import host_secret, keys_of
from overdrive._tiers.values.serializers import PICKLE, Serializer
from overdrive.testing import FakeClock
from tests.tiers.values import reference
from tests.tiers.values.kit import NOW, SECRET, put, through

RAN: list[str] = []


def leave_a_mark() -> None:
    RAN.append("ran")


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return leave_a_mark, ()


def forged(payload: bytes, *, flags: int = 0, serializer: int = PICKLE, mac_key: bytes | None = None) -> bytes:
    fields = reference.Fields(payload, flags=flags, serializer=serializer, raw_length=len(payload), created_ms=NOW)
    return reference.write(b"app", b"k", fields, mac_key)


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    RAN.clear()


def test_no_pickle_is_loaded_that_is_not_signed() -> None:
    evil = pickle.dumps(Bomb())
    strict = Codec("app", serializer="pickle", secret=SECRET)
    [key] = keys_of(SECRET)
    [other] = keys_of("somebody else's secret")
    attempts = [
        forged(evil),
        forged(evil, flags=reference.MAC, mac_key=other.mac),
        forged(evil, flags=reference.MAC | reference.BUFFERS, mac_key=other.mac),
        evil,
    ]
    signed = put(strict, 1)
    for seed in range(200):
        damaged = bytearray(signed)
        damaged[random.Random(seed).randrange(56, len(damaged))] ^= 255
        attempts.append(bytes(damaged))
    for blob in attempts:
        assert isinstance(strict.decode(b"k", blob, NOW), Refusal)
        assert isinstance(Codec("app").decode(b"k", blob, NOW), Refusal)
    assert RAN == []
    # It would have run if it had been loaded.
    fields = reference.Fields(evil, reference.MAC, PICKLE, key_id=key.id, raw_length=len(evil), created_ms=NOW)
    assert isinstance(strict.decode(b"k", reference.write(b"app", b"k", fields, key.mac), NOW), Decoded)
    assert RAN == ["ran"]


def test_pickles_that_are_signed_are_not_loaded_by_who_did_not_ask_for_them() -> None:
    blob = put(Codec("app", serializer="pickle", secret=SECRET), 1)
    assert Codec("app", secret=SECRET).decode(b"k", blob, NOW) == ("serializer",)


def test_no_loads_of_the_users_is_called_before_the_mac() -> None:
    called: list[bytes] = []
    codec = Codec("app", secret=SECRET, serializer=Serializer(128, "mine", bytes, called.append))
    assert codec.decode(b"k", forged(b"x", serializer=128), NOW) == ("mac",)
    assert called == []


def test_unsigned_pickles_have_to_be_asked_for_twice(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(overdrive.ConfigError, match="needs secret="):
        Codec("app", serializer="pickle")
    with pytest.raises(overdrive.ConfigError, match="needs secret="):
        Codec("app").variant(serializer="pickle")
    with caplog.at_level(logging.WARNING):
        codec = Codec("app", serializer="pickle", allow_unsigned_pickle=True)
    assert "loads pickles that are not signed" in caplog.text
    assert through(codec, {1, 2}) == {1, 2}


def test_secrets_are_replaced_while_both_are_in_use() -> None:
    old, new = "the old secret, 16 bytes", b"the new secret, 16 bytes"
    before, between, after = Codec("app", secret=old), Codec("app", secret=[new, old]), Codec("app", secret=[new])
    by_before, by_between = put(before, 1), put(between, 2)
    assert between.decode(b"k", by_before, NOW)[0] == 1
    assert after.decode(b"k", by_between, NOW)[0] == 2
    assert before.decode(b"k", by_between, NOW) == ("key",)
    assert after.decode(b"k", by_before, NOW) == ("key",)


def test_secrets_whose_keys_have_the_same_id_work_together() -> None:
    by_id: dict[int, str] = {}
    for number in range(1000):
        secret = f"a secret of enough bytes {number}"
        [key] = keys_of(secret)
        if key.id in by_id:
            break
        by_id[key.id] = secret
    codec = Codec("app", secret=[secret, by_id[key.id]], encrypt=True)
    assert through(codec, "mine") == "mine"
    assert codec.decode(b"k", put(Codec("app", secret=by_id[key.id], encrypt=True), "old"), NOW)[0] == "old"


def test_each_use_of_a_secret_has_its_own_key() -> None:
    [key], [other] = keys_of(SECRET), keys_of(SECRET + "!")
    assert len({key.mac, key.cipher, other.mac, other.cipher, SECRET.encode()}) == 5
    assert keys_of(SECRET.encode()) == (key,)
    assert "secret" not in repr(key)
    assert key.mac.hex() not in repr(key)


@pytest.mark.parametrize("secret", ["short", b"15 bytes of key", [], ["a secret of enough bytes", "short"], 5, [5]])
def test_secrets_that_are_none_are_refused_without_being_shown(secret: Any) -> None:
    with pytest.raises((overdrive.ConfigError, TypeError)) as caught:
        Codec("app", secret=secret)
    assert "short" not in str(caught.value)


def test_encryption_needs_a_secret_and_hides_values() -> None:
    with pytest.raises(overdrive.ConfigError, match="encrypt=True needs secret="):
        Codec("app", encrypt=True)
    codec = Codec("app", secret=SECRET, encrypt=True)
    blob = put(codec, "a value that nobody shall see")
    assert b"nobody" not in blob
    assert codec.decode(b"k", blob, NOW)[0] == "a value that nobody shall see"
    # The encryption can be switched on and off while values are there.
    assert Codec("app", secret=SECRET).decode(b"k", blob, NOW)[0] == "a value that nobody shall see"
    assert codec.decode(b"k", put(Codec("app", secret=SECRET), 1), NOW)[0] == 1


def test_warnings_are_rare_and_say_neither_keys_nor_values(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    codec = Codec("app", secret=SECRET, clock=clock)
    blob = put(codec, "confidential", key=b"user:jane")
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            assert codec.decode(b"user:john", blob, NOW) == ("mac",)
        assert len(caplog.records) == 1
        clock.advance(60)
        codec.decode(b"user:john", blob, NOW)
        assert len(caplog.records) == 2
    assert "refused a stored value (mac), 100 since" in caplog.text
    assert not any(word in caplog.text for word in ("john", "jane", "confidential", SECRET))
    assert codec.refusals == {"mac": 101}


def test_misses_that_say_nothing_bad_are_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    codec = Codec("app", version=2)
    with caplog.at_level(logging.DEBUG):
        assert codec.decode(b"k", put(codec, 1), NOW + 60_000) == ("expired",)
        assert codec.decode(b"k", put(Codec("app", version=1), 1), NOW) == ("schema",)
        assert codec.decode(b"k", b"what redis had before", NOW) == ("magic",)
    assert codec.refusals == {"expired": 1, "schema": 1, "magic": 1}
    assert caplog.records == []


def test_a_class_that_was_moved_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("a_module_of_mine")
    exec("class Thing:\n    pass\n", module.__dict__)
    monkeypatch.setitem(sys.modules, "a_module_of_mine", module)
    codec = Codec("app", serializer="pickle", secret=SECRET)
    blob = put(codec, module.Thing())
    assert isinstance(codec.decode(b"k", blob, NOW), Decoded)
    del module.Thing
    assert codec.decode(b"k", blob, NOW) == ("decode",)
    monkeypatch.delitem(sys.modules, "a_module_of_mine")
    assert codec.decode(b"k", blob, NOW) == ("decode",)


def test_deep_bytes_are_a_miss() -> None:
    for serializer, payload in [(2, b"\x91" * 200_000), (3, b"[" * 200_000), (6, b"\x0e\x01" * 200_000)]:
        assert Codec("app").decode(b"k", forged(payload, serializer=serializer), NOW) == ("decode",)


def test_the_secret_of_a_host_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    secret = host_secret(path)
    assert host_secret(path) == secret
    assert len(secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
    path.chmod(0o640)
    with pytest.raises(overdrive.ConfigError, match="mode 0600"):
        host_secret(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(overdrive.ConfigError, match="cannot be read"):
        host_secret(link)
    short = tmp_path / "short"
    short.write_bytes(b"x")
    short.chmod(0o600)
    with pytest.raises(overdrive.ConfigError, match="has no secret"):
        host_secret(short)
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    with pytest.raises(overdrive.ConfigError, match="no regular file"):
        host_secret(folder)


def test_a_secret_that_another_process_made_meanwhile_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, link = tmp_path / "secret", os.link

    def late(draft: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        host_secret(target)
        link(draft, target)

    monkeypatch.setattr(os, "link", late)
    assert host_secret(path) == path.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
