"""AES-256-GCM as FIPS 197 and NIST SP 800-38D have it, for nonces of 12 bytes; slow, and only to compare with."""

from __future__ import annotations

import hmac


def _times_x(byte: int) -> int:
    return (byte << 1 ^ (0x11B if byte & 0x80 else 0)) & 0xFF


def _product(a: int, b: int) -> int:
    result = 0
    while b:
        if b & 1:
            result ^= a
        a, b = _times_x(a), b >> 1
    return result


def _substitute(byte: int) -> int:
    inverse = next((other for other in range(256) if _product(byte, other) == 1), 0)
    result = 0x63
    for turn in range(5):
        result ^= (inverse << turn | inverse >> 8 - turn) & 0xFF
    return result


BOX = [_substitute(byte) for byte in range(256)]
ROUNDS = 14


def _round_keys(key: bytes) -> list[bytes]:
    words = [key[start : start + 4] for start in range(0, 32, 4)]
    constant = 1
    for index in range(8, 4 * (ROUNDS + 1)):
        word = words[-1]
        if index % 8 == 0:
            word = bytes(BOX[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = _times_x(constant)
        elif index % 8 == 4:
            word = bytes(BOX[byte] for byte in word)
        words.append(_xor(words[index - 8], word))
    return [b"".join(words[start : start + 4]) for start in range(0, len(words), 4)]


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=False))


def _encrypt_block(keys: list[bytes], block: bytes) -> bytes:
    state = _xor(block, keys[0])
    for number in range(1, ROUNDS + 1):
        shifted = bytes(BOX[state[(index + 4 * (index % 4)) % 16]] for index in range(16))
        if number < ROUNDS:
            columns = [shifted[start : start + 4] for start in range(0, 16, 4)]
            shifted = b"".join(_mix(column) for column in columns)
        state = _xor(shifted, keys[number])
    return state


def _mix(column: bytes) -> bytes:
    doubled = [_times_x(byte) for byte in column]
    return bytes(
        doubled[row] ^ doubled[(row + 1) % 4] ^ column[(row + 1) % 4] ^ column[(row + 2) % 4] ^ column[(row + 3) % 4]
        for row in range(4)
    )


def _hash(point: int, data: bytes) -> int:
    result = 0
    for start in range(0, len(data), 16):
        result ^= int.from_bytes(data[start : start + 16], "big")
        product, factor = 0, point
        for bit in range(127, -1, -1):
            if result >> bit & 1:
                product ^= factor
            factor = factor >> 1 ^ (0xE1 << 120 if factor & 1 else 0)
        result = product
    return result


def decrypt(key: bytes, nonce: bytes, associated: bytes, text: bytes, tag: bytes) -> bytes | None:
    """The plain text; None if the tag is another one."""
    keys = _round_keys(key)

    def keystream(counter: int) -> bytes:
        return _encrypt_block(keys, nonce + counter.to_bytes(4, "big"))

    point = int.from_bytes(_encrypt_block(keys, bytes(16)), "big")
    lengths = (8 * len(associated)).to_bytes(8, "big") + (8 * len(text)).to_bytes(8, "big")
    padded = b"".join(part + bytes(-len(part) % 16) for part in (associated, text))
    found = _xor(_hash(point, padded + lengths).to_bytes(16, "big"), keystream(1))
    if not hmac.compare_digest(found, tag):
        return None
    blocks = range(0, len(text), 16)
    return b"".join(_xor(text[start : start + 16], keystream(2 + start // 16)) for start in blocks)
