"""What other domains' events mean for webhooks: each goes to the endpoints that want it."""

from billing.event.v1 import event_pb2 as eventv1
from billing_db import webhook as webhook_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.webhook.model import TEST_SUBJECT, filters_matching


class WebhookHandlers:
    async def on_any_event(self, tx: Transaction, event: eventv1.Event) -> None:
        """Queues the event for delivery; for most tenants this is one look into an empty index."""
        if event.subject == TEST_SUBJECT:
            return
        await webhook_sql.insert_deliveries(
            tx,
            tenant_id=tx.tenant_id,
            event_id=event.id,
            subject=event.subject,
            filters=filters_matching(event.subject),
            now=tx.now,
        )
