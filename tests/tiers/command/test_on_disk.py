"""`overdrive cache` on a disk."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from overdrive import TieredCache
from tests.tiers.command.conftest import NAMESPACE, Done

SECRET = "correct horse battery"
Run = Callable[..., Done]
Make = Callable[..., TieredCache]


def fill(make: Make, **options: Any) -> TieredCache:
    """Return a cache with a few values, which are on the disk."""
    cache = make(**options)
    cache.set("user:1", {"name": "Ada"}, tags=["users", "admins"])
    cache.set("user:2", {"name": "Grace"}, tags=["users"])
    cache.set(("p", 3), "x" * 5000)
    cache.set("nothing", None)
    assert cache.flush()
    return cache


def tamper(tmp_path: Path, key: bytes, change: Callable[[bytes], bytes]) -> None:
    """Change what the disk has for a key, behind everybody's back."""
    shard = tmp_path / "disk" / NAMESPACE / "v1" / f"shard-{crc32(key) % 8:02d}.db"
    with sqlite3.connect(shard) as connection:
        (table,) = (
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            if "blob" in {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
        )
        (blob,) = connection.execute(f"SELECT blob FROM {table} WHERE key = ?", (key,)).fetchone()
        connection.execute(f"UPDATE {table} SET blob = ? WHERE key = ?", (change(blob), key))
    connection.close()


def flip(blob: bytes) -> bytes:
    """Change the last bit of the value."""
    return blob[:-1] + bytes((blob[-1] ^ 1,))


# --- status -------------------------------------------------------------------------------------------


def test_status_tells_how_the_disk_is(overdrive: Run, make: Make, disk: list[str], tmp_path: Path) -> None:
    fill(make)
    done = overdrive("status", *disk, "--json")
    assert done.status == 0
    assert list(done.document) == ["namespace", "l3", "hints"]
    facts = done.document["l3"]
    assert (facts["state"], facts["entries"], facts["shards"], facts["set_aside"]) == ("up", 4, 8, 0)
    assert facts["directory"] == str(tmp_path / "disk" / NAMESPACE)
    assert facts["bytes"] < facts["file_bytes"]
    shown = overdrive("status", *disk).out
    assert "namespace  shop\n\nl3\n  state" in shown
    assert "  entries                4\n" in shown


def test_a_damaged_shard_shows(overdrive: Run, make: Make, disk: list[str], tmp_path: Path) -> None:
    fill(make).close()
    shard = tmp_path / "disk" / NAMESPACE / "v1" / f"shard-{crc32(b'user:1') % 8:02d}.db"
    shard.write_bytes(b"\x00" * 8192)
    done = overdrive("verify", *disk, "--json")
    assert done.status == 1
    assert done.document["l3"]["damage"] == {"shards_set_aside": 1}
    assert overdrive("status", *disk, "--json").document["l3"]["set_aside"] == 1


# --- keys ---------------------------------------------------------------------------------------------


def test_keys_are_listed(overdrive: Run, make: Make, disk: list[str]) -> None:
    fill(make)
    assert overdrive("keys", *disk).out == "l3  (s1:pi3;)\nl3  nothing\nl3  user:1\nl3  user:2\n"
    document = overdrive("keys", "user:", *disk, "--json").document
    assert document == {
        "namespace": NAMESPACE,
        "keys": [
            {"key": "user:1", "hex": b"user:1".hex(), "tiers": ["l3"]},
            {"key": "user:2", "hex": b"user:2".hex(), "tiers": ["l3"]},
        ],
        "is_complete": True,
    }


def test_keys_are_limited(overdrive: Run, make: Make, disk: list[str]) -> None:
    fill(make)
    done = overdrive("keys", "user:", "--limit", 1, *disk)
    assert done.out == "l3  user:1\n... and more: --limit is 1\n"
    assert overdrive("keys", "user:", "--limit", 2, *disk).out == "l3  user:1\nl3  user:2\n"
    assert overdrive("keys", "none", *disk).out == "no keys\n"
    done = overdrive("keys", "--limit", 0, *disk)
    assert (done.status, done.err) == (2, "overdrive cache: error: --limit must be at least 1, got 0\n")


# --- inspect ------------------------------------------------------------------------------------------


def test_a_key_is_shown(overdrive: Run, make: Make, disk: list[str]) -> None:
    fill(make)
    done = overdrive("inspect", "user:1", *disk, "--json")
    assert done.status == 0
    facts = done.document["l3"]
    assert facts["verdict"] == "fresh"
    assert facts["serializer"] == "msgpack"
    assert len(facts["tags"]) == 2
    assert 3500 < facts["fresh_for"] <= 3600
    assert (facts["is_signed"], facts["is_suspect"], facts["is_none"]) == (False, False, False)
    assert "value" not in facts
    shown = overdrive("inspect", "user:1", *disk)
    assert "Ada" not in shown.out
    assert "  verdict       fresh\n" in shown.out


def test_values_are_shown_on_request(overdrive: Run, make: Make, disk: list[str]) -> None:
    fill(make)
    assert overdrive("inspect", "user:1", "--value", *disk, "--json").document["l3"]["value"] == "{'name': 'Ada'}"
    assert overdrive("inspect", "nothing", "--value", *disk, "--json").document["l3"]["value"] == "None"


def test_pickles_are_not_read(overdrive: Run, make: Make, disk: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cache = make(serializer="pickle", secret=SECRET)
    cache.set("k", {1})
    cache.flush()
    monkeypatch.setenv("OVERDRIVE_SECRET", SECRET)
    facts = overdrive("inspect", "k", "--value", *disk, "--json").document["l3"]
    assert (facts["serializer"], facts["value"]) == ("pickle", "not shown: reading it could run code")


def test_keys_may_be_literals_or_hex(overdrive: Run, make: Make, disk: list[str]) -> None:
    cache = fill(make)

    @cache.cached(name="price")
    def price(item: int) -> int:
        return item

    price(7)
    cache.flush()
    assert overdrive("inspect", "('p', 3)", "--python", *disk).status == 0
    listed = overdrive("keys", "price(", *disk, "--json").document["keys"]
    assert [found["key"] for found in listed] == ["price(=i7;)"]
    assert overdrive("inspect", listed[0]["hex"], "--hex", *disk).status == 0
    for wrong in (("'p", "--python"), ("[1]", "--python"), ("xy", "--hex")):
        done = overdrive("inspect", *wrong, *disk)
        assert done.status == 2
        assert done.err.startswith("overdrive cache: error: KEY ")


def test_what_is_not_there_is_said(overdrive: Run, make: Make, disk: list[str]) -> None:
    fill(make)
    done = overdrive("inspect", "user:9", *disk)
    assert done.status == 1
    assert "verdict  not there" in done.out


def test_a_stale_value_is_told_from_a_fresh_one(overdrive: Run, make: Make, disk: list[str]) -> None:
    cache = make(stale=1000)
    cache.set("k", 1, ttl=0.001)
    cache.flush()
    assert overdrive("inspect", "k", *disk, "--json").document["l3"]["verdict"] == "stale"


def test_hashed_keys_are_found(overdrive: Run, make: Make, disk: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cache = make(hash_keys=True, secret=SECRET)
    cache.set("ada@example.org", 1)
    cache.flush()
    monkeypatch.setenv("OVERDRIVE_SECRET", SECRET)
    monkeypatch.setenv("OVERDRIVE_HASH_KEYS", "true")
    assert overdrive("inspect", "ada@example.org", *disk).status == 0
    assert "ada" not in overdrive("keys", *disk).out


# --- verify -------------------------------------------------------------------------------------------


def test_good_values_pass(overdrive: Run, make: Make, disk: list[str]) -> None:
    fill(make)
    done = overdrive("verify", *disk)
    assert (done.status, done.out) == (0, "l3: 4 values, 0 bad, 0 deleted\n  fresh  4\n")
    assert overdrive("verify", *disk, "--limit", 2, "--json").document["l3"]["checked"] == 2


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (flip, "checksum"),
        (lambda blob: b"\x00" * len(blob), "magic"),
        (lambda blob: blob[:32] + b"\x00\x00\xc0\x7f" * 2 + blob[40:], "checksum"),  # lifetimes that are no numbers
    ],
)
def test_damage_is_found_and_repaired(
    overdrive: Run, make: Make, disk: list[str], tmp_path: Path, change: Callable[[bytes], bytes], verdict: str
) -> None:
    fill(make).close()
    tamper(tmp_path, b"user:1", change)
    inspected = overdrive("inspect", "user:1", *disk, "--json")
    assert (inspected.status, inspected.document["l3"]["verdict"]) == (1, verdict)
    assert "NaN" not in inspected.out
    done = overdrive("verify", *disk, "--json")
    assert done.status == 1
    assert done.document["bad"] == 1
    assert done.document["l3"]["examples"] == [{"key": "user:1", "hex": b"user:1".hex(), "verdict": verdict}]
    assert overdrive("verify", *disk, "--repair").status == 1
    assert overdrive("verify", *disk, "--json").document["l3"]["verdicts"] == {"fresh": 3}
    assert make().get_or_load("user:1", lambda key: "loaded") == "loaded"


def test_signatures_are_checked(
    overdrive: Run, make: Make, disk: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(make, secret=SECRET).close()
    done = overdrive("verify", *disk)
    assert done.status == 0
    assert "l3: 4 values are signed; give --secret-file to check them" in done.out
    file = tmp_path / "secret"
    file.write_text(f"a new secret of some length\r\n\n{SECRET}\n")
    assert overdrive("verify", *disk, "--secret-file", file, "--json").document["l3"]["verdicts"] == {"fresh": 4}
    monkeypatch.setenv("OVERDRIVE_SECRET", SECRET)
    tamper(tmp_path, b"user:1", flip)
    assert overdrive("verify", *disk, "--json").document["l3"]["verdicts"] == {"fresh": 3, "mac": 1}


def test_a_wrong_secret_is_suspected_and_deletes_nothing(
    overdrive: Run, make: Make, disk: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(make, secret=SECRET).close()
    monkeypatch.setenv("OVERDRIVE_SECRET", "something else entirely")
    done = overdrive("verify", *disk, "--repair")
    assert done.status == 1
    assert "l3: 4 values, 4 bad, 0 deleted" in done.out
    assert "not one value is signed with this secret: is it the right one?" in done.out
    assert overdrive("verify", *disk, "--repair", "--yes", "--json").document["l3"]["deleted"] == 4
    assert overdrive("keys", *disk).out == "no keys\n"


def test_unsigned_values_are_bad_where_there_is_a_secret(
    overdrive: Run, make: Make, disk: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(make).close()
    monkeypatch.setenv("OVERDRIVE_SECRET", SECRET)
    done = overdrive("verify", *disk)
    assert done.status == 1
    assert "unsigned  4  not signed, and a secret is given" in done.out
    assert "do the instances have this secret?" in done.out


# --- purge --------------------------------------------------------------------------------------------


def test_keys_and_tags_are_purged_from_running_instances_too(overdrive: Run, make: Make, disk: list[str]) -> None:
    cache = fill(make)
    assert cache.get("user:1") is not None
    done = overdrive("purge", "nothing", "--tag", "admins", *disk)
    assert (done.status, done.out) == (0, "removed from l3: 1 key and 1 tag\n")
    assert cache.get("user:1") is None
    assert cache.get("nothing", "gone") == "gone"
    assert cache.get("user:2") == {"name": "Grace"}
    assert overdrive("keys", *disk).out == "l3  (s1:pi3;)\nl3  user:2\n"


def test_everything_is_purged_only_on_a_yes(overdrive: Run, make: Make, disk: list[str]) -> None:
    cache = fill(make)
    done = overdrive("purge", "--all", *disk)
    assert done.status == 2
    assert "--all removes everything in namespace 'shop': say --yes, too" in done.err
    assert cache.get("user:1") is not None
    assert overdrive("purge", "--all", "--yes", *disk, "--json").document["everything"] is True
    assert cache.get("user:1") is None
    assert overdrive("keys", *disk).out == "no keys\n"


@pytest.mark.parametrize("arguments", [(), ("--all", "--yes", "user:1"), ("--all", "--yes", "--tag", "users")])
def test_purge_needs_to_know_what(overdrive: Run, make: Make, disk: list[str], arguments: tuple[str, ...]) -> None:
    fill(make)
    done = overdrive("purge", *arguments, *disk)
    assert (done.status, done.err) == (
        2,
        "overdrive cache: error: name what to remove: keys and --tag, or --all\n",
    )


# --- where to look ------------------------------------------------------------------------------------


def test_places_are_those_of_the_environment(
    overdrive: Run, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(make)
    monkeypatch.setenv("OVERDRIVE_CACHE_DIR", str(tmp_path / "disk"))
    monkeypatch.setenv("OVERDRIVE_NAMESPACE", NAMESPACE)
    assert overdrive("keys", "user:").out == "l3  user:1\nl3  user:2\n"


def test_nothing_is_made_where_nothing_is(overdrive: Run, make: Make, tmp_path: Path) -> None:
    fill(make)
    done = overdrive("status", "--l3", tmp_path / "disk", "--namespace", "shp")
    assert done.status == 2
    assert done.err == (
        f"overdrive cache: error: '{tmp_path / 'disk'}' has nothing of a namespace 'shp'; there is shop\n"
    )
    assert overdrive("status", "--l3", tmp_path / "nowhere").status == 2
    assert overdrive("status").status == 2
    assert {path.name for path in tmp_path.iterdir()} == {"disk"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--namespace", "a/b"], "namespace must be 1 to 64 letters"),
        (["--secret-file", "missing"], "--secret-file cannot be read"),
        (["--timeout", "0"], "--timeout must be above 0 seconds, got 0.0"),
        (["--l2", "http://localhost"], "redis url has scheme 'http'"),
    ],
)
def test_wrong_arguments_are_named(overdrive: Run, arguments: list[str], message: str) -> None:
    done = overdrive("status", *arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("overdrive cache: error: ")
    assert message in done.err


def test_secrets_are_no_arguments(overdrive: Run, disk: list[str]) -> None:
    done = overdrive("verify", "--secret", SECRET, *disk)
    assert done.status == 2
    assert "unrecognized arguments" in done.err or "ambiguous" in done.err or "cannot be read" in done.err


def test_the_canary_needs_redis(overdrive: Run, make: Make, disk: list[str]) -> None:
    fill(make)
    done = overdrive("canary", *disk)
    assert (done.status, done.err) == (
        2,
        "overdrive cache: error: only Redis tells instances of changes: give --l2 URL\n",
    )


@pytest.mark.parametrize("action", ["status", "keys", "inspect", "verify", "purge", "canary"])
def test_every_action_has_help(overdrive: Run, action: str) -> None:
    done = overdrive(action, "--help")
    assert done.status == 0
    assert all(option in done.out for option in ("--l2 URL", "--l3 DIR", "--namespace", "--secret-file", "--json"))


def test_other_commands_load_no_tiers() -> None:
    script = (
        "import sys, overdrive.__main__; "
        "assert not {'overdrive._tiers.cache', 'redis', 'apsw', 'msgspec'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
