"""API keys: `cbk_<id>_<32 random bytes><checksum>`, all lower-case letters and digits.

The id finds the key in the database, the random bytes prove it, and the checksum lets mistyped keys be
refused without looking anywhere.
"""

import base64
import os
import re
import zlib
from dataclasses import dataclass, field

from corebilling.values.ids import new_id

_KEY = re.compile(r"cbk_([0-9a-z]{26})_([a-z2-7]{52})([0-9a-f]{8})")
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key just made; its text is shown once and kept by nobody."""

    id: str
    text: str = field(repr=False)

    @property
    def prefix(self) -> str:
        """What may be shown of the key afterwards, to recognize it by."""
        return self.text[:30]


def new_api_key() -> NewApiKey:
    key_id = new_id("key")
    secret = base64.b32encode(os.urandom(_SECRET_BYTES)).decode().rstrip("=").lower()
    body = f"cbk_{key_id.removeprefix('key_')}_{secret}"
    return NewApiKey(key_id, f"{body}{_checksum(body)}")


def api_key_id(text: str) -> str | None:
    """The id in a key; None when the text is no key, or a mistyped one."""
    match = _KEY.fullmatch(text)
    if match is None or _checksum(text[:-8]) != match[3]:
        return None
    return f"key_{match[1]}"


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
