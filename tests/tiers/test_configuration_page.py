"""docs/configuration.md says what the code does: its tables are those made here."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from overdrive import OptimizationLevel, PerformanceConfig
from overdrive._tiers.config import PREFIX
from overdrive._tiers.fields import FIELDS

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
COUNTED = {"max_threads": "2 x processors", "max_processes": "processors"}


def meanings() -> dict[str, str]:
    """What the docstring says of each field."""
    section = (PerformanceConfig.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    joined = re.sub(r"\n {12,}", " ", section)
    return dict(line.strip().split(": ", 1) for line in joined.splitlines())


def default(field: dataclasses.Field[object]) -> str:
    if field.name in OptimizationLevel.ADVANCED.preset:
        return "by level"
    if field.name in COUNTED:
        return COUNTED[field.name]
    value = getattr(field.default, "value", field.default)
    if isinstance(value, int) and value >= 2**20 and FIELDS[field.name].allowed.startswith("bytes"):
        return f"`'{value // 2**20}MiB'`"
    return f"`{value!r}`"


def fields_table() -> list[str]:
    described = meanings()
    rows = ["| field, variable | default | must be | meaning |", "|---|---|---|---|"]
    for each in dataclasses.fields(PerformanceConfig):
        variable = f"{PREFIX}{each.name.upper()}"
        allowed, meaning = FIELDS[each.name].allowed, described[each.name].removesuffix(".")
        rows.append(f"| `{each.name}`<br>`{variable}` | {default(each)} | {allowed} | {meaning} |")
    return rows


def levels_table() -> list[str]:
    levels = list(OptimizationLevel)
    rows = [f"| field | {' | '.join([level.name for level in levels])} | why |", f"|---|{'---|' * (len(levels) + 1)}"]
    for name in OptimizationLevel.BASIC.preset:
        values = [repr(level.preset[name].value) for level in levels]
        # Each reason once, from the level where the value changed to it.
        whys: list[str] = []
        for level in levels:
            setting = level.preset[name]
            why = f"{setting.value!r}: {setting.why}"
            if why not in whys:
                whys.append(why)
        rows.append(f"| `{name}` | {' | '.join(values)} | {'; '.join(whys)} |")
    return rows


def has(table: list[str]) -> bool:
    return "\n".join(table) in PAGE.read_text(encoding="utf-8")


def test_the_page_has_every_field() -> None:
    assert has(fields_table()), "\n".join(fields_table())


def test_the_page_has_every_level() -> None:
    assert has(levels_table()), "\n".join(levels_table())
