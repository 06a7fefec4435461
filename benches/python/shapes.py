"""Shapes of call: the trivial functions that decorators.py and instructions.py decorate, and how they are called.

The functions do nothing, so that what is measured is the decorator. All imports are cheap: instructions.py pays
for them under valgrind.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

import loops
from loops import Function, Loop
from workload import KeyKind


class Shape(NamedTuple):
    """How a function is called.

    Attributes:
        loop: makes one call per key.
        function: what is decorated.
        kind: the type of the keys.
    """

    loop: Loop
    function: Function
    kind: KeyKind = "int"


def constant() -> None:
    return None


def identity(key: Hashable) -> Hashable:
    return key


def pair(key: Hashable, _: Hashable) -> Hashable:
    return key


def with_option(key: Hashable, option: Hashable) -> Hashable:  # noqa: ARG001 - it is part of the key
    return key


SHAPES: Mapping[str, Shape] = {
    "none": Shape(loops.call_bare, constant),
    "int": Shape(loops.call, identity),
    "str": Shape(loops.call, identity, "str"),
    "pair": Shape(loops.call_pair, pair),
    "keyword": Shape(loops.call_keyword, with_option),
    "keywords": Shape(loops.call_keywords, with_option),
}
