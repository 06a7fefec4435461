"""Redis as a tiered cache uses it: the requests, and what keeps this instance up to date with the others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from overdrive._core import xxh3_64
from overdrive._tiers.l2.epochs import TagEpochs
from overdrive._tiers.l2.positions import StreamId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overdrive._tiers.driving import IO
    from overdrive._tiers.l2.canary import Canary
    from overdrive._tiers.l2.leases import Leases
    from overdrive._tiers.l2.listener import Listener
    from overdrive._tiers.l2.recovery import RecoveryQueue
    from overdrive._tiers.l2.scripts import Steps
    from overdrive._tiers.l2.tier import RedisTier

__all__ = ("EVERYTHING", "Backplane", "hash_of_tag")


def hash_of_tag(tag: bytes) -> int:
    """Return the hash that stands for a tag in envelopes."""
    return xxh3_64(tag)


#: The hash of the tag that everything has, and that a `clear` invalidates.
EVERYTHING: Final = hash_of_tag(b"*")


class Backplane:
    """Redis, the listener, and what waits to be sent.

    Attributes:
        redis: does steps.
        steps: makes them.
        leases: what is being loaded here, so that its leases are extended.
    """
