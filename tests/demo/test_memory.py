"""The memory probe: figures from fresh processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from overdrive.demo import memory
from overdrive.demo.contenders import Contender, contenders
from overdrive.demo.memory import MemoryProbeError, bytes_per_entry, resident

OURS = next(who for who in contenders() if who.name == "overdrive.LRUCache")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell without a third-party package")
def test_probe_sees_what_the_cache_allocates() -> None:
    size = bytes_per_entry(OURS, 100_000)

    assert size is not None
    assert 16 < size < 1000  # no entry is smaller than its two pointers


def test_probe_that_fails_says_why() -> None:
    unknown = Contender("nobody", None, OURS.build)

    with pytest.raises(MemoryProbeError, match=r"nobody: .*StopIteration"):
        bytes_per_entry(unknown, 10)


def test_system_that_does_not_tell_gives_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "resident", lambda: None)

    assert bytes_per_entry(OURS, 10) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resource module")
def test_resident_memory_is_known_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "STATM", tmp_path / "nowhere")

    size = resident()

    assert size is not None
    assert size > 1_000_000
