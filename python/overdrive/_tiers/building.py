"""Making the parts of a tiered cache from what its user asked for, and ending them."""

from __future__ import annotations

import time
from math import inf, isinf
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

from overdrive._core import Coherence
from overdrive._memoize.options import Options
from overdrive._tiers.keys import key_encoder
from overdrive._tiers.memory import SharedMemory
from overdrive._tiers.names import SHARED_SLOTS, hash_of_text
from overdrive._tiers.quantities import parse_bytes
from overdrive._tiers.shared_table import open_table
from overdrive._tiers.stats import StatsTally
from overdrive._tiers.terms import Terms, duration, terms
from overdrive._tiers.tiers import Tiers
from overdrive._tiers.watching import Watch
from overdrive.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any

    from overdrive._tiers.l2.backplane import Backplane
    from overdrive._tiers.l3.tier import DiskTier
    from overdrive._tiers.values.codec import Codec
    from overdrive._tiers.values.serializers import Serializer

__all__ = ("Parts", "build")

# Options of the cache that are the terms of its values unless they have others.
_TERMS = (
    "ttl",
    "stale",
    "stale_if_error",
    "early",
    "jitter",
    "negative_ttl",
    "soft_timeout",
    "hard_timeout",
    "wait_timeout",
)
_THROTTLE_SECONDS = 30.0
_FUNCTION_MAXSIZE = 1024
# Of the bytes of the disk tier, for one value.
_LARGEST_SHARE = 0.05
# Slots of 8 bytes, of a table that is not shared.
_SLOTS_PER_ITEM = 8
_FEWEST_SLOTS, _MOST_SLOTS = 1 << 16, 1 << 22


class Parts(NamedTuple):
    """What a tiered cache is made of.

    Attributes:
        namespace: what tells it from others.
        tiers: what the logic works on.
        memory: L1.
        terms: on which terms values are cached unless they have others.
        encode_key: makes bytes of a key.
        function_maxsize: how many results of each decorated function memory keeps, unless it says so itself.
        max_key_bytes: how long a key may be as bytes.
        hashes_keys: whether keys are written as hashes.
        key_secret: what these are made with, if there is a secret.
        serializer: how values are written.
        version: the version of what is cached.
        watch: since when the tiers are as they are.
        functions: those that are decorated, while they live.
    """

    namespace: str
    tiers: Tiers
    memory: SharedMemory
    terms: Terms
    encode_key: Callable[[Hashable], bytes]
    function_maxsize: float
    max_key_bytes: int
    hashes_keys: bool
    key_secret: bytes | None
    serializer: str | Serializer
    version: int | str
    watch: Watch
    functions: WeakSet[Any]


