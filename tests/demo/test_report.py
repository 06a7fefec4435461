"""What is printed: the table, the notes and the sentences, from made-up figures."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from overdrive.demo import report
from overdrive.demo.results import Place, Row, Run
from overdrive.demo.summary import sentences
from overdrive.demo.trace import Trace

PLACE = Place("1.2", "8.0.0", "CPython", "3.13.0", gil=True, platform="Linux", cores=2)
UNCACHED = Row("no cache", 1_000, 1000, 1500, 1000, None, None, None)
THEIRS = Row("cachetools.cached + Lock", 4_000, 1.0, 1500, 250, 0.75, 1000, 200)
OURS = Row("overdrive.cached", 4_400, 0.5, 1500, 227, 0.75, 250, None)
RUN = Run(
    place=PLACE,
    trace="web12",
    credit="CC BY",
    requests=1234,
    products=400,
    cache_size=80,
    clock_ns=41,
    memory_entries=500_000,
    pages_sha256="0123456789abcdef0123",
    differing_pages={},
    rows=[UNCACHED, THEIRS, OURS],
)


def test_table_aligns_names_to_the_left_and_figures_to_the_right() -> None:
    lines = report.table([("", "a", "long"), ("name", "1,000", "2"), ("n", "-", "33")]).split("\n")

    assert lines == [
        "          a  long",
        "-----------------",
        "name  1,000     2",
        "n         -    33",
    ]


def test_closing_has_a_line_per_contender() -> None:
    lines = report.closing(RUN).split("\n")

    rows = [line for line in lines if line.startswith(("no cache ", "cachetools.cached + Lock ", "overdrive."))]
    assert [row.split("  ")[0] for row in rows] == [
        "no cache",
        "cachetools.cached + Lock",
        "overdrive.cached",
    ]
    assert rows[0].split()[2:] == ["1,000", "1,000.00", "1,500.0", "-", "-", "-"]
    assert rows[1].split()[3:] == ["4,000", "1.00", "1,500.0", "75.00%", "1,000", "200"]


def test_closing_is_ascii_and_fits_a_screen() -> None:
    text = report.closing(RUN)

    assert text.isascii()
    assert max(map(len, text.split("\n"))) <= 110


def test_identical_pages_are_stated_with_their_digest() -> None:
    assert "same bytes for each of the 1,234 requests (SHA-256 0123456789abcdef...)" in report.closing(RUN)


def test_wrong_pages_are_stated_with_their_number() -> None:
    text = report.closing(replace(RUN, differing_pages={"overdrive.cached": 1200}))

    assert "WRONG PAGES" in text
    assert "1,200 of overdrive.cached" in text
    assert "same bytes" not in text


def test_memory_that_was_not_measured_is_not_explained() -> None:
    assert "500,000" in report.closing(RUN)
    assert "bytes/entry:" not in report.closing(replace(RUN, memory_entries=None))


def test_short_run_is_called_rough() -> None:
    assert "times are rough" in report.closing(RUN)
    assert "times are rough" not in report.closing(replace(RUN, requests=95_607))


def test_opening_names_versions_and_trace() -> None:
    text = report.opening(PLACE, Trace("web12", [0, 0, 1], 2, "CC BY"), 80)

    assert "overdrive 1.2, cachetools 8.0.0, CPython 3.13.0, 2 cores, Linux" in text
    assert "Trace web12: 3 requests for 2 products; caches of 80 pages\n(CC BY)" in text


def test_opening_says_what_is_missing_and_how_to_get_it() -> None:
    text = report.opening(replace(PLACE, cachetools=None, gil=False), Trace("own", [0], 1), 1)

    assert "cachetools is not installed" in text
    assert "pip install" in text
    assert "free-threaded" in text
    assert "(" not in text.split("\n")[-1]


def test_sentences_compare_with_no_cache_and_with_theirs() -> None:
    said = " ".join(sentences(RUN))

    assert "80 of 400 pages, 75.0% of the requests were hits" in said
    assert "served 4.4 times as many requests per second as no cache" in said
    assert "requests/s (1.10 times), p50 (2.0 times), time in the cache (4.0 times)" in said
    assert "level (within 5%) in p99 and worse in nothing" in said


def test_sentences_say_where_theirs_wins() -> None:
    slower = replace(OURS, requests_per_second=3_000.0, p50_us=3.0, bytes_per_entry=400)

    said = " ".join(sentences(replace(RUN, rows=[UNCACHED, THEIRS, slower])))

    assert "worse in requests/s (1.33 times), p50 (3.0 times), memory (2.0 times)" in said


@pytest.mark.parametrize("name", ["cachetools.cached, no Lock", "cachetools.LRUCache + Lock"])
def test_sentences_say_where_another_use_of_theirs_wins(name: str) -> None:
    other = replace(THEIRS, contender=name, p99_us=1000)
    ours = [replace(OURS, contender=own) for own in ("overdrive.memoize", "overdrive.LRUCache")]

    said = " ".join(sentences(replace(RUN, rows=[*RUN.rows, other, *ours])))

    assert f"{name} is ahead of overdrive." in said
    assert "in p99 (1.50 times)" in said


def test_sentences_compare_memoize_with_theirs() -> None:
    memoized = replace(OURS, contender="overdrive.memoize", p50_us=0.25, cache_ns_per_request=100)

    said = " ".join(sentences(replace(RUN, rows=[*RUN.rows, memoized])))

    assert "overdrive.memoize is better in requests/s (1.10 times), p50 (4.0 times)" in said
    assert "time in the cache (10.0 times)" in said


def test_note_on_memoize_is_there_if_it_took_part() -> None:
    memoized = replace(OURS, contender="overdrive.memoize")

    assert "memoize: threads" in report.closing(replace(RUN, rows=[*RUN.rows, memoized]))
    assert "memoize: threads" not in report.closing(RUN)


def test_sentences_without_theirs_compare_with_no_cache_only() -> None:
    said = sentences(replace(RUN, rows=[UNCACHED, OURS]))

    assert len(said) == 1
    assert "cachetools" not in said[0]


def test_figures_below_zero_are_not_made_into_ratios() -> None:
    noisy = replace(OURS, cache_ns_per_request=-3.0)

    said = " ".join(sentences(replace(RUN, rows=[UNCACHED, THEIRS, noisy])))

    assert "time in the cache" not in said


def test_document_keeps_every_figure() -> None:
    document = json.loads(json.dumps(RUN.document()))

    assert document["place"]["python"] == "3.13.0"
    assert [row["p50_us"] for row in document["rows"]] == [1000, 1.0, 0.5]
