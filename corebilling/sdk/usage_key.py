"""Time-ordered keys of usage records: the server finds them fast, however many there are.

A key is a UUID of version 7: the record's time in milliseconds, then bits that tell records of one
moment apart.
"""

import os
from collections.abc import Mapping
from hashlib import blake2b

_RANDOM_BYTES = 10


def time_ordered(milliseconds: int, bits: bytes = b"") -> str:
    """Of this moment, with these ten bytes of difference, or random ones."""
    random_bits = int.from_bytes(bits or os.urandom(_RANDOM_BYTES)) >> 6
    moment = milliseconds & (1 << 48) - 1
    value = moment << 80 | 7 << 76 | (random_bits >> 62) << 64 | 2 << 62 | random_bits & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def content_hash(
    subscription_id: str,
    meter_code: str,
    quantity: str,
    seconds: int,
    nanos: int,
    properties: Mapping[str, str],
) -> bytes:
    """Of all that a record says."""
    parts = (
        subscription_id,
        meter_code,
        quantity,
        str(seconds),
        str(nanos),
        *(part for name in sorted(properties) for part in (name, properties[name])),
    )
    return blake2b("\0".join(parts).encode(), digest_size=16).digest()


def derived_key(seconds: int, nanos: int, content: bytes, number: int, source: bytes = b"") -> str:
    """Of a record with this content, the `number`th like it in its source: the same every time."""
    digest = blake2b(content + number.to_bytes(8) + source, digest_size=_RANDOM_BYTES).digest()
    return time_ordered(seconds * 1000 + nanos // 1_000_000, digest)
