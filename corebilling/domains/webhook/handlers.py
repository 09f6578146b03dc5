"""What other domains' events mean for webhooks: each goes to the endpoints that want it."""

from collections.abc import Sequence

from billing.event.v1 import event_pb2 as eventv1
from billing_db import webhook as webhook_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.webhook.model import TEST_SUBJECT, filters_matching


class WebhookHandlers:
    async def on_any_event(self, tx: Transaction, event: eventv1.Event) -> None:
        """Queues the event for delivery; for most tenants this is one look into an empty index."""
        await self.on_any_events(tx, [event])

    async def on_any_events(self, tx: Transaction, events: Sequence[eventv1.Event]) -> None:
        """Queues events of one tenant together."""
        wanted = [event for event in events if event.subject != TEST_SUBJECT]
        await webhook_sql.insert_deliveries(
            tx,
            tenant_id=tx.tenant_id,
            event_ids=[event.id for event in wanted],
            subjects=[event.subject for event in wanted],
            filters=[" ".join(filters_matching(event.subject)) for event in wanted],
            now=tx.now,
        )
