"""The operations that are measured, each defined once for compare.py and bench_ops.py.

An operation is a loop, a subject for it to work on, and a feed of its arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import feeds
import loops
import subjects
from contenders import Contender, Form
from feeds import Arguments, Feed, Stage
from loops import Loop
from subjects import Maker
from workload import KeyKind

SMALL = 1_000
LARGE = 100_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One operation of one class of one contender, ready to be timed."""

    loop: Loop
    feed: Iterator[Arguments]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the comparison.

    Attributes:
        name: what `--ops` matches.
        loops: the timed loop for each form of subject that can do the operation.
        native: false where a method of a subclass runs in every operation.
        entries: how many entries the cache holds; a pass is that many operations.
    """

    name: str
    loops: Mapping[Form, Loop]
    feed: Feed
    subject: Maker = subjects.cache
    kind: KeyKind = "int"
    entries: int = SMALL
    native: bool = True

    def prepare(self, contender: Contender, policy: str) -> Cell | None:
        """Build the subject, or return None if the contender has no such operation."""
        subject = self.subject(contender, policy, self.entries)
        if subject is None or subject.form not in self.loops:
            return None
        stage = Stage(subject, self.kind, self.entries)
        return Cell(loops.fresh(self.loops[subject.form]), self.feed(stage))


def _mapping(loop: Loop) -> Mapping[Form, Loop]:
    return {"mapping": loop}


READ: Mapping[Form, Loop] = {"mapping": loops.getitem, "call": loops.call}
GET: Mapping[Form, Loop] = {"mapping": loops.get, "methods": loops.get}
SET: Mapping[Form, Loop] = {"mapping": loops.setitem, "methods": loops.set_method}
INSERT: Mapping[Form, Loop] = {**SET, "call": loops.call}
GET_OR_SET: Mapping[Form, Loop] = {
    "mapping": loops.get_or_set,
    "methods": loops.get_or_set_method,
    "call": loops.call,
}
CALL: Mapping[Form, Loop] = {"call": loops.call}

OPERATIONS = (
    Operation("getitem-int", READ, feeds.hits),
    Operation("getitem-int-equal", READ, feeds.equal_hits),
    Operation("getitem-str", READ, feeds.hits, kind="str"),
    Operation("getitem-str-equal", READ, feeds.equal_hits, kind="str"),
    Operation("getitem-tuple", READ, feeds.hits, kind="tuple"),
    Operation("getitem-tuple-equal", READ, feeds.equal_hits, kind="tuple"),
    Operation("getitem-int-100k", READ, feeds.hits, entries=LARGE),
    Operation("getitem-str-100k", READ, feeds.hits, kind="str", entries=LARGE),
    Operation("getitem-miss", _mapping(loops.getitem_or_error), feeds.misses),
    Operation("get-hit", GET, feeds.hits),
    Operation("get-miss", GET, feeds.misses),
    Operation("contains-hit", _mapping(loops.contains), feeds.hits),
    Operation("contains-miss", _mapping(loops.contains), feeds.misses),
    Operation("setdefault-hit", _mapping(loops.setdefault), feeds.hits),
    Operation("update", SET, feeds.hits),
    Operation("update-100k", SET, feeds.hits, entries=LARGE),
    Operation("set-evict", INSERT, feeds.unseen, subjects.bounded_cache),
    Operation("set-evict-str", INSERT, feeds.unseen, subjects.bounded_cache, kind="str"),
    Operation("set-evict-100k", INSERT, feeds.unseen, subjects.bounded_cache, entries=LARGE),
    Operation("delete-set", _mapping(loops.delete_and_set), feeds.hits),
    Operation("pop-hit", _mapping(loops.pop), feeds.refilled),
    Operation("pop-miss", _mapping(loops.pop_default), feeds.misses),
    Operation("popitem-set", _mapping(loops.popitem_and_set), feeds.hits),
    Operation("zipf", GET_OR_SET, feeds.requests),
    Operation("iterate-keys", _mapping(loops.iterate_keys), feeds.whole),
    Operation("iterate-items", _mapping(loops.iterate_items), feeds.whole),
    Operation("iterate-values", _mapping(loops.iterate_values), feeds.whole),
    Operation("len", _mapping(loops.length), feeds.hits),
    Operation("construct", _mapping(loops.construct), feeds.constructions, subjects.constructor),
    Operation("clear", _mapping(loops.clear), feeds.whole_refilled),
    Operation("weighted-evict", _mapping(loops.setitem_pairs), feeds.weighted_unseen, subjects.weighted_cache),
    Operation("hooked-getitem", READ, feeds.hits, subjects.hooked_cache("__getitem__"), native=False),
    Operation("hooked-popitem", SET, feeds.unseen, subjects.hooked_cache("popitem"), native=False),
    Operation("hooked-missing", READ, feeds.misses, subjects.hooked_cache("__missing__"), native=False),
    Operation("cached", CALL, feeds.calls, subjects.cached_function),
    Operation("cached-pair", {"call": loops.call_pair}, feeds.calls, subjects.cached_function),
    Operation("cached-keyword", {"call": loops.call_keyword}, feeds.calls, subjects.cached_function),
    Operation("func", CALL, feeds.calls, subjects.ready_made_function),
)
