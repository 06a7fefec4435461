"""Keys from secrets that users configure."""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from overdrive.exceptions import ConfigError

__all__ = ("Key", "Secret", "Secrets", "host_secret", "keys_of")

Secret: TypeAlias = str | bytes
Secrets: TypeAlias = Secret | Sequence[Secret]

MIN_LENGTH: Final = 16
SALT: Final = b"overdrive tc1"


class Key(NamedTuple):
    """The keys that are made of a secret, as the native sealer takes them.

    Attributes:
        id: names the secret in envelopes, from 1 to 255. Another one may have the same.
        mac: the key of MACs.
        cipher: the key of the encryption.
    """

    id: int
    mac: bytes
    cipher: bytes

    def __repr__(self) -> str:
        return f"<key {self.id}>"


def keys_of(secret: Secrets | None) -> tuple[Key, ...]:
    """The keys of a secret, or of several, of which the first is the one to write with.

    Each use has a key of its own (HKDF with one step of expansion), so that none says anything about another one.

    Raises:
        ConfigError: if a secret has fewer than 16 bytes, or there is none in the sequence.
    """
    if secret is None:
        return ()
    secrets = [secret] if isinstance(secret, str | bytes) else list(secret)
    if not secrets:
        raise ConfigError("secret=[] is no secret; leave it out to write without one")
    return tuple(_keys(one) for one in secrets)


def _keys(secret: Secret) -> Key:
    if not isinstance(secret, str | bytes):
        raise ConfigError(f"a secret must be str or bytes, got {type(secret).__name__}")
    material = secret.encode() if isinstance(secret, str) else secret
    if len(material) < MIN_LENGTH:
        raise ConfigError(f"a secret must have at least {MIN_LENGTH} bytes, got {len(material)}")
    derived = hmac.digest(SALT, material, "sha256")

    def expand(label: bytes) -> bytes:
        return hmac.digest(derived, label + b"\x01", "sha256")

    return Key(1 + expand(b"key id")[0] % 255, expand(b"mac"), expand(b"encryption"))


def host_secret(path: str | os.PathLike[str]) -> bytes:
    """The secret of this host in a file, which is made if there is none.

    For caches without Redis, whose values only this user of this host writes.

    Raises:
        ConfigError: if the file belongs to somebody else, others may read it, or it is no regular file.
    """
    path = Path(path)
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    fresh = os.urandom(32)
    draft = path.with_name(f"{path.name}.{os.getpid()}-{fresh[:4].hex()}")
    if not path.exists():
        # Linked when it is complete: another process sees all of it, or makes its own and loses.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags, 0o600)
        try:
            os.write(descriptor, fresh)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # the other process was first
        finally:
            draft.unlink()
    try:
        descriptor = os.open(path, os.O_RDONLY | flags)
    except OSError as error:
        raise ConfigError(f"the secret of this host cannot be read: {error}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path} is no regular file")
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
            raise ConfigError(f"{path} must belong to this user alone, with mode 0600")
        secret = os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
    if len(secret) < MIN_LENGTH:
        raise ConfigError(f"{path} has no secret: it must have at least {MIN_LENGTH} bytes")
    return secret
