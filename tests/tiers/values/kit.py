"""Codecs, and values through them."""

from __future__ import annotations

from typing import Any

from overdrive._tiers.values.codec import Codec, Decoded

NOW = 1_700_000_000_000
SECRET = "a secret of enough bytes"


def put(codec: Codec, value: object, key: bytes = b"k", **options: Any) -> bytes:
    """The envelope of a value that lives for a minute."""
    return codec.encode(key, value, **({"now_ms": NOW, "soft": 10.0, "hard": 60.0} | options))


def through(codec: Codec, value: object) -> Any:
    """A value, written and read again."""
    decoded = codec.decode(b"k", put(codec, value), NOW)
    assert isinstance(decoded, Decoded), decoded
    return decoded.value
