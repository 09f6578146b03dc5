"""Use cases of endpoints."""

from datetime import timedelta
from typing import Any

from billing.webhook.v1 import webhook_events_pb2 as events
from billing.webhook.v1 import webhook_pb2
from billing.webhook.v1 import webhook_service_pb2 as rpc
from billing_db import webhook as webhook_sql
from billing_db.models import Webhook

from corebilling.db.transaction import Transaction
from corebilling.domains.webhook.address import check_new_url
from corebilling.domains.webhook.endpoint import announce, disabled_event, secret_identity
from corebilling.domains.webhook.model import (
    MAX_WEBHOOKS,
    DisabledReason,
    WebhookPolicy,
    check_filters,
    decide_changed_fields,
)
from corebilling.domains.webhook.signature import new_secret
from corebilling.errors import FailedPrecondition, NotFound, ResourceExhausted
from corebilling.mapping import to_message
from corebilling.secrets import Secrets
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit

DEFAULT_OVERLAP_S = 86_400
"""For how long a secret signs beside the one that follows it."""

# One creation at a time per tenant, so that the limit holds.
_CREATION_LOCK = "webhooks"


class WebhookService:
    """Keeps endpoints and their secrets."""

    def __init__(self, secrets: Secrets, policy: WebhookPolicy) -> None:
        self._secrets = secrets
        self._policy = policy

    async def create_webhook(
        self, tx: Transaction, request: rpc.CreateWebhookRequest
    ) -> rpc.CreateWebhookResponse:
        check_new_url(request.url, allow_private=self._policy.allow_private)
        await tx.lock(_CREATION_LOCK)
        if await webhook_sql.count_webhooks(tx, tenant_id=tx.tenant_id) >= MAX_WEBHOOKS:
            raise ResourceExhausted(
                "WEBHOOK_LIMIT_REACHED",
                f"A tenant has at most {MAX_WEBHOOKS} endpoints; delete one first.",
                {"limit": str(MAX_WEBHOOKS)},
            )
        webhook_id, secret = new_id("whk"), new_secret()
        webhook = await webhook_sql.insert_webhook(
            tx,
            tenant_id=tx.tenant_id,
            id=webhook_id,
            url=request.url,
            filters=check_filters(request.filters),
            rate_per_second=request.rate_per_second,
            secret_ciphertext=await self._secrets.encrypt(tx, secret.encode(), secret_identity(webhook_id)),
            created_at=tx.now,
        )
        announce(tx, webhook, events.WebhookCreated(webhook_id=webhook.id))
        return rpc.CreateWebhookResponse(webhook=_message(webhook), secret=secret)

    async def get_webhook(self, tx: Transaction, request: rpc.GetWebhookRequest) -> rpc.GetWebhookResponse:
        return rpc.GetWebhookResponse(webhook=_message(await find_webhook(tx, request.webhook_id)))

    async def list_webhooks(
        self, tx: Transaction, request: rpc.ListWebhooksRequest
    ) -> rpc.ListWebhooksResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await webhook_sql.list_webhooks(tx, tenant_id=tx.tenant_id, after=after, limit_rows=limit + 1)
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListWebhooksResponse(webhooks=map(_message, page), next_page_token=token)

    async def update_webhook(
        self, tx: Transaction, request: rpc.UpdateWebhookRequest
    ) -> rpc.UpdateWebhookResponse:
        fields = decide_changed_fields(request.update_mask.paths)
        await tx.lock(request.webhook_id)
        webhook = await find_webhook(tx, request.webhook_id)
        changed = await webhook_sql.mark_webhook_updated(
            tx,
            tenant_id=tx.tenant_id,
            id=webhook.id,
            version=webhook.version,
            **self._changed(webhook, request, fields),
        )
        assert changed is not None, "the lock keeps the version"
        announce(tx, changed, events.WebhookUpdated(webhook_id=changed.id, changed_fields=fields))
        if "enabled" in fields:
            changed = await _switch(tx, changed, enabled=request.enabled)
        return rpc.UpdateWebhookResponse(webhook=_message(changed))

    async def delete_webhook(
        self, tx: Transaction, request: rpc.DeleteWebhookRequest
    ) -> rpc.DeleteWebhookResponse:
        """The worker gives up its pending deliveries: there may be very many."""
        await tx.lock(request.webhook_id)
        deleted = await webhook_sql.mark_webhook_deleted(
            tx, tenant_id=tx.tenant_id, id=request.webhook_id, deleted_at=tx.now
        )
        if deleted is None:
            raise _not_found(request.webhook_id)
        announce(tx, deleted, events.WebhookDeleted(webhook_id=deleted.id))
        return rpc.DeleteWebhookResponse()

    async def enable_webhook(
        self, tx: Transaction, request: rpc.EnableWebhookRequest
    ) -> rpc.EnableWebhookResponse:
        await tx.lock(request.webhook_id)
        webhook = await find_webhook(tx, request.webhook_id)
        return rpc.EnableWebhookResponse(webhook=_message(await _switch(tx, webhook, enabled=True)))

    async def disable_webhook(
        self, tx: Transaction, request: rpc.DisableWebhookRequest
    ) -> rpc.DisableWebhookResponse:
        await tx.lock(request.webhook_id)
        webhook = await find_webhook(tx, request.webhook_id)
        return rpc.DisableWebhookResponse(webhook=_message(await _switch(tx, webhook, enabled=False)))

    async def rotate_webhook_secret(
        self, tx: Transaction, request: rpc.RotateWebhookSecretRequest
    ) -> rpc.RotateWebhookSecretResponse:
        """Of two rotations within an overlap, the second ends the first one's: at most two secrets sign."""
        await tx.lock(request.webhook_id)
        webhook = await find_webhook(tx, request.webhook_id)
        secret = new_secret()
        overlap_s = request.overlap_seconds if request.HasField("overlap_seconds") else DEFAULT_OVERLAP_S
        rotated = await webhook_sql.mark_webhook_secret_rotated(
            tx,
            tenant_id=tx.tenant_id,
            id=webhook.id,
            secret_ciphertext=await self._secrets.encrypt(tx, secret.encode(), secret_identity(webhook.id)),
            previous_secret_ciphertext=webhook.secret_ciphertext if overlap_s else None,
            previous_secret_expires_at=tx.now + timedelta(seconds=overlap_s) if overlap_s else None,
        )
        assert rotated is not None, "the lock keeps it"
        announce(tx, rotated, events.WebhookSecretRotated(webhook_id=rotated.id))
        return rpc.RotateWebhookSecretResponse(webhook=_message(rotated), secret=secret)

    def _changed(
        self, webhook: Webhook, request: rpc.UpdateWebhookRequest, fields: tuple[str, ...]
    ) -> dict[str, Any]:
        """All that can change as it will be: the named from the request, the others as they are."""
        if "url" in fields:
            check_new_url(request.url, allow_private=self._policy.allow_private)
        return {
            "url": request.url if "url" in fields else webhook.url,
            "filters": check_filters(request.filters) if "filters" in fields else webhook.filters,
            "rate_per_second": (
                request.rate_per_second if "rate_per_second" in fields else webhook.rate_per_second
            ),
        }


