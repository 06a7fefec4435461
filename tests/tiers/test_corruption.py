"""Damaged and forged bytes, on disk and in Redis: no value that was not put there, no crash, no early decoding."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from overdrive import TieredCache
from overdrive._tiers.values import codec, pickles
from tests.tiers.corruption_child import make, value_of
from tests.tiers.l3.damage import Damage, flip_bits, truncate, zero_a_page
from tests.tiers.servers import Server

ENTRIES = 100
SECRET = "a secret of at least sixteen bytes"
SEEDS_OF_THE_SUITE, SEEDS = 40, 200
DAMAGES = (flip_bits, zero_a_page, truncate)


@pytest.fixture(scope="module", params=["", SECRET], ids=["checksum", "mac"])
def secret(request: pytest.FixtureRequest) -> str:
    """Values with a checksum, and with a signature."""
    return str(request.param)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory, secret: str) -> Path:
    """A folder with values."""
    folder = tmp_path_factory.mktemp("pristine") / "cache"
    with make(str(folder), secret) as cache:
        for index in range(ENTRIES):
            cache.set(f"key{index}", value_of(index), tags=f"tag{index % 3}")
        assert cache.flush()
    return folder


def check(pristine: Path, tmp_path: Path, damage: Damage, secret: str, seeds: range) -> dict[str, int]:
    """Damage copies of the folder; return what a process finds in all of them."""
    folders = []
    for seed in seeds:
        chance = random.Random(f"{damage.__name__}:{seed}")
        folder = tmp_path / f"{seed}"
        shutil.copytree(pristine, folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
        # Which names the files of values have is chance as well: the seed picks by what is in them.
        files.sort(key=lambda path: crc32(path.read_bytes()))
        damage(chance.choice(files), chance)
        folders.append(str(folder))
    done = subprocess.run(
        [sys.executable, "-m", "tests.tiers.corruption_child", str(ENTRIES), secret, *folders],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, int] = json.loads(done.stdout)
    assert found.get("wrong", 0) == 0
    assert found.get("loaded wrong", 0) == 0
    assert found["opened"] == len(folders)
    assert found["loaded right"] == ENTRIES * len(folders)
    return found


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_give_no_wrong_value(pristine: Path, tmp_path: Path, damage: Damage, secret: str) -> None:
    found = check(pristine, tmp_path, damage, secret, range(SEEDS_OF_THE_SUITE // 2))
    # It is not that nothing is found at all: a damage costs what it touched.
    assert found["right"] > found["missing"], found


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("damage", DAMAGES)
def test_much_damage_gives_no_wrong_value(pristine: Path, tmp_path: Path, damage: Damage, secret: str) -> None:
    for start in range(0, SEEDS, 50):
        part = tmp_path / f"from{start}"
        part.mkdir()
        check(pristine, part, damage, secret, range(start, start + 50))
        shutil.rmtree(part)


@contextmanager
def decoding_watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Note every payload that is handed to a decoder."""
    decoded: list[bytes] = []

    def watched(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def read(payload: Any) -> Any:
            decoded.append(bytes(payload))
            return reader(payload)

        return read

    with monkeypatch.context() as patch:
        patch.setattr(codec, "READERS", {key: watched(reader) for key, reader in codec.READERS.items()})
        patch.setattr(pickles, "load", lambda payload, _flags: decoded.append(bytes(payload)))
        yield decoded


@pytest.mark.parametrize(
    "seeds", [SEEDS_OF_THE_SUITE, pytest.param(SEEDS, marks=pytest.mark.slow)], ids=["some", "many"]
)
@pytest.mark.parametrize("serializer", ["auto", "pickle"])
def test_bytes_in_redis_that_are_not_authentic_are_never_decoded(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch, serializer: str, seeds: int
) -> None:
    options: dict[str, Any] = {"l2": redis_server.url, "secret": SECRET, "serializer": serializer, "jitter": 0}
    with TieredCache(**options) as writer:
        writer.set("key", {"a": [1, 2, 3], "text": "x" * 100})
        writer.set("other", {"b": 2})
        writer.set("large", {"c": "y" * 5_000})
    with redis_server.client() as client:
        names = {name.rsplit(b":", 1)[1]: name for name in client.keys("*:v:*")}
        good = {name: client.get(name) for name in names.values()}
        place = next(name for short, name in names.items() if b"key" in short)
        others = [blob for name, blob in good.items() if name != place]
        with decoding_watched(monkeypatch) as decoded, TieredCache(**options) as cache:
            for seed in range(seeds):
                forged = forge(good[place], others, random.Random(seed))
                if forged == good[place]:
                    continue
                client.set(place, forged)
                assert cache.get("key") is None
            assert decoded == []
            client.set(place, good[place])
            cache.get("key")
            assert decoded  # the watch sees what is decoded


def forge(blob: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return something that is not what was written under that key."""
    changed = bytearray(blob)
    kind = chance.randrange(7)
    if kind == 0:
        for _ in range(chance.choice((1, 1, 4))):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del changed[chance.randrange(len(changed)) :]
    elif kind == 2:
        changed += chance.randbytes(chance.randrange(1, 64))
    elif kind == 3:
        return chance.choice(others)  # authentic, of another key
    elif kind == 4:
        start = chance.randrange(len(changed))
        changed[start : start + 16] = bytes(len(changed[start : start + 16]))
    elif kind == 5:
        other = chance.choice(others)  # the head of one and the payload of another
        return blob[:56] + other[56:]
    else:
        return chance.randbytes(chance.randrange(200))
    return bytes(changed)


def test_table_of_invalidations_that_is_damaged_is_no_crash(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with TieredCache(l3=tmp_path) as cache:
        cache.set("key", "value")
    table = tmp_path / "default" / "generations"
    content = bytearray(table.read_bytes())
    content[200:208] = b"\xff" * 8  # a time that the clock has not reached
    table.write_bytes(content)
    # Others may be using it, and would not be heard of: the disk is done without.
    with TieredCache(l3=tmp_path) as cache:
        assert cache.get_or_load("key", lambda _: "loaded") == "loaded"
        assert cache.health().l3.state == "down"
        assert "damaged" in cache.health().l3.reason
    # Nobody can be using one from before the machine started.
    os.utime(table, (0, 0))
    with TieredCache(l3=tmp_path) as cache:
        assert cache.get("key") == "value"
        assert cache.health().l3.state == "up"
    assert sum("is made anew" in record.getMessage() for record in caplog.records) == 1


def test_value_that_is_replayed_under_its_own_key_is_older_and_nothing_worse(redis_server: Server) -> None:
    with TieredCache(l2=redis_server.url, secret=SECRET, jitter=0, ttl=3600) as cache:
        cache.set("key", "old", tags="tag")
        (name,) = redis_server.command("KEYS", "*:v:*")
        replayed = redis_server.command("GET", name)
        cache.invalidate_tags("tag")
        redis_server.command("SET", name, replayed)
        # The tag's clock has moved on: no replay brings back what a tag, or a clear, has removed.
        assert cache.get("key") is None
        cache.set("key", "new", tags="tag")
        assert cache.get("key") == "new"
