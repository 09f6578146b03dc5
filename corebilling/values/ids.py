"""Ids: `<prefix>_<26 characters>`, a UUIDv7 in lower-case Crockford base32.

They sort by creation time, which keeps primary-key indexes local; clients treat them as opaque.
"""

import os
import re
import time
from random import Random

TENANT_ID = re.compile(r"ten_[0-9a-z]{1,60}")
PLATFORM_TENANT = "ten_platform"
"""Holds the operators' keys and audit entries, and alone sees all tenants."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_BITS = 130
_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)
# Ids keep no secret, and asking the system for each number took half of the time that an id takes.
_random = Random()
os.register_at_fork(after_in_child=_random.seed)


def new_id(prefix: str) -> str:
    """A new id such as `sub_01jd…`; ids made more than a microsecond apart sort in that order."""
    return f"{prefix}_{crockford(_uuid7(), _BITS)}"


def _uuid7() -> int:
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    # The twelve bits after the milliseconds hold their fraction (RFC 9562, method 3).
    fraction = (nanoseconds << 12) // 1_000_000
    return (milliseconds << 80) | (fraction << 64) | _VERSION_AND_VARIANT | _random.getrandbits(62)


def crockford(value: int, bits: int) -> str:
    """So many bits of the value, a multiple of ten, in lower-case Crockford base32."""
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(bits - 10, -1, -10)])
