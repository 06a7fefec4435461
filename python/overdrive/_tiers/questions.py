"""How a cache is asked: the questions that its methods put to the tiers."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from overdrive._core import _TieredCache
from overdrive._tiers.ask import Ask
from overdrive._tiers.context import context_parameter
from overdrive._tiers.found import Found
from overdrive._tiers.reading import described

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from datetime import timedelta
    from typing import TypeAlias, TypeVar

    from overdrive._tiers.building import Parts
    from overdrive._tiers.memory import SharedMemory
    from overdrive._tiers.terms import Terms
    from overdrive._tiers.tiers import Tiers

    Seconds: TypeAlias = float | timedelta | str
    T = TypeVar("T")

__all__ = ("Questions",)


class Questions(_TieredCache[Any, Any]):
    """What the methods of a tiered cache have in common."""

    _parts: Parts
    _tiers: Tiers
    _terms: Terms
    _memory: SharedMemory
    _encode: Callable[[Hashable], bytes]
    _flights: dict[Hashable, Any]
    _task_flights: dict[Hashable, Any]

    def _ask(self, key: Hashable, loader: Callable[..., Any] | None = None, terms: Terms | None = None) -> Ask:
        return Ask(
            self._encode(key),
            self._memory,
            key,
            self._terms if terms is None else terms,
            loader,
            (key,),
            context_name=None if loader is None else context_parameter(loader),
        )

    def _asks(self, keys: Iterable[Hashable], loader: Callable[..., Any] | None = None) -> list[Ask]:
        return [self._ask(key, loader) for key in dict.fromkeys(keys)]

    def _described(self, key: Hashable, value: object, terms: Terms) -> tuple[Ask, Found]:
        if value is None and terms.negative_ttl is None:
            terms = terms._replace(negative_ttl=inf)  # it is set, not loaded: that is asking for it to be kept
        ask = self._ask(key, None, terms)
        return ask, described(self._tiers, ask, value)
