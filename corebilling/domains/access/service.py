"""Use cases of API keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from billing.access.v1 import access_service_pb2 as rpc
from billing.access.v1 import api_key_events_pb2 as events
from billing.access.v1 import api_key_pb2
from billing_db import access as access_sql
from billing_db.models import ApiKey
from google.protobuf.message import Message

from corebilling.db.transaction import Transaction
from corebilling.domains.access.model import (
    DEFAULT_OVERLAP,
    Role,
    allowed,
    check_expiry,
    check_scopes,
    check_within,
    decide_rotation,
)
from corebilling.errors import NotFound
from corebilling.events import outbox
from corebilling.mapping import enum_text, instant, timestamp, to_message
from corebilling.values.api_key import new_api_key
from corebilling.values.page import decode_page_token, next_page, page_limit


class KeyHasher(Protocol):
    def hash_api_key(self, text: str) -> bytes:
        """What is stored of a key instead of the key."""
        ...


class AccessService:
    """Creates, shows, rotates and revokes API keys."""

    def __init__(self, hasher: KeyHasher) -> None:
        self._hasher = hasher

    async def create_api_key(
        self, tx: Transaction, request: rpc.CreateApiKeyRequest
    ) -> rpc.CreateApiKeyResponse:
        """Raises what `check_scopes`, `check_within` and `check_expiry` do."""
        role = enum_text(api_key_pb2.Role, request.role)
        scopes = check_scopes(role, request.scopes)
        check_within(allowed(role, scopes), tx.caller.permissions)
        row, text = await self._add_key(tx, request.name, role, scopes, _expiry(tx, request))
        return rpc.CreateApiKeyResponse(api_key=_message(row), secret=text)

    async def get_api_key(self, tx: Transaction, request: rpc.GetApiKeyRequest) -> rpc.GetApiKeyResponse:
        return rpc.GetApiKeyResponse(api_key=_message(await _find(tx, request.api_key_id)))

    async def list_api_keys(
        self, tx: Transaction, request: rpc.ListApiKeysRequest
    ) -> rpc.ListApiKeysResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await access_sql.list_api_keys(tx, tenant_id=tx.tenant_id, after=after, limit_rows=limit + 1)
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListApiKeysResponse(api_keys=map(_message, page), next_page_token=token)

    async def rotate_api_key(
        self, tx: Transaction, request: rpc.RotateApiKeyRequest
    ) -> rpc.RotateApiKeyResponse:
        """Raises what `check_within` and `decide_rotation` do."""
        await tx.lock(request.api_key_id)
        old = await _find(tx, request.api_key_id)
        ends_at = decide_rotation(
            old.id,
            revoked=old.revoked_at is not None,
            replaced=old.replaced_by is not None,
            expires_at=old.expires_at,
            overlap=request.overlap.ToTimedelta() if request.HasField("overlap") else DEFAULT_OVERLAP,
            now=tx.now,
        )
        check_within(allowed(old.role, old.scopes), tx.caller.permissions)
        row, text = await self._add_key(tx, old.name, old.role, old.scopes, _expiry(tx, request))
        rotated = await access_sql.mark_api_key_rotated(
            tx, tenant_id=tx.tenant_id, id=old.id, replaced_by=row.id, expires_at=ends_at
        )
        assert rotated is not None, "it is locked"
        announced = events.ApiKeyRotated(api_key_id=old.id, replaced_by=row.id, expires_at=timestamp(ends_at))
        _announce(tx, rotated, announced)
        return rpc.RotateApiKeyResponse(api_key=_message(row), secret=text, rotated=_message(rotated))

    async def revoke_api_key(
        self, tx: Transaction, request: rpc.RevokeApiKeyRequest
    ) -> rpc.RevokeApiKeyResponse:
        """Revoking a revoked key changes nothing. Raises what `check_within` does."""
        await tx.lock(request.api_key_id)
        key = await _find(tx, request.api_key_id)
        check_within(allowed(key.role, key.scopes), tx.caller.permissions)
        revoked = await access_sql.mark_api_key_revoked(
            tx, tenant_id=tx.tenant_id, id=key.id, revoked_at=tx.now
        )
        if revoked is None:
            return rpc.RevokeApiKeyResponse(api_key=_message(key))
        _announce(tx, revoked, events.ApiKeyRevoked(api_key_id=revoked.id))
        return rpc.RevokeApiKeyResponse(api_key=_message(revoked))

    async def ensure_platform_key(self, tx: Transaction) -> str | None:
        """Creates the operators' first key in the platform's tenant; None when they have one that works."""
        await tx.lock("platform_key")
        role = Role.PLATFORM_ADMIN
        if await access_sql.has_usable_key(tx, tenant_id=tx.tenant_id, role=role, now=tx.now):
            return None
        return await self.new_platform_key(tx)

    async def new_platform_key(self, tx: Transaction) -> str:
        """Creates a key of the operators. Its text is known to the return value alone."""
        _, text = await self._add_key(tx, "Platform key", Role.PLATFORM_ADMIN, [], None)
        return text

    async def _add_key(
        self, tx: Transaction, name: str, role: str, scopes: Sequence[str], expires_at: datetime | None
    ) -> tuple[ApiKey, str]:
        """The key's row, and its text: what is known here and nowhere else."""
        key = new_api_key()
        row = await access_sql.insert_api_key(
            tx,
            tenant_id=tx.tenant_id,
            id=key.id,
            name=name,
            role=role,
            scopes=scopes,
            prefix=key.prefix,
            secret_hash=self._hasher.hash_api_key(key.text),
            created_at=tx.now,
            expires_at=expires_at,
        )
        announced = events.ApiKeyCreated(api_key_id=row.id, role=_message(row).role)
        _announce(tx, row, announced)
        return row, key.text


def _expiry(tx: Transaction, request: rpc.CreateApiKeyRequest | rpc.RotateApiKeyRequest) -> datetime | None:
    return check_expiry(instant(request.expires_at) if request.HasField("expires_at") else None, tx.now)


async def _find(tx: Transaction, api_key_id: str) -> ApiKey:
    row = await access_sql.find_api_key(tx, tenant_id=tx.tenant_id, id=api_key_id)
    if row is None:
        raise NotFound("API_KEY_NOT_FOUND", "There is no such API key.", {"api_key_id": api_key_id})
    return row


def _announce(tx: Transaction, row: ApiKey, payload: Message) -> None:
    outbox.append(tx, payload, resource_id=row.id, resource_version=row.version, ordering_key=row.id)


def _message(row: ApiKey) -> api_key_pb2.ApiKey:
    return to_message(row, api_key_pb2.ApiKey)
