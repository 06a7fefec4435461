"""Estimates for a live cache: what they say."""

from __future__ import annotations

from overdrive._what_if import WhatIf, WhatIfRow


def row(policy: str, size: int, hit_ratio: float, error: float = 0.0, *, rough: bool = False) -> WhatIfRow:
    return WhatIfRow(policy, size, hit_ratio, error, sampled=5000, rough=rough, full=True)


def estimates(*rows: WhatIfRow) -> WhatIf:
    return WhatIf(row("lru", 1000, 0.71), rows, lookups=20_000, rate=0.25, memory=100_000)


def test_text_names_what_differs() -> None:
    found = estimates(
        row("lru", 1000, 0.71),
        row("lru", 2000, 0.83),
        row("lru", 500, 0.6),
        row("lfu", 1000, 0.741),
        row("lfu", 2000, 0.8),
    )

    assert str(found) == ("hit ratio now 71.0 %; 2x size: 83.0 %; 0.5x size: 60.0 %; lfu: 74.1 %; lfu, 2x size: 80.0 %")


def test_text_says_how_sure_an_estimate_is() -> None:
    found = estimates(row("arc", 1000, 0.72, 0.005), row("sieve", 1000, 0.73, 0.0001, rough=True))

    assert str(found) == "hit ratio now 71.0 %; arc: 72.0 % +-1.0; sieve: 73.0 % (rough)"


def test_rows_are_iterated() -> None:
    rows = (row("arc", 1000, 0.72), row("lfu", 1000, 0.7))

    assert tuple(estimates(*rows)) == rows
    assert len(estimates(*rows)) == 2
    assert repr(estimates(*rows)) == "<WhatIf after 20000 lookups: 2 estimates>"
