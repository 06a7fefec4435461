"""What is printed of the processes, from made-up figures."""

from __future__ import annotations

import json
from dataclasses import replace

from overdrive.demo.instances import report
from overdrive.demo.instances.ledger import WRONG
from overdrive.demo.instances.results import Outcome, PhaseRow, Restart
from overdrive.demo.instances.tally import Tally
from overdrive.demo.instances.wire import Response


def answer(tier: str, spent_ns: int = 1000) -> Response:
    return Response(200, {"tier": tier, "spent-ns": str(spent_ns)}, b"")


def tally() -> Tally:
    seen = Tally("cold", bound=0.5)
    for tier, staleness in (("l1", 0.0), ("l1", 0.5), ("l2", 0.1), ("l3", 0.0), ("loader", 0.0)):
        seen.count(answer(tier), staleness, waited_ns=2_000_000)
    seen.loads, seen.changes, seen.redirected = 1, 7, 3
    return seen


ROW = PhaseRow.of(tally())
OUTCOME = Outcome([ROW, ROW], bound_ms=500.0, has_redis=True, restart=Restart(0.75))


def test_row_has_shares_and_quantiles() -> None:
    assert (ROW.requests, ROW.memory_share, ROW.redis_share, ROW.disk_share) == (5, 0.4, 0.2, 0.2)
    assert (ROW.spent_p50_us, ROW.waited_p99_ms) == (1.0, 2.0)
    assert (ROW.stale, ROW.worst_stale_ms, ROW.stale_beyond, ROW.wrong) == (2, 500.0, 0, 0)


def test_page_that_is_older_than_promised_or_wrong_is_counted() -> None:
    seen = tally()
    seen.count(answer("l1"), 0.51, waited_ns=1)
    seen.count(answer("l1"), WRONG, waited_ns=1)
    row = PhaseRow.of(seen)

    assert (row.stale, row.stale_beyond, row.wrong) == (3, 1, 1)
    assert OUTCOME.is_right
    assert not replace(OUTCOME, rows=[ROW, replace(ROW, stale_beyond=1)]).is_right
    assert not replace(OUTCOME, rows=[replace(ROW, wrong=1), ROW]).is_right


def test_phase_without_requests_has_a_row() -> None:
    assert PhaseRow.of(Tally("cold", bound=1.0)).requests == 0


def test_closing_is_ascii_and_fits_a_screen() -> None:
    text = report.closing(replace(OUTCOME, rows=[replace(ROW, phase="killed, restarted", requests=1_000_000)]))

    assert text.isascii()
    assert max(map(len, text.split("\n"))) <= 112


def test_closing_says_what_was_seen() -> None:
    said = " ".join(report.closing(OUTCOME).split())

    assert "Each of the 10 pages was compared" in said
    assert (
        "Stale beyond 500 ms after one of the 14 acknowledged changes: 0; stale at all: 4, by 500.0 ms at worst" in said
    )
    assert "listened again after 0.8 s, while the other one answered: 6 requests went there, 0 were not" in said


def test_what_must_not_be_is_said_in_capitals() -> None:
    said = report.closing(replace(OUTCOME, rows=[replace(ROW, wrong=2, stale_beyond=3)]))

    assert "WRONG PAGES: 2 of 5" in said
    assert "STALE PAGES: 3" in said


def test_opening_says_what_the_processes_share() -> None:
    assert "share a Redis that the demo starts" in report.opening(has_redis=True, bound_ms=500.0)
    without = " ".join(report.opening(has_redis=False, bound_ms=500.0).split())
    assert "redis-server is not installed" in without
    assert "at most 500 ms" in without


def test_document_keeps_every_figure() -> None:
    document = json.loads(json.dumps(OUTCOME.document()))

    assert document["rows"][0]["redis_share"] == 0.2
    assert document["restart"] == {"down_s": 0.75}
