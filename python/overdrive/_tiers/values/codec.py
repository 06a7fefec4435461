"""A namespace's values as envelopes, and back."""

from __future__ import annotations

import copy
import logging
import random
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from overdrive._core import Sealer, _decode_value, xxh3_64
from overdrive._tiers.values import arrays, automatic, messages, pickles
from overdrive._tiers.values.alarm import Alarm
from overdrive._tiers.values.negative import NULL, Errors, Negative
from overdrive._tiers.values.schema import schema_id
from overdrive._tiers.values.secrets import keys_of
from overdrive._tiers.values.serializers import (
    BYTES,
    EXACT,
    FIRST_OF_USERS,
    JSON,
    MSGPACK,
    PICKLE,
    RAW,
    STR,
    Payload,
    Serializer,
    ValueTooLargeError,
)
from overdrive._tiers.values.typed import typed
from overdrive.exceptions import ConfigError, SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self

    from overdrive._core import Header
    from overdrive._tiers.values.secrets import Secrets
    from overdrive._tiers.values.serializers import Reader

__all__ = ("Codec", "Decoded", "Refusal", "tag_hash")

logger = logging.getLogger("overdrive.values")

MAX_BYTES: Final = 64 << 20
SKEW_MS: Final = 60_000  # how far clocks may be apart before it is told
WRITERS: Final = {
    "auto": automatic.write,
    "exact": automatic.write_exact,
    "json": automatic.write_json,
    "msgpack": automatic.write_msgpack,
    "pickle": pickles.write,
}


def tag_hash(tag: str) -> int:
    """What an envelope has of a tag."""
    return xxh3_64(tag.encode("utf-8", "surrogatepass"))


class Decoded(NamedTuple):
    """A value that was found.

    Attributes:
        value: the value; a `Negative` for an error that was stored.
        header: its version, times, cost, epoch and tags.
    """

    value: Any
    header: Header


class Refusal(NamedTuple):
    """A stored value that is not used: to whoever asked for it, a miss.

    Attributes:
        reason: one of those of the sealer; or "serializer", of a kind that is not read here; or "decode", for a
            value that cannot be made again, as of a class that was moved.
    """

    reason: str


