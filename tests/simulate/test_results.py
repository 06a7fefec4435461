"""Tables, files and curves."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest

import overdrive

KEYS = ["a", "b", "a", "c", "a", "b", "d", "a", "b", "e", "a"]


@pytest.fixture(scope="module")
def simulation() -> overdrive.Simulation:
    return overdrive.simulate(KEYS, sizes=[2, 4], policies=["lru", "fifo"])


def test_table_marks_the_best_and_ends_with_the_ceiling(simulation: overdrive.Simulation) -> None:
    lines = simulation.table().split("\n")

    assert [line.split()[0] for line in lines] == ["hit", "fifo", "lru", lines[3], "opt"]
    assert lines[0].split()[2:] == ["%", "2", "4", "ns"]
    assert [text.endswith("*") for text in lines[1].split()[1:3]] == [False, False]
    assert lines[2].split()[1:3] == ["18.18*", "54.55*"]
    assert len({len(line) for line in lines}) == 1


def test_table_of_a_terminal_is_bold(simulation: overdrive.Simulation) -> None:
    table = simulation.table(bold=True)

    assert "*" not in table
    assert table.count("\x1b[1m") == table.count("\x1b[0m") == 2


def test_json_has_every_figure(simulation: overdrive.Simulation, tmp_path: Path) -> None:
    text = simulation.to_json(tmp_path / "s.json")

    document = json.loads(text)
    assert (tmp_path / "s.json").read_text() == text
    assert (document["requests"], document["keys"], document["sampled"]) == (11, 5, False)
    assert document["recommendation"]["policy"] in ("lru", "fifo")
    lru = next(row for row in document["rows"] if (row["policy"], row["size"]) == ("lru", 2))
    assert (lru["hits"], lru["evictions"], lru["hit_ratio"]) == (2, 7, 2 / 11)


def test_csv_has_a_line_a_row(simulation: overdrive.Simulation, tmp_path: Path) -> None:
    text = simulation.to_csv(tmp_path / "s.csv")

    rows = list(csv.DictReader(io.StringIO(text)))
    assert (tmp_path / "s.csv").read_text() == text
    assert [(row["policy"], row["size"]) for row in rows] == [
        (policy, size) for policy in ("fifo", "lru", "opt") for size in ("2", "4")
    ]
    assert float(rows[2]["hit_ratio"]) == 2 / 11


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PNG", b"\x89PNG")])
def test_plot_is_an_image(simulation: overdrive.Simulation, suffix: str, magic: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"s{suffix}"

    simulation.plot(path)

    assert path.read_bytes().startswith(magic)
    if suffix == ".svg":
        assert all(f"<!-- {policy} -->" in path.read_text() for policy in ("lru", "fifo", "opt"))


def test_plot_of_another_kind_is_refused(simulation: overdrive.Simulation, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ends in '.pdf', .png and .svg are possible"):
        simulation.plot(tmp_path / "s.pdf")


def test_plot_without_matplotlib_names_the_extra(
    simulation: overdrive.Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    with pytest.raises(ImportError, match=r"pip install 'overdrive\[plot\]'"):
        simulation.plot(tmp_path / "s.png")


def test_absent_row_is_a_key_error(simulation: overdrive.Simulation) -> None:
    with pytest.raises(KeyError, match="'lru', 3"):
        simulation.row("lru", 3)


def test_text_is_the_table_and_the_advice(simulation: overdrive.Simulation) -> None:
    assert str(simulation) == f"{simulation.table()}\n\n{simulation.recommendation}"
    assert repr(simulation) == "<Simulation of 11 requests: 2 policies, 2 sizes>"
