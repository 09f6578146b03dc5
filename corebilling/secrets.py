"""Secrets at rest: AES-256-GCM under a data key per tenant, which itself is wrapped under the master key.

The master key never touches data: one key is derived from it to wrap with, another to hash API keys
with, one to sign the audit log with.
Whoever has the database alone has nothing; deleting a tenant's row of `tenant_keys` erases its secrets.
"""

import base64
import binascii
import hmac
import os
from collections import OrderedDict
from pathlib import Path

from billing_db import tenant as tenant_sql
from billing_db.models import TenantKey
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from corebilling.db.transaction import Transaction

_KEY_BYTES = 32
_NONCE_BYTES = 12
# First byte of every ciphertext, so that the format can change.
_VERSION = b"\x01"
_MAX_KNOWN_TENANTS = 1000


class MasterKeyInvalid(Exception):
    """The master key is missing or malformed; the message says what to do."""


class SecretUnreadable(Exception):
    """The ciphertext does not belong to this row, tenant or master key, or was changed."""


def load_master_key(text: str, file: Path | None) -> bytes:
    """The 32 bytes of COREBILLING_MASTER_KEY, or of the file that COREBILLING_MASTER_KEY_FILE names.

    Raises MasterKeyInvalid.
    """
    try:
        if file is not None:
            text = file.read_text()
        key = base64.b64decode(text.strip(), validate=True)
    except (OSError, binascii.Error, ValueError) as error:
        raise MasterKeyInvalid(f"the master key cannot be read: {error}") from error
    if len(key) != _KEY_BYTES:
        raise MasterKeyInvalid(
            f"the master key must be base64 of {_KEY_BYTES} bytes, not of {len(key)}; set "
            "COREBILLING_MASTER_KEY or COREBILLING_MASTER_KEY_FILE, as made by: openssl rand -base64 32"
        )
    return key


class Secrets:
    """Encrypts for tenants, and hashes API keys."""

    def __init__(self, master_key: bytes) -> None:
        self._wrapping = AESGCM(_derive(master_key, b"corebilling: wrap data keys"))
        self._hash_key = _derive(master_key, b"corebilling: hash api keys")
        self.audit_seed = _derive(master_key, b"corebilling: sign audit heads")
        self._shared = AESGCM(_derive(master_key, b"corebilling: share invoices"))
        self._data_keys: OrderedDict[str, AESGCM] = OrderedDict()

    def hash_api_key(self, text: str) -> bytes:
        """HMAC-SHA256 of the key: what the database stores of it."""
        return hmac.digest(self._hash_key, text.encode(), "sha256")

    def seal_link(self, content: bytes) -> str:
        """Content that comes back by an address anybody may have: unreadable, and not to be forged."""
        return base64.urlsafe_b64encode(_seal(self._shared, content, b"")).decode().rstrip("=")

    def open_link(self, text: str) -> bytes:
        """What `seal_link` was given. Raises SecretUnreadable for anything else."""
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise SecretUnreadable("this is no link") from error
        return _open(self._shared, sealed, b"")

    async def encrypt(self, tx: Transaction, plaintext: bytes, identity: str) -> bytes:
        """`identity` names the row (and column, if there are several) that the ciphertext is stored in."""
        key = await self._data_key(tx)
        return _seal(key, plaintext, _associated(tx, identity))

    async def decrypt(self, tx: Transaction, ciphertext: bytes, identity: str) -> bytes:
        """Raises SecretUnreadable if the ciphertext was made for another row, tenant or master key."""
        key = await self._data_key(tx)
        return _open(key, ciphertext, _associated(tx, identity))

    async def _data_key(self, tx: Transaction) -> AESGCM:
        known = self._data_keys.get(tx.tenant_id)
        if known is not None:
            self._data_keys.move_to_end(tx.tenant_id)
            return known
        row = await tenant_sql.find_tenant_key(tx, tenant_id=tx.tenant_id)
        if row is None:
            row = await self._create(tx)
        key = AESGCM(_open(self._wrapping, row.wrapped_key, tx.tenant_id.encode()))
        # A key of this very transaction may still be rolled back; one that an earlier one made stays.
        if row.created_at < tx.now:
            self._remember(tx.tenant_id, key)
        return key

    async def _create(self, tx: Transaction) -> TenantKey:
        wrapped = _seal(self._wrapping, os.urandom(_KEY_BYTES), tx.tenant_id.encode())
        await tenant_sql.add_tenant_key(tx, tenant_id=tx.tenant_id, wrapped_key=wrapped, created_at=tx.now)
        # Ours, or that of a transaction which was faster.
        row = await tenant_sql.find_tenant_key(tx, tenant_id=tx.tenant_id)
        assert row is not None, "it was just added"
        return row

    def _remember(self, tenant_id: str, key: AESGCM) -> None:
        self._data_keys[tenant_id] = key
        if len(self._data_keys) > _MAX_KNOWN_TENANTS:
            self._data_keys.popitem(last=False)


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose).derive(master_key)


def _associated(tx: Transaction, identity: str) -> bytes:
    return f"{tx.tenant_id}\0{identity}".encode()


def _seal(key: AESGCM, plaintext: bytes, associated: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + key.encrypt(nonce, plaintext, associated)


def _open(key: AESGCM, ciphertext: bytes, associated: bytes) -> bytes:
    version, nonce, sealed = ciphertext[:1], ciphertext[1 : 1 + _NONCE_BYTES], ciphertext[1 + _NONCE_BYTES :]
    if version != _VERSION:
        raise SecretUnreadable("the ciphertext has an unknown version")
    try:
        return key.decrypt(nonce, sealed, associated)
    except InvalidTag:
        raise SecretUnreadable("the ciphertext belongs to another row, tenant or master key") from None
