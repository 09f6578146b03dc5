"""Use cases of webhooks."""

from typing import Any

from billing.webhook.v1 import webhook_events_pb2 as events
from billing.webhook.v1 import webhook_pb2
from billing.webhook.v1 import webhook_service_pb2 as rpc
from billing_db import webhook as webhook_sql
from billing_db.models import Webhook, WebhookDelivery
from google.protobuf.message import Message

from corebilling.db.transaction import Transaction
from corebilling.domains.webhook.address import check_url
from corebilling.domains.webhook.model import (
    MAX_WEBHOOKS,
    WebhookPolicy,
    check_filters,
    decide_changed_fields,
)
from corebilling.domains.webhook.signature import new_secret
from corebilling.errors import FailedPrecondition, NotFound, ResourceExhausted
from corebilling.events import outbox
from corebilling.mapping import enum_text, to_message
from corebilling.secrets import Secrets
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit

MAX_SHOWN_ATTEMPTS = 100
# One creation at a time per tenant, so that the limit holds.
_CREATION_LOCK = "webhooks"


class WebhookService:
    """Keeps endpoints, shows their deliveries, and sends them again."""

    def __init__(self, secrets: Secrets, policy: WebhookPolicy) -> None:
        self._secrets = secrets
        self._policy = policy

    async def create_webhook(
        self, tx: Transaction, request: rpc.CreateWebhookRequest
    ) -> rpc.CreateWebhookResponse:
        check_url(request.url, allow_private=self._policy.allow_private)
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
            secret_ciphertext=await self._secrets.encrypt(tx, secret.encode(), secret_identity(webhook_id)),
            created_at=tx.now,
        )
        _announce(tx, webhook.id, webhook.version, events.WebhookCreated(webhook_id=webhook.id))
        return rpc.CreateWebhookResponse(webhook=_message(webhook), secret=secret)

    async def get_webhook(self, tx: Transaction, request: rpc.GetWebhookRequest) -> rpc.GetWebhookResponse:
        return rpc.GetWebhookResponse(webhook=_message(await _find(tx, request.webhook_id)))

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
        webhook = await _find(tx, request.webhook_id)
        changed = await webhook_sql.mark_webhook_updated(
            tx,
            tenant_id=tx.tenant_id,
            id=webhook.id,
            version=webhook.version,
            **self._changed(webhook, request, fields),
        )
        assert changed is not None, "the lock keeps the version"
        payload = events.WebhookUpdated(webhook_id=changed.id, changed_fields=fields)
        _announce(tx, changed.id, changed.version, payload)
        return rpc.UpdateWebhookResponse(webhook=_message(changed))

    async def delete_webhook(
        self, tx: Transaction, request: rpc.DeleteWebhookRequest
    ) -> rpc.DeleteWebhookResponse:
        """Its pending deliveries are given up when they fall due: there may be very many."""
        await tx.lock(request.webhook_id)
        deleted = await webhook_sql.mark_webhook_deleted(
            tx, tenant_id=tx.tenant_id, id=request.webhook_id, deleted_at=tx.now
        )
        if deleted is None:
            raise _not_found(request.webhook_id)
        _announce(tx, deleted.id, deleted.version, events.WebhookDeleted(webhook_id=deleted.id))
        return rpc.DeleteWebhookResponse()

    async def list_webhook_deliveries(
        self, tx: Transaction, request: rpc.ListWebhookDeliveriesRequest
    ) -> rpc.ListWebhookDeliveriesResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await webhook_sql.list_deliveries(
            tx,
            tenant_id=tx.tenant_id,
            webhook_id=request.webhook_id,
            event_id=request.event_id,
            state=enum_text(webhook_pb2.WebhookDeliveryState, request.state) if request.state else "",
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListWebhookDeliveriesResponse(
            deliveries=map(_delivery_message, page), next_page_token=token
        )

    async def list_webhook_delivery_attempts(
        self, tx: Transaction, request: rpc.ListWebhookDeliveryAttemptsRequest
    ) -> rpc.ListWebhookDeliveryAttemptsResponse:
        delivery = await _find_delivery(tx, request.delivery_id)
        rows = await webhook_sql.list_attempts(
            tx, tenant_id=tx.tenant_id, delivery_id=delivery.id, limit_rows=MAX_SHOWN_ATTEMPTS
        )
        return rpc.ListWebhookDeliveryAttemptsResponse(
            attempts=(to_message(row, webhook_pb2.WebhookDeliveryAttempt) for row in rows)
        )

    async def redeliver_webhook(
        self, tx: Transaction, request: rpc.RedeliverWebhookRequest
    ) -> rpc.RedeliverWebhookResponse:
        delivery = await _find_delivery(tx, request.delivery_id)
        await _find(tx, delivery.webhook_id)
        again = await webhook_sql.mark_delivery_sent_again(
            tx, tenant_id=tx.tenant_id, id=delivery.id, now=tx.now
        )
        if again is None:
            raise FailedPrecondition(
                "WEBHOOK_DELIVERY_PENDING",
                "The delivery is still on its way; only delivered and dead ones can be sent again.",
                {"delivery_id": delivery.id, "state": delivery.state},
            )
        return rpc.RedeliverWebhookResponse(delivery=_delivery_message(again))

    def _changed(
        self, webhook: Webhook, request: rpc.UpdateWebhookRequest, fields: tuple[str, ...]
    ) -> dict[str, Any]:
        """All that can change as it will be: the named from the request, the others as they are."""
        if "url" in fields:
            check_url(request.url, allow_private=self._policy.allow_private)
        return {
            "url": request.url if "url" in fields else webhook.url,
            "filters": check_filters(request.filters) if "filters" in fields else webhook.filters,
            "enabled": request.enabled if "enabled" in fields else webhook.enabled,
        }


async def disable_gone_webhook(tx: Transaction, webhook_id: str) -> None:
    """After its receiver said that it is gone for good. The transaction holds the endpoint's lock."""
    gone = await webhook_sql.mark_webhook_gone(tx, tenant_id=tx.tenant_id, id=webhook_id)
    if gone is not None:
        payload = events.WebhookUpdated(webhook_id=gone.id, changed_fields=["enabled"])
        _announce(tx, gone.id, gone.version, payload)


def secret_identity(webhook_id: str) -> str:
    """What the secret's ciphertext is bound to."""
    return f"webhooks/{webhook_id}"


async def _find(tx: Transaction, webhook_id: str) -> Webhook:
    webhook = await webhook_sql.find_webhook(tx, tenant_id=tx.tenant_id, id=webhook_id)
    if webhook is None:
        raise _not_found(webhook_id)
    return webhook


async def _find_delivery(tx: Transaction, delivery_id: str) -> WebhookDelivery:
    delivery = await webhook_sql.find_delivery(tx, tenant_id=tx.tenant_id, id=delivery_id)
    if delivery is None:
        raise NotFound(
            "WEBHOOK_DELIVERY_NOT_FOUND", "There is no such delivery.", {"delivery_id": delivery_id}
        )
    return delivery


def _not_found(webhook_id: str) -> NotFound:
    return NotFound("WEBHOOK_NOT_FOUND", "There is no such endpoint.", {"webhook_id": webhook_id})


def _announce(tx: Transaction, webhook_id: str, version: int, payload: Message) -> None:
    outbox.append(tx, payload, resource_id=webhook_id, resource_version=version, ordering_key=webhook_id)


def _message(webhook: Webhook) -> webhook_pb2.Webhook:
    return to_message(webhook, webhook_pb2.Webhook)


def _delivery_message(delivery: WebhookDelivery) -> webhook_pb2.WebhookDelivery:
    return to_message(delivery, webhook_pb2.WebhookDelivery)
