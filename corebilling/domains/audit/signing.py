"""Signatures of heads: Ed25519, under a key derived from the master key."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from corebilling.domains.audit.model import Fault, Finding, Head, signed_part

_KEY_BYTES = 32
_KEY_ID_DIGITS = 16


class KeyInvalid(Exception):
    """It is no Ed25519 public key in hexadecimal."""


class HeadSigner:
    """`seed`: 32 bytes that nobody else has."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._private.public_key().public_bytes_raw()
        self.key_id = key_id_of(self.public_key)

    def sign(self, tenant_id: str, count: int, hash_: bytes, sealed_at: datetime) -> Head:
        part = signed_part(tenant_id, count, hash_, sealed_at, self.key_id)
        return Head(tenant_id, count, hash_, sealed_at, self.key_id, self._private.sign(part))


class TrustedKeys:
    """The public keys that heads may be signed with: the present one, and those before it."""

    def __init__(self, public_keys: Iterable[bytes]) -> None:
        self._keys: Mapping[str, Ed25519PublicKey] = {
            key_id_of(key): Ed25519PublicKey.from_public_bytes(key) for key in public_keys
        }

    def findings(self, head: Head) -> Iterable[Finding]:
        """None when one of the keys signed it."""
        key = self._keys.get(head.key_id)
        if key is None:
            yield _not_signed(head, f"The head is signed with a key that is not trusted: {head.key_id}.")
            return
        try:
            key.verify(
                head.signature,
                signed_part(head.tenant_id, head.count, head.hash, head.sealed_at, head.key_id),
            )
        except InvalidSignature:
            yield _not_signed(head, "The head's signature is not of what the head says.")


def key_id_of(public_key: bytes) -> str:
    return hashlib.sha256(public_key).hexdigest()[:_KEY_ID_DIGITS]


def public_key_of(text: str) -> bytes:
    """Raises KeyInvalid."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise KeyInvalid(f"{text!r} is no public key: it has 64 hexadecimal digits")
    return key


def _not_signed(head: Head, explanation: str) -> Finding:
    return Finding(Fault.NOT_SIGNED, head.count, "", explanation)