async def _switch(tx: Transaction, webhook: Webhook, *, enabled: bool) -> Webhook:
    """The endpoint as it is then; nothing changes, and nothing is announced, if it is so already."""
    if enabled:
        row = await webhook_sql.mark_webhook_enabled(tx, tenant_id=tx.tenant_id, id=webhook.id)
        await webhook_sql.mark_oldest_delivery_urgent(
            tx, tenant_id=tx.tenant_id, webhook_id=webhook.id, now=tx.now
        )
    else:
        row = await webhook_sql.mark_webhook_disabled(
            tx,
            tenant_id=tx.tenant_id,
            id=webhook.id,
            disabled_reason=DisabledReason.REQUESTED,
            disabled_at=tx.now,
        )
    if row is None:
        return webhook
    announce(tx, row, events.WebhookEnabled(webhook_id=row.id) if enabled else disabled_event(row))
    return row


async def find_webhook(tx: Transaction, webhook_id: str) -> Webhook:
    """Raises NotFound (WEBHOOK_NOT_FOUND)."""
    webhook = await webhook_sql.find_webhook(tx, tenant_id=tx.tenant_id, id=webhook_id)
    if webhook is None:
        raise _not_found(webhook_id)
    return webhook


async def find_enabled_webhook(tx: Transaction, webhook_id: str) -> Webhook:
    """Raises NotFound (WEBHOOK_NOT_FOUND) or FailedPrecondition (WEBHOOK_DISABLED)."""
    webhook = await find_webhook(tx, webhook_id)
    if not webhook.enabled:
        raise FailedPrecondition(
            "WEBHOOK_DISABLED",
            "Nothing is sent to the endpoint while it is disabled; enable it first.",
            {"webhook_id": webhook.id, "disabled_reason": webhook.disabled_reason or ""},
        )
    return webhook


def _not_found(webhook_id: str) -> NotFound:
    return NotFound("WEBHOOK_NOT_FOUND", "There is no such endpoint.", {"webhook_id": webhook_id})


def _message(webhook: Webhook) -> webhook_pb2.Webhook:
    return to_message(webhook, webhook_pb2.Webhook)
