"""What keys and tags are called where their invalidations are noted.

A tag goes by its hash: of the values in Redis and on the disk no more is known.
"""

from __future__ import annotations

from overdrive._core import xxh3_64

__all__ = ("EVERYTHING", "PRIVATE", "SHARED_SLOTS", "hash_of_text", "key_name", "tag_hash", "tag_name", "tag_text")


def key_name(key: bytes) -> bytes:
    """Return what a key is called in the table of generations."""
    return b"k" + key


def tag_hash(tag: str | bytes) -> int:
    """Return the hash that stands for a tag in envelopes."""
    return xxh3_64(tag.encode("utf-8", "surrogatepass") if isinstance(tag, str) else tag)


def tag_name(hashed: int) -> bytes:
    """Return what a tag, by its hash, is called in the table of generations."""
    return b"t%016x" % hashed


def tag_text(hashed: int) -> bytes:
    """Return what a tag, by its hash, is called in Redis."""
    return b"%016x" % hashed


#: Into how many slots of 8 bytes names are hashed in a table that processes share: they must agree on it, whatever
#: each keeps in memory.
SHARED_SLOTS = 1 << 20

#: The hash of the tag that values have that are kept off all disks: instances that find them in Redis know by it.
PRIVATE = tag_hash("\0private")
#: The hash of the tag that everything has, and that a `clear` invalidates.
EVERYTHING = tag_hash("*")


def hash_of_text(text: bytes) -> int:
    """Return the hash of a tag by what it is called in Redis."""
    return EVERYTHING if text == b"*" else int(text, 16)
