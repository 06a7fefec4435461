"""Show what each tier has of one key: what its envelope says, and whether an instance would return it.

The value itself is shown with --value only. Pickles are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overdrive._tiers.command.judging import BAD, TagClocks, judge
from overdrive._tiers.command.keys_given import add_key_arguments, encoded
from overdrive._tiers.command.showing import bytes_text, columns, seconds_text, show
from overdrive._tiers.keys import show_key
from overdrive._tiers.l2.step import Step

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from overdrive._tiers.command.judging import Judged
    from overdrive._tiers.command.places import Places, Redis

__all__ = ("SUMMARY", "add_arguments", "run")

SUMMARY = "show what each tier has of a key"
_MOST_SHOWN = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("key", metavar="KEY", help="the key, as text")
    add_key_arguments(parser)
    parser.add_argument("--value", action="store_true", help="show the value, too")


def run(options: argparse.Namespace, places: Places) -> int:
    """Show one key; 1 if it is in no tier, or what is there is bad."""
    key = encoded(options.key, options, places.config)
    document: dict[str, Any] = {"namespace": places.namespace, "key": show_key(key), "hex": key.hex()}
    lines = [f"key        {show_key(key)}"]
    verdicts = []
    clocks = TagClocks(places.redis)
    for name, blob, more in _found(places, key):
        lines += ["", name]
        if blob is None:
            document[name] = None
            lines += columns([*_rows(more), ("  verdict", "not there")])
            continue
        judged = judge(places, key, blob, clocks)
        if name == "l3" and more.get("is_suspect") and judged.verdict in ("fresh", "stale"):
            judged = judged._replace(verdict="suspect")
        verdicts.append(judged.verdict)
        facts = judged.facts(len(blob)) | more
        if options.value:
            facts["value"] = _value(judged)
        document[name] = facts
        lines += columns([*_rows(facts), ("  verdict", judged.words)])
    show(options, document, lines)
    return 0 if verdicts and BAD.isdisjoint(verdicts) else 1


def _found(places: Places, key: bytes) -> list[tuple[str, bytes | None, dict[str, Any]]]:
    """Return what each tier has: its name, the envelope, and what else is known."""
    found: list[tuple[str, bytes | None, dict[str, Any]]] = []
    if places.redis is not None:
        blob = places.redis.tier.call(places.redis.steps.get(key))
        found.append(("l2", blob, {"loading_for": _lease(places.redis, key)}))
    if places.disk is not None:
        row = places.disk.tier.get(key)
        if row is None:
            found.append(("l3", None, {}))
        else:
            found.append(("l3", row.blob, {"is_suspect": row.suspect, "attach_id": row.attach.hex() or None}))
    return found


def _lease(redis: Redis, key: bytes) -> float | None:
    """Return for how many seconds an instance that loads the key keeps others from it; `None` if none does."""
    left = redis.tier.call(Step("pttl", int, ("PTTL", redis.steps.leases + key)))
    return left / 1000 if left > 0 else None


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f"  {name}", _text(name, value)) for name, value in facts.items() if name != "verdict"]


def _text(name: str, value: Any) -> str:
    if name in ("age", "fresh_for", "kept_for"):
        return seconds_text(value)
    if name in ("bytes", "value_bytes"):
        return bytes_text(value)
    if name == "value":
        return str(value)
    if isinstance(value, list):
        return " ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _value(judged: Judged) -> str:
    if judged.payload is None or judged.header is None:
        return "not shown: it cannot be trusted"
    from overdrive._tiers.values.codec import READERS

    if judged.header.null:
        return "None" if not len(judged.payload) else "an error that was kept"
    reader = READERS.get(judged.header.serializer)
    if reader is None:
        return "not shown: reading it could run code"
    try:
        text = repr(reader(judged.payload))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no value
        return f"cannot be read: {error}"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}... ({len(text):,} characters)"
