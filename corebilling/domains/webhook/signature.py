"""Signatures over the raw bytes that are sent, in two forms: Standard Webhooks, and the platform's own."""

import hmac
import os
from base64 import b64decode, b64encode
from datetime import datetime

_PREFIX = "whsec_"
_KEY_BYTES = 32


def new_secret() -> str:
    """`whsec_` and base64 of 32 random bytes."""
    return _PREFIX + b64encode(os.urandom(_KEY_BYTES)).decode()


def signature_headers(secret: str, event_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """The headers by which a receiver knows that this body comes from us, and when it was sent."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((event_id.encode(), timestamp.encode(), body))
    standard = hmac.digest(b64decode(secret.removeprefix(_PREFIX)), signed, "sha256")
    own = hmac.digest(secret.encode(), body, "sha256")
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{b64encode(standard).decode()}",
        "X-Signature": f"sbwh_sig=v1:{own.hex()}",
    }
