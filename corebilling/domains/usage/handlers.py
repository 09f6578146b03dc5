"""What other domains' events mean for usage."""

from billing.event.v1 import event_pb2 as eventv1
from billing.invoice.v1 import invoice_events_pb2

from corebilling.db.transaction import Transaction
from corebilling.domains.usage.service import UsageService
from corebilling.events.envelope import payload


class UsageHandlers:
    def __init__(self, usage: UsageService) -> None:
        self._usage = usage

    async def on_invoice_generated(self, tx: Transaction, event: eventv1.Event) -> None:
        generated = payload(event)
        assert isinstance(generated, invoice_events_pb2.InvoiceGenerated)
        await self._usage.announce_billed(tx, generated.invoice_id)
