"""Signatures over the raw bytes that are sent, in two forms: Standard Webhooks, and the platform's own."""

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime

_PREFIX = "whsec_"
_KEY_BYTES = 32


def new_secret() -> str:
    """`whsec_` and base64 of 32 random bytes."""
    return _PREFIX + b64encode(os.urandom(_KEY_BYTES)).decode()


def signature_headers(secrets: Sequence[str], event_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """The headers by which a receiver knows that this body comes from us, and when it was sent.

    Each holds a signature per secret, the current one's first: during a rotation either secret verifies.
    """
    timestamp = str(int(at.timestamp()))
    signed = b"%b.%b.%b" % (event_id.encode(), timestamp.encode(), body)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_standard(secret, signed) for secret in secrets),
        "X-Signature": ",".join(_own(secret, body) for secret in secrets),
    }


def _standard(secret: str, signed: bytes) -> str:
    digest = hmac.digest(b64decode(secret.removeprefix(_PREFIX)), signed, "sha256")
    return f"v1,{b64encode(digest).decode()}"


def _own(secret: str, body: bytes) -> str:
    return f"sbwh_sig=v1:{hmac.digest(secret.encode(), body, 'sha256').hex()}"
