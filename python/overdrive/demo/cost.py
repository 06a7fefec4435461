"""What the cache itself costs: the same requests before a backend that does nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter_ns

from overdrive._progress import Advance
from overdrive.demo.contenders import Contender, Serve, shuffled

__all__ = ("cache_costs",)

ROUNDS = 7
PAGE = b""


def cache_costs(
    requests: Sequence[int],
    contenders: Sequence[Contender],
    *,
    maxsize: int,
    miss_ratios: Mapping[str, float],
    advance: Advance = lambda _: None,
) -> dict[str, float]:
    """Nanoseconds per request of each contender's cache, by name; best of several rounds in turns.

    Each round starts with an empty cache. The loop over the requests is subtracted, and so is the
    loader's call per miss, as measured in the same rounds: what is left is the cache.
    """
    loop = loads = float("inf")
    best = {who.name: float("inf") for who in contenders}
    for turn in range(ROUNDS):
        loop = min(loop, _time_loop(requests))
        loads = min(loads, _time_loads(_load, requests))
        for who in shuffled(contenders, turn):
            best[who.name] = min(best[who.name], _time_cache(who, requests, maxsize))
        advance((turn + 1) / ROUNDS)
    number = len(requests)
    per_load = (loads - loop) / number
    return {who.name: (best[who.name] - loop) / number - miss_ratios[who.name] * per_load for who in contenders}


def _load(_: int) -> bytes:
    return PAGE


def _time_loop(requests: Sequence[int]) -> int:
    began = perf_counter_ns()
    for _ in requests:
        pass
    return perf_counter_ns() - began


def _time_loads(load: Serve, requests: Sequence[int]) -> int:
    began = perf_counter_ns()
    for product in requests:
        load(product)
    return perf_counter_ns() - began


def _time_cache(contender: Contender, requests: Sequence[int], maxsize: int) -> int:
    replay = contender.build(_load, maxsize).replay
    began = perf_counter_ns()
    replay(requests)
    return perf_counter_ns() - began
