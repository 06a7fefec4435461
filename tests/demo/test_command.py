"""`overdrive demo` as a user runs it: in a process of its own, and with wrong arguments."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import overdrive
from overdrive import demo
from overdrive.__main__ import main
from overdrive.demo.contenders import Contender, Handler, contenders
from overdrive.demo.options import cache_size, chosen_trace
from tests.demo.archives import npy, npz

SHORT = ("--requests", "400", "--no-memory", "--no-tiers")
NAMES = [
    "no cache",
    "cachetools.cached + Lock",
    "cachetools.cached, no Lock",
    "cachetools.LRUCache + Lock",
    "overdrive.cached",
    "overdrive.memoize",
    "overdrive.LRUCache",
]
INTERRUPTIBLE = (  # a shell starts background jobs with SIGINT ignored
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from overdrive.__main__ import main; sys.exit(main(['demo', '--no-memory']))"
)


def environment(**variables: str) -> dict[str, str]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error", **variables}


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "overdrive", *arguments],
        env=environment(**variables),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_demo_prints_a_row_per_contender_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = command("demo", *SHORT, TMPDIR=str(tmp_path), TEMP=str(tmp_path))

    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.split("\n") if line.startswith(tuple(f"{name}  " for name in NAMES))]
    assert [row.split("  ")[0] for row in rows] == NAMES
    assert "All 7 contenders returned the same bytes for each of the 400 requests" in done.stdout
    said = " ".join(done.stdout.split())
    assert "Against cachetools.cached + Lock, overdrive.cached is" in said
    assert "Against cachetools.cached + Lock, overdrive.memoize is" in said
    assert "Replaying 400 requests, 7 contenders in turns ...\n" in done.stderr
    assert not list(tmp_path.iterdir())


def test_demo_works_where_output_is_ascii(tmp_path: Path) -> None:
    trace = tmp_path / "m\u00e4rz\u2603.txt"
    trace.write_text("a\nb\na\n", encoding="utf-8")

    done = command("demo", "--no-memory", "--no-tiers", "--trace", str(trace), PYTHONIOENCODING="ascii", PYTHONUTF8="1")

    assert done.returncode == 0, done.stderr
    assert "Trace m\\xe4rz\\u2603: 3 requests for 2 products" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_interrupted_demo_ends_with_130_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE],
        env=environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        while not running.stderr.readline().startswith("Replaying"):
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()

    assert running.returncode == 130
    assert rest.endswith("interrupted\n")
    assert "Traceback" not in rest
    assert not list(tmp_path.iterdir())


def test_reader_that_goes_away_ends_the_demo_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "overdrive", "demo", *SHORT],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        errors = running.stderr.read()

    assert running.returncode == 1
    assert "Traceback" not in errors


def test_importing_overdrive_does_not_import_the_demo() -> None:
    script = "import overdrive, sys; sys.exit('overdrive.demo' in sys.modules or 'sqlite3' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], env=environment(), check=False)

    assert done.returncode == 0


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"overdrive {overdrive.__version__}\n"


def test_help_names_each_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--help"])

    text = capsys.readouterr().out
    assert ended.value.code == 0
    for argument in (
        "--requests N",
        "--cache-size N",
        "--trace FILE",
        "--json FILE",
        "--no-memory",
        "--seconds N",
        "--tiers-only",
    ):
        assert argument in text


def test_json_has_every_figure_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "ENTRIES", 20_000)
    path = tmp_path / "run.json"

    assert main(["demo", "--requests", "400", "--cache-size", "50", "--json", str(path)]) == 0

    document = json.loads(path.read_text())
    assert document["requests"] == 400
    assert document["cache_size"] == 50
    assert document["place"]["overdrive"] == overdrive.__version__
    assert document["place"]["python"]
    assert document["place"]["platform"]
    assert [row["contender"] for row in document["rows"]] == NAMES
    assert len({row["hit_ratio"] for row in document["rows"][1:]}) == 1


def test_own_trace_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(npz(npy()))

    assert main(["demo", "--no-memory", "--no-tiers", "--trace", str(path), "--cache-size", "2"]) == 0

    assert "Trace own: 5 requests for 3 products; caches of 2 pages" in capsys.readouterr().out


def test_cache_has_room_for_a_fifth_of_the_products_by_default() -> None:
    options = argparse.Namespace(cache_size=None, requests=None, trace=None)

    assert cache_size(options, chosen_trace(options)) == 2751


def test_demo_without_cachetools_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cachetools", None)

    assert main(["demo", *SHORT]) == 0

    text = capsys.readouterr().out
    assert "cachetools is not installed" in text
    assert "All 4 contenders returned the same bytes" in text
    assert "cachetools.cached" not in text
    assert "overdrive.LRUCache" in text


def test_wrong_pages_fail_the_demo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    liar = Contender("liar", "liar", lambda load, _: Handler(lambda product: b"wrong", lambda requests: None))
    monkeypatch.setattr(demo, "contenders", lambda: [contenders()[0], liar])

    assert main(["demo", *SHORT]) == 1

    assert "WRONG PAGES: not what the backend alone returned: 800 of liar." in capsys.readouterr().out


def test_result_that_cannot_be_written_fails_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", refuse)

    assert main(["demo", *SHORT, "--json", str(tmp_path / "run.json")]) == 1

    assert "run.json" in capsys.readouterr().err


WRONG = {
    "no command": ([], ["COMMAND"]),
    "unknown command": (["race"], ["'race'", "demo"]),
    "requests below 1": (["demo", "--requests", "0"], ["--requests", "0 is below the limit of 1"]),
    "requests not a number": (["demo", "--requests", "1e3"], ["--requests", "'1e3' is not a whole number"]),
    "too many requests": (
        ["demo", "--requests", "99999"],
        ["--requests", "99999 exceeds the 95,607 requests"],
    ),
    "cache size below 1": (["demo", "--cache-size", "-5"], ["--cache-size", "-5 is below the limit of 1"]),
    "cache size too large": (
        ["demo", "--cache-size", "1000001"],
        ["--cache-size", "1000001 exceeds the limit of 1000000"],
    ),
    "no such trace": (["demo", "--trace", "nowhere.npz"], ["--trace", "nowhere.npz: No such file"]),
    "seconds below 1": (["demo", "--seconds", "0.5"], ["--seconds", "0.5 is not from 1 to 3600"]),
    "seconds not a number": (["demo", "--seconds", "long"], ["--seconds", "'long' is not a number"]),
    "no part left": (["demo", "--no-tiers", "--tiers-only"], ["--tiers-only", "--no-tiers"]),
    "json in no folder": (["demo", "--json", "nowhere/x.json"], ["--json", "no folder 'nowhere'"]),
    "json is a folder": (["demo", "--json", "."], ["--json", "'.' is a folder"]),
}


@pytest.mark.parametrize(("arguments", "told"), WRONG.values(), ids=WRONG)
def test_wrong_argument_is_named_with_its_value_and_limit(
    arguments: list[str], told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert all(part in errors for part in told), errors
