"""`overdrive simulate` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from overdrive.__main__ import main
from tests.simulate.files import lines

# A shell starts background jobs with SIGINT ignored; three seconds of work are announced before they begin.
INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import overdrive
from array import array
trace = array("I", (at * at % 1_000_003 for at in range(3_000_000)))
print("replaying", flush=True)
try:
    overdrive.simulate(trace, sizes=[1000 * at for at in range(1, 100)], policies=["arc", "lru"])
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "requests.txt"
    path.write_bytes(lines(at * at % 1009 for at in range(20_000)))
    return path


def environment() -> dict[str, str]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error"}


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "overdrive", "simulate", *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_table_advice_and_files_come_out(trace: Path, tmp_path: Path) -> None:
    files = ("--json", tmp_path / "s.json", "--csv", tmp_path / "s.csv", "--plot", tmp_path / "s.svg")

    done = command(trace, "--sizes", "50,10%,400", "--policies", "lru,ARC,rr", *files)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("20,000 requests for 505 keys; every one was replayed.\n\nhit ratio, %")
    assert "Choose " in done.stdout
    assert done.stderr == "Reading requests.txt ...\nReplaying 20,000 requests ...\n"
    document = json.loads((tmp_path / "s.json").read_text())
    assert {row["size"] for row in document["rows"]} == {50, 400}  # 10% of 505 is 50, too
    assert (tmp_path / "s.csv").read_text().count("\n") == 1 + 4 * 2
    assert "<svg" in (tmp_path / "s.svg").read_text()


def test_quiet_shows_no_progress(trace: Path) -> None:
    done = command(trace, "--quiet", "--policies", "lru")

    assert (done.returncode, done.stderr) == (0, "")


def test_sampled_hit_ratios_are_called_estimates(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(trace), "--sizes", "400", "--sample", "0.5", "--seed", "3", "--quiet"]) == 0

    assert "hit ratios are estimates from 50.000% of the keys" in capsys.readouterr().out


def test_column_of_a_table_is_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,1\n2,1\n3,1\n")

    assert main(["simulate", str(path), "--column", "b", "--quiet"]) == 0
    assert "3 requests for 1 keys" in capsys.readouterr().out
    assert main(["simulate", str(path), "--column", "1", "--quiet"]) == 0
    assert "4 requests for 4 keys" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_interrupt_ends_a_replay_at_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE], env=environment(), stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "replaying\n"
        sent = time.monotonic()
        running.send_signal(signal.SIGINT)
        assert running.stdout.readline() == "interrupted\n"
        assert time.monotonic() - sent < 5  # far less than the replays take; 0.05 s on a quiet machine
        assert running.wait() == 0


WRONG = {
    "no trace": ([], "TRACE"),
    "no such trace": (["nowhere.txt"], "argument TRACE: nowhere.txt: No such file"),
    "policy": (["{trace}", "--policies", "mru"], "policy 'mru' is not one of fifo"),
    "size": (["{trace}", "--sizes", "10,0"], "size 0 is below the limit of 1"),
    "no size": (["{trace}", "--sizes", ","], "sizes is empty"),
    "sample": (["{trace}", "--sample", "2"], "sample 2.0 is not above 0 and at most 1"),
    "column of text": (["{trace}", "--column", "key"], "so it has no column 'key'"),
    "plot": (["{trace}", "--plot", "x.pdf"], "plot 'x.pdf' ends in '.pdf'"),
    "json in no folder": (["{trace}", "--json", "nowhere/x.json"], "no folder 'nowhere'"),
    "csv is a folder": (["{trace}", "--csv", "."], "'.' is a folder"),
}


@pytest.mark.parametrize(("arguments", "told"), WRONG.values(), ids=WRONG)
def test_wrong_argument_is_named(
    arguments: list[str], told: str, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *(argument.format(trace=trace) for argument in arguments)])

    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_importing_overdrive_loads_nothing_of_it() -> None:
    script = (
        "import overdrive, sys; "
        "sys.exit(any(name.startswith('overdrive._simulate') for name in sys.modules) or 'dataclasses' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], env=environment(), check=False).returncode == 0


def test_large_text_is_read_without_an_object_per_key(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    np.savetxt(path, np.arange(300_000) % 1000, fmt="%d")

    assert main(["simulate", str(path), "--quiet", "--policies", "lru", "--sizes", "1000"]) == 0
