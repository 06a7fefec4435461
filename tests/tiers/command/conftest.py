"""Running `overdrive cache`, in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from overdrive import TieredCache
from overdrive.__main__ import main

NAMESPACE = "shop"


class Done(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("OVERDRIVE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "caches"))


@pytest.fixture
def overdrive(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run `overdrive cache ...`: `overdrive("keys", "--l3", folder)`."""

    def overdrive(*arguments: object) -> Done:
        capsys.readouterr()
        try:
            status = main(["cache", *map(str, arguments)])
        except SystemExit as ended:
            assert isinstance(ended.code, int)
            status = ended.code
        out, err = capsys.readouterr()
        return Done(status, out, err)

    return overdrive


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., TieredCache]]:
    """Make caches on the disk in `tmp_path / "disk"`, and close them."""
    caches: list[TieredCache] = []

    def make(**options: Any) -> TieredCache:
        usual: dict[str, Any] = {"l3": tmp_path / "disk", "namespace": NAMESPACE, "jitter": 0.0}
        cache = TieredCache(**usual | options)
        caches.append(cache)
        return cache

    yield make
    for cache in caches:
        cache.close()


@pytest.fixture
def disk(tmp_path: Path) -> list[str]:
    """Where the disk is, for commands."""
    return ["--l3", str(tmp_path / "disk"), "--namespace", NAMESPACE]
