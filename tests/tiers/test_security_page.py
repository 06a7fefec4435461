"""What `docs/security.md` says of rights, and of what is kept where."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from overdrive import TieredCache
from tests.tiers.servers import Server, eventually

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"


def rights() -> list[str]:
    found = re.search(r"ACL SETUSER (app on .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1].split()


def use(cache: TieredCache) -> None:
    """Do everything that a service does."""
    assert cache.barrier(5.0)
    cache.set("a", 1, tags="t")
    cache.set_many({"b": 2, "c": 3})
    assert cache.get_or_load("d", lambda key: 4, tags="t") == 4
    assert cache.load_many(["b", "e"], lambda keys: dict.fromkeys(keys, 5)) == {"b": 2, "e": 5}
    cache.invalidate("b")
    cache.invalidate_tags("t")
    assert cache.get_many(["a", "b", "c"]) == {"c": 3}
    cache.clear()
    assert cache.get("c") is None
    assert cache.barrier(5.0)


@pytest.mark.parametrize("tracking", [False, True])
def test_the_rights_are_enough(server: Server, tracking: bool) -> None:
    server.command("ACL", "SETUSER", *rights(), *(["+client|tracking"] if tracking else []))
    url = server.url.replace("://", "://app:PASSWORD@")
    with TieredCache(l2=url, namespace="shop", l2_max_entries=100, tracking=tracking) as cache:
        eventually(lambda: cache.health().coherent, "attached")
        use(cache)
        assert not cache.stats().l2.errors
        assert cache.health().state == "up"


@pytest.mark.parametrize("command", ["KEYS *", "FLUSHALL", "CONFIG GET *", "SCAN 0"])
def test_nothing_else_is_allowed(redis_server: Server, command: str) -> None:
    redis_server.command("ACL", "SETUSER", *rights())
    with (
        Redis(port=redis_server.port, username="app", password="PASSWORD") as client,
        pytest.raises(NoPermissionError),
    ):
        client.execute_command(*command.split())


def test_private_values_stay_off_the_disk(tmp_path: Path) -> None:
    kept_after_restart(tmp_path, lambda cache: cache.set("key", "value", private=True), kept=False)


def test_values_of_private_loads_stay_off_the_disk(tmp_path: Path) -> None:
    kept_after_restart(tmp_path, lambda cache: cache.get_or_load("key", str, private=True), kept=False)


def test_local_values_stay_in_memory(tmp_path: Path) -> None:
    kept_after_restart(tmp_path, lambda cache: cache.set("key", "value", local=True), kept=False)


def test_other_values_are_on_the_disk(tmp_path: Path) -> None:
    kept_after_restart(tmp_path, lambda cache: cache.set("key", "value"), kept=True)


def kept_after_restart(folder: Path, put: Callable[[TieredCache], object], *, kept: bool) -> None:
    with TieredCache(l3=folder) as cache:
        put(cache)
        assert cache.get("key") is not None
    with TieredCache(l3=folder) as cache:
        assert (cache.get("key") is not None) == kept