def build(**options: Any) -> Parts:
    """Return the parts of a cache.

    Raises:
        ConfigError: an option, or a combination, cannot work.
        TypeError: one is of the wrong type.
    """
    clock = options["clock"]
    now: Callable[[], float] = clock or time.monotonic
    wall: Callable[[], float] = clock or time.time
    namespace = _namespace(options["namespace"])
    if not isinstance(options["prefetch"], bool):
        raise TypeError(f"prefetch must be a bool, got {options['prefetch']!r}")
    lookahead = options["prefetch_lookahead"]
    if isinstance(lookahead, bool) or not isinstance(lookahead, int) or not 1 <= lookahead <= 16:
        raise ConfigError(f"prefetch_lookahead must be a whole number from 1 to 16 keys, got {lookahead!r}")
    budget = options["prefetch_budget"]
    if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not 0 <= budget <= 1:
        raise ConfigError(f"prefetch_budget must be from 0 to 1 loads per request, got {budget!r}")
    own_terms = terms(Terms(Options(ttl=3600.0, timed=True, clock=clock)), **{name: options[name] for name in _TERMS})
    horizon = duration("max_staleness", options["max_staleness"])
    lease = duration("lease", options["lease"])
    if options["on_disconnect"] not in ("l2", "stale"):
        raise ConfigError(f"on_disconnect must be 'l2' or 'stale', got {options['on_disconnect']!r}")
    if horizon < 0.02 or horizon == inf:
        raise ConfigError(f"max_staleness must be at least 0.02 s and finite, got {horizon!r}")
    if not 0.05 <= lease < inf:
        raise ConfigError(f"lease must be at least 0.05 s and finite, got {lease!r}")
    max_key_bytes = _bytes("max_key_bytes", options["max_key_bytes"])
    encode_key = key_encoder(
        max_bytes=max_key_bytes, hash_keys=options["hash_keys"], secret=_first_secret(options["secret"])
    )
    codec = _codec(namespace, options)
    folder = None if options["l3"] is None else Path(options["l3"]) / namespace
    disk = None if folder is None else _disk(folder, options, wall)
    watch = Watch(wall)
    maxsize, max_bytes = _memory_limits(options["l1"], options["l1_max_bytes"])
    coherence: Coherence | None = None
    if disk is not None and folder is not None and options["l2"] is None:
        # Processes that share a disk without Redis hear of each other's changes by a table in a file there.
        try:
            coherence = open_table(folder / "generations")
        except (OSError, ValueError) as error:
            # Without it the disk is done without, also when it is well again: nobody would hear of this process.
            watch.note_no_disk(f"{type(error).__name__}: {error}")
            disk.close()
            disk = None
    if coherence is None:
        coherence = Coherence(slots=_slots(maxsize))
    tiers = Tiers(
        coherence=coherence,
        codec=codec,
        backplane=None,
        disk=disk,
        tally=StatsTally(),
        horizon=horizon,
        on_disconnect=options["on_disconnect"],
        lease_seconds=lease,
        throttle_seconds=_THROTTLE_SECONDS,
        now=now,
        wall=wall,
    )
    if options["l3_max_bytes"] is not None:
        tiers.largest_on_disk = _LARGEST_SHARE * _bytes("l3_max_bytes", options["l3_max_bytes"])
    if options["l2"] is None:
        coherence.trust(inf)
    else:
        tiers.backplane = _backplane(namespace, options, tiers, horizon, lease)
    memory = SharedMemory(
        maxsize,
        max_bytes,
        options["policy"],
        None if disk is None else tiers.demote,
        clock,
        tells_who_left=options["prefetch"],
    )
    return Parts(
        namespace=namespace,
        tiers=tiers,
        memory=memory,
        terms=own_terms,
        encode_key=encode_key,
        # Where memory is limited in bytes that says nothing of functions.
        function_maxsize=_FUNCTION_MAXSIZE if maxsize is None else maxsize,
        max_key_bytes=max_key_bytes,
        hashes_keys=options["hash_keys"],
        key_secret=_first_secret(options["secret"]),
        serializer=options["serializer"],
        version=options["version"],
        watch=watch,
        functions=WeakSet(),
    )


def _namespace(namespace: object) -> str:
    from overdrive._tiers.l2.scripts import check_namespace

    if not isinstance(namespace, str):
        raise TypeError(f"namespace must be a str, got {namespace!r}")
    return check_namespace(namespace)


def _slots(maxsize: float | None) -> int:
    """Return into how many slots names are hashed: what changes takes all with it that share its slot."""
    if maxsize is None or isinf(maxsize):
        return SHARED_SLOTS
    wanted = 1 << (int(maxsize) * _SLOTS_PER_ITEM - 1).bit_length()
    return min(max(wanted, _FEWEST_SLOTS), _MOST_SLOTS)


def _memory_limits(l1: object, l1_max_bytes: Any) -> tuple[float | None, int | None]:
    max_bytes = None if l1_max_bytes is None else _bytes("l1_max_bytes", l1_max_bytes)
    if isinstance(l1, str):
        if max_bytes is not None:
            raise ConfigError(f"l1_max_bytes is given, and l1 is a size, too: {l1_max_bytes!r} and {l1!r}")
        return None, _bytes("l1", l1)
    if isinstance(l1, bool) or not isinstance(l1, (int, float)):
        raise TypeError(f"l1 must be a number of items or a size such as '64MB', got {l1!r}")
    if not l1 >= 1:
        raise ConfigError(f"l1 must be at least 1 item, got {l1!r}")
    return (None if l1 == inf else l1), max_bytes


