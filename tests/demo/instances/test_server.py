"""A server process of the demo, asked over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from overdrive.demo.instances.children import Instance
from overdrive.demo.instances.settings import Settings
from overdrive.demo.instances.store import build, version_of
from overdrive.demo.instances.wire import Connection


def served(tmp_path: Path, ask: Callable[[Instance], Awaitable[None]]) -> None:
    """Have a process serve three products, on a disk of its own, and ask it."""
    build(tmp_path / "shop.sqlite", 3)
    settings = Settings(str(tmp_path / "shop.sqlite"), 100, None, str(tmp_path / "disk"), 0.5)
    instance = Instance("process 1", tmp_path, settings)

    async def run() -> None:
        try:
            await instance.start()
            await ask(instance)
        finally:
            instance.end()

    asyncio.run(run())


async def connected(instance: Instance) -> Connection:
    assert instance.port is not None
    return await Connection.open(instance.port)


def test_page_says_where_it_came_from_and_changes_with_the_price(tmp_path: Path) -> None:
    async def ask(instance: Instance) -> None:
        connection = await connected(instance)
        answers = [await connection.request("GET", "/products/1") for _ in range(2)]
        assert [(answer.fields["tier"], answer.fields["loads"]) for answer in answers] == [("loader", "1"), ("l1", "1")]
        assert version_of(answers[0].body) == 0

        assert (await connection.request("PUT", "/products/1?version=1&cents=995")).status == 200

        changed = await connection.request("GET", "/products/1")
        assert (changed.fields["tier"], version_of(changed.body)) == ("loader", 1)
        assert b"EUR 9.95" in changed.body
        connection.close()

    served(tmp_path, ask)


def test_process_that_starts_again_has_its_pages(tmp_path: Path) -> None:
    async def ask(instance: Instance) -> None:
        connection = await connected(instance)
        page = (await connection.request("GET", "/products/2")).body
        instance.end()
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await connection.request("GET", "/products/2")
        connection.close()

        await instance.start()
        connection = await connected(instance)
        again = await connection.request("GET", "/products/2")
        assert (again.fields["tier"], again.body) == ("l3", page)
        connection.close()

    served(tmp_path, ask)


@pytest.mark.parametrize(
    ("method", "target", "status"), [("GET", "/", 404), ("GET", "/products/x", 404), ("POST", "/products/1", 400)]
)
def test_other_requests_are_refused(method: str, target: str, status: int, tmp_path: Path) -> None:
    async def ask(instance: Instance) -> None:
        connection = await connected(instance)
        assert (await connection.request(method, target)).status == status
        connection.close()

    served(tmp_path, ask)
