"""The second part of the demo as a user runs it, for a few seconds: with Redis and without."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from overdrive import TieredCache
from overdrive.__main__ import main
from overdrive.demo.instances.children import ChildError, Instance, RedisServer
from overdrive.demo.instances.settings import Settings
from tests.demo.test_command import environment
from tests.tiers.servers import eventually, program

PART = ("demo", "--tiers-only", "--requests", "2000")
INTERRUPTIBLE = (  # a shell starts background jobs with SIGINT ignored
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from overdrive.__main__ import main; sys.exit(main(['demo', '--tiers-only', '--requests', '2000']))"
)


def descendants_of(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found.append(int(folder.name))
    return found


def run(tmp_path: Path, *arguments: str, **variables: str) -> tuple[str, dict[str, list[dict[str, float]]]]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "overdrive", *PART, "--json", str(tmp_path / "run.json"), *arguments],
        env=environment(TMPDIR=str(folder), TEMP=str(folder), **variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(folder.iterdir())
    return done.stdout, json.loads((tmp_path / "run.json").read_text())["instances"]


def test_with_redis(tmp_path: Path) -> None:
    program("redis")

    text, outcome = run(tmp_path, "--seconds", "5")

    rows = {str(row["phase"]): row for row in outcome["rows"]}
    assert list(rows) == ["cold", "warm", "killed, restarted", "Redis down", "Redis back"]
    assert all(row["requests"] and row["changes"] for row in rows.values())
    assert all(row["wrong"] == row["stale_beyond"] == row["unanswered"] == 0 for row in rows.values())
    assert rows["warm"]["memory_share"] + rows["warm"]["redis_share"] > rows["cold"]["memory_share"]
    assert rows["killed, restarted"]["redirected"] > 0
    assert rows["Redis down"]["redis_share"] < rows["warm"]["redis_share"]
    assert "Stale beyond 500 ms" in " ".join(text.split())


def test_without_redis(tmp_path: Path) -> None:
    text, outcome = run(tmp_path, "--seconds", "3", PATH=str(tmp_path))

    rows = {str(row["phase"]): row for row in outcome["rows"]}
    assert list(rows) == ["cold", "warm", "killed, restarted"]
    assert all(row["wrong"] == row["stale_beyond"] == row["redis_share"] == 0 for row in rows.values())
    assert rows["killed, restarted"]["disk_share"] > 0, "the process that was killed starts warm"
    assert "redis-server is not installed" in " ".join(text.split())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(("ending", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_interrupted_demo_leaves_no_process_and_no_file(ending: signal.Signals, status: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE],
        env=environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        servers: list[int] = []
        eventually(lambda: len(descendants_of(running.pid)) >= 2, "two processes")
        eventually(lambda: list(tmp_path.glob("*/disk*")), "a disk tier: they serve")
        servers += descendants_of(running.pid)
        running.send_signal(ending)
        assert running.stderr is not None
        rest = running.stderr.read()

    assert running.returncode == status, rest
    assert "Traceback" not in rest
    eventually(lambda: not [pid for pid in servers if Path(f"/proc/{pid}").exists()], "no process left")
    assert not list(tmp_path.iterdir())


def test_stale_pages_fail_the_demo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Servers that invalidate nothing are found out."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(entry for entry in sys.path if entry))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("overdrive.demo.instances.children.SERVER", "tests.demo.instances.forgetful")

    assert main([*PART, "--seconds", "3"]) == 1

    assert "STALE PAGES" in capsys.readouterr().out


def test_process_that_does_not_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere" / "shop.sqlite")
    instance = Instance("process 1", tmp_path, Settings(nowhere, 10, None, str(tmp_path), 0.5))
    try:
        with pytest.raises(ChildError, match="process 1 did not start: .*unable to open database file"):
            asyncio.run(instance.start())
    finally:
        instance.end()


def test_redis_that_does_not_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho no luck >&2\nexit 1\n")
    broken.chmod(0o755)
    redis = RedisServer(str(broken), tmp_path)
    try:
        with pytest.raises(ChildError, match="Redis did not start: no luck"):
            asyncio.run(redis.start())
    finally:
        redis.end()


def test_redis_comes_back_empty(tmp_path: Path) -> None:
    redis = RedisServer(str(program("redis")), tmp_path)
    try:
        asyncio.run(redis.start())
        with TieredCache(10, l2=redis.url) as cache:
            cache.set("key", "value")
        redis.kill()
        asyncio.run(redis.start())
        with TieredCache(10, l2=redis.url) as cache:
            assert cache.get("key") is None
    finally:
        redis.end()
