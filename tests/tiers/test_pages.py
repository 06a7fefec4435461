"""docs/tiers.md and docs/operations.md name everything there is."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from overdrive import Health, IntelligentCache, TieredCache, TieredStats, TierStats
from overdrive._tiers.command import ACTIONS
from overdrive._tiers.command.judging import BAD, REASONS
from overdrive._tiers.terms import TermOptions

DOCS = Path(__file__).parents[2] / "docs"
TIERS = (DOCS / "tiers.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")


def names_in_code(text: str) -> set[str]:
    """Return the names within backticks."""
    return {name for code in re.findall(r"`([^`\n]+)`", text) for name in re.findall(r"[a-z_0-9]+", code)}


def test_every_method_is_in_the_table() -> None:
    # What the parts of a cache tell each other.
    inner = {"has_lower_tiers", "is_remembered", "prefetcher"}
    methods = {name for name in vars(TieredCache) if not name.startswith("_")} | {"get", "aget"}
    table = TIERS.partition("## Methods")[2].partition("## Options")[0]
    assert methods - inner - names_in_code(table) == set()


def test_every_option_is_in_a_table() -> None:
    options = set(inspect.signature(TieredCache.__init__).parameters) - {"self"}
    tables = TIERS.partition("## Lifetimes")[2].partition("## Tags")[0] + TIERS.partition("## Options")[2]
    assert options - names_in_code(tables) == set()


def test_defaults_in_the_tables_are_those_of_the_code() -> None:
    defaults = {name: each.default for name, each in inspect.signature(TieredCache.__init__).parameters.items()}
    rows = dict(re.findall(r"^\| `([a-z_0-9]+)` \| `?([^|`]+)`? \|", TIERS, re.MULTILINE))
    written = {name: rows[name].strip() for name in rows.keys() & defaults.keys()}
    assert len(written) > 15
    units = {
        "1 hour": "3600.0",
        "1 s": "1.0",
        "10 s": "10.0",
        "0.15 s": "0.15",
        "0": "0.0",
        "that of the system": "None",
    }
    for name, text in written.items():
        assert text.strip('"') in (str(defaults[name]), "none") or units[text] == str(defaults[name]), name


def test_every_term_is_described() -> None:
    assert set(TermOptions.__annotations__) - names_in_code(TIERS.partition("## Lifetimes")[2]) == set()


def test_what_the_config_adds_is_named() -> None:
    added = {name for name in vars(IntelligentCache) if not name.startswith("_")}
    assert added - names_in_code(TIERS) == set()


@pytest.mark.parametrize("counted", [TieredStats, TierStats])
def test_every_counter_is_explained(counted: type) -> None:
    table = OPERATIONS.partition("## What is counted")[2].partition("## How large")[0]
    fields = {each.name for each in dataclasses.fields(counted)} - {"l1", "l2", "l3"}
    assert fields - names_in_code(table) == set()


def test_every_attribute_of_health_is_explained() -> None:
    section = OPERATIONS.partition("## Health")[2].partition("## Logs")[0]
    assert {each.name for each in dataclasses.fields(Health)} - names_in_code(section) == set()


def test_every_action_and_verdict_is_explained() -> None:
    section = OPERATIONS.partition("## The command line")[2].partition("## Health")[0]
    assert set(ACTIONS) - names_in_code(section) == set()
    assert (set(REASONS) | BAD | {"fresh", "stale", "expired"}) - names_in_code(section) == set()


def test_links_to_sections_lead_somewhere() -> None:
    for page, text in (("tiers.md", TIERS), ("operations.md", OPERATIONS)):
        for target, section in re.findall(r"\]\(([a-z_]*\.?m?d?)#([a-z-]+)\)", text):
            headings = re.findall(r"^#+ (.*)$", (DOCS / (target or page)).read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert section in slugs, f"{page}: {target}#{section}"