class Codec:
    """Writes the values of a namespace as envelopes, and reads them.

    Threads share it. An envelope is checked before anything is made of its payload; whatever is wrong with one is a
    counted `Refusal`, never an exception.

    Args:
        namespace: the values of another one are not accepted.
        secret: at least 16 bytes, from which the keys are made; or several, of which the first is used to write, and
            all to read. With one, values are signed, and such as are not signed by it are refused.
        encrypt: also encrypt values; needs a secret.
        serializer: "auto" stores bytes, strings, buffers and whatever is made of built-in types and comes back exactly
            as it is; "msgpack", "json", "exact" force one; "pickle" takes nearly everything, and needs a secret; or a
            `Serializer` of the user's.
        type: what all values are: a dataclass, a struct of msgspec, a model of pydantic, or a container of them.
        version: of the code that uses the cache. Values of another one are misses.
        errors: the types of exceptions that may be stored.
        compression: "zstd", "lz4" or None; tried from 1 KiB on, and kept if no more than 90 % is left.
        max_bytes: the most that a value may take before it is compressed.
        allow_unsigned_pickle: take pickles without a secret. Who can write to the store can then run code here.
        clock: seconds, for the pauses between warnings.

    Raises:
        ConfigError: if the arguments do not go together.
    """

    def __init__(
        self,
        namespace: str,
        *,
        secret: Secrets | None = None,
        encrypt: bool = False,
        serializer: str | Serializer = "auto",
        type: Any = None,  # noqa: A002 - the word that users know; of any kind
        version: int | str = 0,
        errors: Iterable[type[BaseException]] = (),
        compression: str | None = "zstd",
        max_bytes: int = MAX_BYTES,
        allow_unsigned_pickle: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        keys = keys_of(secret)
        if encrypt and not keys:
            raise ConfigError("encrypt=True needs secret=...")
        if not 0 < max_bytes < 1 << 32:
            raise ConfigError(f"max_bytes must be from 1 to {(1 << 32) - 1}, got {max_bytes}")
        if compression not in {"zstd", "lz4", None}:
            raise ConfigError(f"compression must be 'zstd', 'lz4' or None, got {compression!r}")
        self.namespace: Final = namespace
        self.max_bytes: Final = max_bytes
        self.signed: Final = bool(keys)
        self._allow_unsigned_pickle: Final = allow_unsigned_pickle
        sealer = Sealer(
            namespace.encode(),
            keys=keys,
            write_key=keys[0].id if keys else None,
            require_mac=bool(keys),
            encrypt=encrypt,
            max_raw=max_bytes,
            compression=compression,
        )
        self._seal: Final = sealer.seal
        self._open: Final = sealer.open
        self._alarm: Final = Alarm(namespace, clock)
        self._versions: Final = _Versions()
        self._choose(serializer, type, version, errors)

    def variant(
        self,
        *,
        serializer: str | Serializer = "auto",
        type: Any = None,  # noqa: A002 - as in the constructor
        version: int | str = 0,
        errors: Iterable[type[BaseException]] = (),
    ) -> Self:
        """The same codec for values of another kind, as of one decorated function; counts are shared."""
        other = copy.copy(self)
        other._choose(serializer, type, version, errors)
        return other

    def _choose(
        self,
        serializer: str | Serializer,
        of: Any,
        version: int | str,
        errors: Iterable[type[BaseException]],
    ) -> None:
        self.schema = schema_id(version, of)
        self._errors = Errors(errors)
        self._reads_pickles = serializer == "pickle"
        if of is not None:
            if serializer not in {"auto", "msgpack"}:
                raise ConfigError(
                    f"type=... decides how values are written; serializer={serializer!r} does not go with it"
                )
            self._write, self._readers = typed(of)
            return
        self._readers = dict(READERS)
        if isinstance(serializer, Serializer):
            self._write = _of_user(serializer)
            self._readers[serializer.id] = lambda payload: serializer.loads(bytes(payload))
            return
        if serializer not in WRITERS:
            raise ConfigError(f"serializer must be one of {', '.join(WRITERS)}, or a Serializer, got {serializer!r}")
        self._write = WRITERS[serializer]
        if self._reads_pickles and not self.signed:
            self._check_unsigned()

    def _check_unsigned(self) -> None:
        if not self._allow_unsigned_pickle:
            raise ConfigError(
                "serializer='pickle' needs secret=...: whoever can write to the store could run code here. "
                "If nobody else can, allow_unsigned_pickle=True says so"
            )
        logger.warning("cache %s: loads pickles that are not signed", self.namespace)

    @property
    def refusals(self) -> dict[str, int]:
        """How many stored values were refused, by reason."""
        return self._alarm.counts

    def encode(
        self,
        key: bytes,
        value: object,
        *,
        now_ms: int,
        soft: float,
        hard: float,
        epoch: int | None = None,
        tags: Sequence[str | int] = (),
        cost: float = 0.0,
        version: int | None = None,
    ) -> bytes:
        """The envelope of a value.

        Args:
            key: the key that it is stored under.
            value: the value; None and `Negative` are stored as that there is none.
            now_ms: milliseconds since 1970.
            soft: seconds for which it is fresh.
            hard: seconds after which it is gone.
            epoch: what the clock of tags showed when its load began; needed for tags.
            tags: at most 254, or their hashes.
            cost: seconds that it took to load.
            version: orders the values of the key; made of the time if it is None.

        Raises:
            SerializationError: if the value, or a part of it, cannot be written. A `ValueTooLargeError` if it takes
                more than `max_bytes`.
        """
        if value is None or isinstance(value, Negative):
            payload = self._errors.write(value, self.max_bytes)
        else:
            payload = self._write(value, self.max_bytes)
        serializer, data, flags = payload
        size = len(data) if data.__class__ is bytes else payload.length
        if size > self.max_bytes:
            raise ValueTooLargeError(size, self.max_bytes)
        return self._seal(
            key,
            data,
            serializer=serializer,
            schema=self.schema,
            version=self._versions.next(now_ms) if version is None else version,
            created_ms=now_ms,
            soft=soft,
            hard=hard,
            cost=cost,
            epoch=epoch,
            tags=[tag if isinstance(tag, int) else tag_hash(tag) for tag in tags],
            flags=flags,
        )

    def decode(self, key: bytes, blob: bytes | memoryview, now_ms: int) -> Decoded | Refusal:
        """The value of an envelope that was found under a key, or why it is not used."""
        opened = self._open(key, blob, now_ms, schema=self.schema)
        if isinstance(opened, str):
            return self._refuse(opened, key)
        header, payload = opened.header, opened.payload
        serializer, flags = header.serializer, header.flags
        ahead = header.created_ms - now_ms
        if ahead > SKEW_MS:
            self._alarm.tell_skew(ahead / 1000)
        try:
            if flags & NULL:
                return Decoded(self._errors.read(serializer, payload), header)
            reader = self._readers.get(serializer)
            if reader is not None:
                return Decoded(reader(payload), header)
            if serializer == PICKLE and self._reads_pickles:
                return Decoded(pickles.load(payload, flags), header)
        except Exception:  # noqa: BLE001 - whatever making the value again raises, it is a miss
            return self._refuse("decode", key)
        return self._refuse("serializer", key)

    def new_version(self, now_ms: int) -> int:
        """Return a version that orders what is written now after what was written before."""
        return self._versions.next(now_ms)

    def header(self, blob: bytes) -> Header | None:
        """What the first 56 bytes of an envelope, or more, say about its value. They are not checked."""
        return Sealer.header(blob)

    def _refuse(self, reason: str, key: bytes) -> Refusal:
        self._alarm.refuse(reason, key)
        return Refusal(reason)


def _text(payload: bytes | memoryview) -> str:
    return str(payload, "utf-8")


READERS: Final[dict[int, Reader]] = {
    BYTES: bytes,
    STR: _text,
    MSGPACK: lambda payload: messages.msgpack()[1](payload),
    JSON: lambda payload: messages.json()[1](payload),
    RAW: arrays.load,
    EXACT: _decode_value,
}


def _of_user(serializer: Serializer) -> Callable[[object, int], Payload]:
    if not FIRST_OF_USERS <= serializer.id <= 255:
        raise ConfigError(f"the id of a serializer must be from 128 to 255, got {serializer.id}")

    def write(value: object, limit: int) -> Payload:  # noqa: ARG001 - it is measured when it is written
        data = serializer.dumps(value)
        if not isinstance(data, bytes):
            told = f"dumps of the serializer {serializer.name!r} must return bytes, got {type(data).__name__}"
            raise SerializationError(told)
        return Payload(serializer.id, data)

    return write


class _Versions:
    """Versions that grow: milliseconds, and 20 bits that keep the writers of a millisecond apart."""

    def __init__(self) -> None:
        self._lock: Final = RLock()
        self._last = 0

    def next(self, now_ms: int) -> int:
        """Above all that were given out before, also if the clock went backwards."""
        with self._lock:
            while True:
                last = self._last
                version = max(now_ms << 20 | random.getrandbits(20), last + 1)
                if last == self._last:  # else a finalizer was given one in between
                    self._last = version
                    return version
