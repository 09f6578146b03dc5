"""Use cases of deliveries: the log, the dead letter queue, and sending again."""

from billing.webhook.v1 import webhook_events_pb2 as events
from billing.webhook.v1 import webhook_pb2
from billing.webhook.v1 import webhook_service_pb2 as rpc
from billing_db import webhook as webhook_sql
from billing_db.models import WebhookDelivery
from billing_db.webhook import ListDeadLettersRow

from corebilling.db.transaction import Transaction
from corebilling.domains.webhook.endpoint import announce
from corebilling.domains.webhook.model import MAX_REDELIVERED
from corebilling.domains.webhook.service import find_enabled_webhook
from corebilling.errors import FailedPrecondition, NotFound
from corebilling.mapping import enum_text, instant, timestamp, to_message
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit

MAX_SHOWN_ATTEMPTS = 100


class WebhookDeliveryService:
    async def send_test_webhook(
        self, tx: Transaction, request: rpc.SendTestWebhookRequest
    ) -> rpc.SendTestWebhookResponse:
        await tx.lock(request.webhook_id)
        webhook = await find_enabled_webhook(tx, request.webhook_id)
        event = announce(tx, webhook, events.WebhookTested(webhook_id=webhook.id))
        delivery = await webhook_sql.insert_delivery(
            tx,
            tenant_id=tx.tenant_id,
            id=new_id("whd"),
            webhook_id=webhook.id,
            event_id=event.id,
            subject=event.subject,
            now=tx.now,
        )
        return rpc.SendTestWebhookResponse(delivery=_message(delivery))

    async def list_webhook_deliveries(
        self, tx: Transaction, request: rpc.ListWebhookDeliveriesRequest
    ) -> rpc.ListWebhookDeliveriesResponse:
        limit = page_limit(request.page_size)
        after_event_id, after_id = decode_page_token(request.page_token, 2)
        rows = await webhook_sql.list_deliveries(
            tx,
            tenant_id=tx.tenant_id,
            webhook_id=request.webhook_id,
            event_id=request.event_id,
            state=enum_text(webhook_pb2.WebhookDeliveryState, request.state) if request.state else "",
            after_event_id=after_event_id,
            after_id=after_id,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: (row.event_id, row.id))
        return rpc.ListWebhookDeliveriesResponse(deliveries=map(_message, page), next_page_token=token)

    async def list_webhook_delivery_attempts(
        self, tx: Transaction, request: rpc.ListWebhookDeliveryAttemptsRequest
    ) -> rpc.ListWebhookDeliveryAttemptsResponse:
        delivery = await _find(tx, request.delivery_id)
        rows = await webhook_sql.list_attempts(
            tx, tenant_id=tx.tenant_id, delivery_id=delivery.id, limit_rows=MAX_SHOWN_ATTEMPTS
        )
        return rpc.ListWebhookDeliveryAttemptsResponse(
            attempts=(to_message(row, webhook_pb2.WebhookDeliveryAttempt) for row in rows)
        )

    async def redeliver_webhook(
        self, tx: Transaction, request: rpc.RedeliverWebhookRequest
    ) -> rpc.RedeliverWebhookResponse:
        delivery = await _find(tx, request.delivery_id)
        await find_enabled_webhook(tx, delivery.webhook_id)
        again = await webhook_sql.mark_delivery_sent_again(tx, tenant_id=tx.tenant_id, id=delivery.id)
        if again is None:
            raise FailedPrecondition(
                "WEBHOOK_DELIVERY_PENDING",
                "Only delivered and dead deliveries can be sent again, not those under way or discarded.",
                {"delivery_id": delivery.id, "state": delivery.state},
            )
        return rpc.RedeliverWebhookResponse(delivery=_message(again))

    async def redeliver_webhook_range(
        self, tx: Transaction, request: rpc.RedeliverWebhookRangeRequest
    ) -> rpc.RedeliverWebhookRangeResponse:
        webhook = await find_enabled_webhook(tx, request.webhook_id)
        limit = request.limit or MAX_REDELIVERED
        state = enum_text(webhook_pb2.WebhookDeliveryState, request.state) if request.state else "dead"
        ids = await webhook_sql.mark_deliveries_sent_again(
            tx,
            tenant_id=tx.tenant_id,
            webhook_id=webhook.id,
            state=state,
            created_from=instant(request.created_from),
            created_before=instant(request.created_before) if request.HasField("created_before") else tx.now,
            limit_rows=limit,
            now=tx.now,
        )
        return rpc.RedeliverWebhookRangeResponse(redelivered=len(ids), more=len(ids) == limit)

    async def list_webhook_dead_letters(
        self, tx: Transaction, request: rpc.ListWebhookDeadLettersRequest
    ) -> rpc.ListWebhookDeadLettersResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await webhook_sql.list_dead_letters(
            tx, tenant_id=tx.tenant_id, webhook_id=request.webhook_id, after=after, limit_rows=limit + 1
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListWebhookDeadLettersResponse(
            dead_letters=(
                to_message(row, webhook_pb2.WebhookDeadLetter, delivery=_message(row)) for row in page
            ),
            next_page_token=token,
        )

    async def discard_webhook_dead_letter(
        self, tx: Transaction, request: rpc.DiscardWebhookDeadLetterRequest
    ) -> rpc.DiscardWebhookDeadLetterResponse:
        """Of a deleted endpoint too."""
        delivery = await _find(tx, request.delivery_id)
        discarded = await webhook_sql.mark_delivery_discarded(
            tx, tenant_id=tx.tenant_id, id=delivery.id, discard_reason=request.reason
        )
        if discarded is None:
            raise FailedPrecondition(
                "WEBHOOK_DELIVERY_NOT_DEAD",
                "Only deliveries in the dead letter queue can be discarded.",
                {"delivery_id": delivery.id, "state": delivery.state},
            )
        return rpc.DiscardWebhookDeadLetterResponse(delivery=_message(discarded))


async def _find(tx: Transaction, delivery_id: str) -> WebhookDelivery:
    delivery = await webhook_sql.find_delivery(tx, tenant_id=tx.tenant_id, id=delivery_id)
    if delivery is None:
        raise NotFound(
            "WEBHOOK_DELIVERY_NOT_FOUND", "There is no such delivery.", {"delivery_id": delivery_id}
        )
    return delivery


def _message(delivery: WebhookDelivery | ListDeadLettersRow) -> webhook_pb2.WebhookDelivery:
    # What is urgent is stored as due since the beginning of time.
    due = max(delivery.next_attempt_at, delivery.created_at)
    return to_message(delivery, webhook_pb2.WebhookDelivery, next_attempt_at=timestamp(due))