def _bytes(name: str, size: Any) -> int:
    try:
        return parse_bytes(size)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None


def _first_secret(secret: Any) -> bytes | None:
    first = secret if secret is None or isinstance(secret, (str, bytes)) else next(iter(secret), None)
    return first.encode() if isinstance(first, str) else first


def _codec(namespace: str, options: dict[str, Any]) -> Codec:
    from overdrive._tiers.values.codec import Codec

    secret = options["secret"]
    if secret is None and options["serializer"] == "pickle" and options["l2"] is None and options["l3"] is not None:
        from overdrive._tiers.values.secrets import host_secret

        # Pickles from the disk are signed, too: with a key that only this user can read.
        Path(options["l3"]).mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = host_secret(Path(options["l3"]) / f"{namespace}.key")
    return Codec(
        namespace,
        secret=secret,
        serializer=options["serializer"],
        version=options["version"],
        compression=options["compression"],
        encrypt=options["encrypt"],
        max_bytes=_bytes("max_value_bytes", options["max_value_bytes"]),
        allow_unsigned_pickle=options["allow_unsigned_pickle"],
    )


def _disk(folder: Path, options: dict[str, Any], wall: Callable[[], float]) -> DiskTier:
    from overdrive._tiers.l3.tier import DiskTier

    max_bytes = options["l3_max_bytes"]
    return DiskTier(
        folder,
        max_entries=options["l3_max_entries"],
        max_bytes=None if max_bytes is None else _bytes("l3_max_bytes", max_bytes),
        clock=wall,
    )


def _backplane(namespace: str, options: dict[str, Any], tiers: Tiers, horizon: float, lease: float) -> Backplane:
    from overdrive._tiers.l2.backplane import Backplane, new_origin
    from overdrive._tiers.l2.canary import Canary
    from overdrive._tiers.l2.delivery import Hooks
    from overdrive._tiers.l2.epochs import TagEpochs
    from overdrive._tiers.l2.journal import Journal
    from overdrive._tiers.l2.leases import Leases
    from overdrive._tiers.l2.link import connector
    from overdrive._tiers.l2.listener import Listener
    from overdrive._tiers.l2.recovery import Recovery
    from overdrive._tiers.l2.scripts import Steps
    from overdrive._tiers.l2.tier import RedisTier
    from overdrive._tiers.l2.tracking import Tracking

    origin = new_origin()
    redis = RedisTier(options["l2"], namespace=namespace, budget=duration("budget", options["budget"]))
    limit = options["l2_max_entries"] or 0
    steps = Steps(namespace, origin=origin, limit=limit)
    journal = None if options["l3"] is None else Journal(Path(options["l3"]) / f"{namespace}.pending", namespace)
    epochs = TagEpochs()
    codec = tiers.codec

    def version_of(head: bytes) -> int | None:
        header = codec.header(head)
        return None if header is None else header.version

    tracking = Tracking(version_of) if options["tracking"] else None
    disk = tiers.disk
    hooks = Hooks(on_probe=lambda token: canary.heard(token), on_attached=lambda: recovery.retry())
    if disk is not None:
        hooks = hooks._replace(on_keys=disk.delete_many, on_tags=tiers.forget_tags, on_clear=disk.clear)
    listener = Listener(
        connector(redis.route, reports=tracking is not None),
        steps.prefix,
        tiers.coherence,
        epochs=epochs,
        hash_tag=hash_of_text,
        max_staleness=horizon,
        hooks=hooks,
        tracking=tracking,
        origin=origin,
        now=tiers.now,
    )
    canary = Canary(listener, lambda token: redis.call(steps.probe(token)))
    lease_ms = max(1, round(lease * 1000))
    # Of another origin: when what was pending is delivered, this instance has to be told as well.
    recovery = Recovery(redis, Steps(namespace, origin=b"recovery", limit=limit), journal=journal)
    return Backplane(
        tracking=tracking,
        coherence=tiers.coherence,
        now=tiers.now,
        redis=redis,
        steps=steps,
        listener=listener,
        epochs=epochs,
        leases=Leases(lambda key, token: redis.call(steps.extend(key, token, lease_ms)), lease),
        recovery=recovery,
        canary=canary,
    )
