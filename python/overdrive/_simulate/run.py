"""`overdrive.simulate`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

from overdrive import _core
from overdrive._core import RequestTrace
from overdrive._simulate import sizes as wanted
from overdrive._simulate.objects import from_buffer, from_objects
from overdrive._simulate.reading import read
from overdrive._simulate.results import CEILING, Row, Simulation

__all__ = ("replayed", "simulate", "trace_of")

# Requests replayed in all, over all cells: about a minute. Beyond that, a sample of the keys is replayed.
AFFORDABLE = 2_000_000_000
# A sampled cache of fewer keys says little; small caches are replayed with more of the keys.
LEAST_SAMPLED = 128

Trace = str | os.PathLike[str] | Iterable[Hashable] | RequestTrace


def simulate(
    trace: Trace,
    *,
    sizes: Sequence[int | str] = wanted.DEFAULT,
    policies: Sequence[str] | None = None,
    column: str | int | None = None,
    sample: float | None = None,
    seed: int = 0,
    progress: Callable[[float], object] | None = None,
) -> Simulation:
    """Replay requests through policies at several sizes: which would have hit how often?

    Every replay begins with an empty cache of items of size one, and stores what it misses. `opt` is replayed
    along: Belady's optimum, which knows the future and which no policy can beat.

    Args:
        trace: a file (.npz or .npy of integers; .csv or .tsv; text with one key a line; what a cache recorded;
            all but .npz may be compressed: .gz, .xz, .zst), an array of integers, or any iterable of hashable keys.
        sizes: in keys, or in shares of the different keys requested, such as `"10%"`.
        policies: their names; all by default. `"rr"` is another name of `"random"`.
        column: which column of a .csv or .tsv holds the keys: its name, or its number from 1. By default the one
            called `key`, or the only one.
        sample: the share of keys whose requests are replayed, above 0 and at most 1, in a cache as much smaller.
            1 is exact. By default 1 unless that would take minutes; small caches get more of the keys. Each row says
            what it is based on.
        seed: from which the sample and random replacement are drawn.
        progress: called with the share done, from 0 to 1, a few times a second.

    Returns:
        The hit ratio of each policy at each size, and a recommendation.

    Raises:
        TraceError: (a `ValueError`) if a file cannot be read, is malformed or has no request.
        ValueError: if an argument is out of its range, or there are no requests.
        TypeError: if a key cannot be hashed.

    Cost: per request, policy and size 4 to 60 ns; 4 bytes a request and 4 a key. Other threads run meanwhile, and
    Ctrl-C works. Thread-safe.

    Source: sampling is that of Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST '15.
    """
    names = _names(policies)
    if sample is not None and not 0 < sample <= 1:
        raise ValueError(f"sample {sample!r} is not above 0 and at most 1")
    return replayed(trace_of(trace, column), sizes, names, sample=sample, seed=seed, progress=progress)


def trace_of(trace: Trace, column: str | int | None = None) -> RequestTrace:
    """The requests, wherever they are."""
    if isinstance(column, int) and column < 1:
        raise ValueError(f"column {column} is below the limit of 1")
    if isinstance(trace, RequestTrace):
        return trace
    if isinstance(trace, str | os.PathLike):
        return read(Path(trace), column)
    try:
        buffer = memoryview(trace)  # type: ignore[arg-type]  # that is the question
    except TypeError:
        return from_objects(trace)
    return from_buffer(buffer)


def _names(policies: Sequence[str] | None) -> list[str]:
    known = _core.policies()
    if policies is None:
        return known
    if isinstance(policies, str):
        raise TypeError(f"policies {policies!r} is a string, a sequence of names is needed")
    chosen = {{"rr": "random"}.get(policy.lower(), policy.lower()) for policy in policies}
    for policy in chosen:
        if policy not in known:
            raise ValueError(f"policy {policy!r} is not one of {', '.join(known)}")
    if not chosen - {CEILING}:
        raise ValueError(f"policies has none besides {CEILING!r}, which no cache can follow")
    return [name for name in known if name in chosen or name == CEILING]


def replayed(
    trace: RequestTrace,
    sizes: Sequence[int | str],
    policies: Sequence[str],
    *,
    sample: float | None,
    seed: int,
    progress: Callable[[float], object] | None,
) -> Simulation:
    """Replay a trace through each of the policies at each of the sizes."""
    if not len(trace):
        raise ValueError("the trace has no request")
    keys = max(trace.keys, round(trace.keys / trace.rate))
    in_keys = wanted.keys_of(sizes, keys)
    if in_keys[0] * trace.rate < 1:
        raise ValueError(f"size {in_keys[0]} is too small for a recording of 1 key in {1 / trace.rate:.0f}")
    samples = _Samples(trace, seed)
    rate = _affordable(len(trace) * len(in_keys) * len(policies)) if sample is None else sample
    cells = [(policy, size, _rate_for(size * trace.rate, rate)) for policy in policies for size in in_keys]
    total = sum(len(samples.at(rate)) for *_, rate in cells)
    rows: list[Row] = []
    done = 0
    for policy, size, rate in cells:
        part = samples.at(rate)
        before = done

        def advance(requests: int, before: int = before) -> None:
            if progress is not None:
                progress((before + requests) / total)

        rows.append(_cell(part, policy, size, seed, advance))
        done += len(part)
    return Simulation(rows, requests=trace.observed or len(trace), keys=keys, seed=seed)


class _Samples:
    """A trace and parts of it, each made once."""

    def __init__(self, trace: RequestTrace, seed: int) -> None:
        self._made = {1.0: trace}
        self._seed = seed

    def at(self, rate: float) -> RequestTrace:
        if rate not in self._made:
            self._made[rate] = self._made[1.0].sampled(rate, self._seed)
        return self._made[rate]


def _affordable(requests: int) -> float:
    """The share of keys to replay, a negative power of two, 1 if all can be."""
    return 1.0 if requests <= AFFORDABLE else 2.0 ** math.floor(math.log2(AFFORDABLE / requests))


def _rate_for(size: float, rate: float) -> float:
    """The share of keys to replay for a cache of this size."""
    while rate < 1 and size * rate < LEAST_SAMPLED:
        rate = min(1.0, rate * 2)
    return rate


def _cell(part: RequestTrace, policy: str, size: int, seed: int, advance: Callable[[int], None]) -> Row:
    hits, evictions, nanoseconds = part.replay(policy, max(1, round(size * part.rate)), seed, advance)
    requests = len(part)
    return Row(
        policy=policy,
        size=size,
        hit_ratio=_hit_ratio(hits, part),
        hits=hits,
        requests=requests,
        evictions=evictions,
        ns_per_request=nanoseconds / max(1, requests),
        sample_rate=part.rate,
    )


def _hit_ratio(hits: int, part: RequestTrace) -> float:
    """Hits per request.

    Whether a sample holds the few hottest keys is a matter of luck, and moves the number of its requests. Requests
    for those keys are hits in any cache, so the difference to the number expected counts as hits (SHARDS-adj).
    """
    requests = len(part)
    if part.rate == 1 or part.observed is None:
        return hits / max(1, requests)
    expected = part.observed * part.rate
    return min(1.0, max(0.0, (hits + expected - requests) / expected))
