"""Write a probe to Redis and wait for it where invalidations are heard: are changes told to all instances, how fast?

What keeps them back, such as a proxy, makes this fail while everything else looks well.
"""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING

from overdrive._tiers.command.places import Trouble
from overdrive._tiers.command.showing import show
from overdrive.exceptions import TierUnavailable

if TYPE_CHECKING:
    import argparse

    from overdrive._tiers.command.places import Places, Redis
    from overdrive._tiers.l2.canary import Canary
    from overdrive._tiers.l2.listener import Listener

__all__ = ("SUMMARY", "add_arguments", "run")

SUMMARY = "check that invalidations arrive, and how fast"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--count", type=int, default=5, metavar="N", help="how many probes (default: 5)")


def run(options: argparse.Namespace, places: Places) -> int:
    """Probe; 1 if a probe was not heard."""
    if options.count < 1:
        raise Trouble(f"--count must be at least 1, got {options.count}")
    if places.redis is None:
        raise Trouble("only Redis tells instances of changes: give --l2 URL")
    listener, canary = _parts(places.redis, options.timeout)
    try:
        listener.start()
        _await_attached(listener, options.timeout)
        outcomes = [canary.probe() for _ in range(options.count)]
    finally:
        canary.close()
        listener.close()
    if any(outcome.state == "unknown" for outcome in outcomes):
        raise TierUnavailable(f"a probe could not be written, or the connection broke: {listener.health().last_error}")
    heard = sorted(outcome.latency for outcome in outcomes if outcome.latency is not None)
    document = {
        "namespace": places.namespace,
        "probes": len(outcomes),
        "heard": len(heard),
        "latency_ms": [round(latency * 1000, 3) for latency in heard],
    }
    line = f"{len(heard)} of {len(outcomes)} probes were heard"
    if heard:
        line += f", in {heard[0] * 1000:.1f} to {heard[-1] * 1000:.1f} ms"
    show(options, document, [line])
    return 0 if len(heard) == len(outcomes) else 1


def _parts(redis: Redis, timeout: float) -> tuple[Listener, Canary]:
    """Return what an instance has, too."""
    from overdrive._core import Coherence
    from overdrive._tiers.l2.canary import Canary
    from overdrive._tiers.l2.delivery import Hooks
    from overdrive._tiers.l2.epochs import TagEpochs
    from overdrive._tiers.l2.link import connector
    from overdrive._tiers.l2.listener import Listener
    from overdrive._tiers.names import hash_of_text

    steps = redis.steps
    listener = Listener(
        connector(redis.tier.route),
        steps.prefix,
        Coherence(),
        epochs=TagEpochs(),
        hash_tag=hash_of_text,
        max_staleness=timeout,
        hooks=Hooks(on_probe=lambda token: canary.heard(token)),
    )
    canary = Canary(listener, lambda token: redis.tier.call(steps.probe(token)))
    return listener, canary


def _await_attached(listener: Listener, timeout: float) -> None:
    deadline = monotonic() + timeout
    while listener.health().state != "attached":
        if monotonic() >= deadline:
            raise TierUnavailable(
                f"the stream cannot be followed: {listener.health().last_error or 'no answer in time'}"
            )
        sleep(0.005)
