"""What other domains' events mean for invoices."""

from collections.abc import Sequence

from billing.event.v1 import event_pb2 as eventv1
from billing.rating.v1 import rating_events_pb2

from corebilling.db.transaction import Transaction
from corebilling.domains.invoice.making import InvoiceMaker
from corebilling.events.envelope import payload


class InvoiceHandlers:
    def __init__(self, maker: InvoiceMaker) -> None:
        self._maker = maker

    async def on_rating_completed(self, tx: Transaction, event: eventv1.Event) -> None:
        """Invoices the cycle."""
        await self.on_ratings_completed(tx, [event])

    async def on_ratings_completed(self, tx: Transaction, events: Sequence[eventv1.Event]) -> None:
        """Invoices cycles of one tenant together."""
        await self._maker.generate(tx, {_cycle_id(event): event for event in events})


def _cycle_id(event: eventv1.Event) -> str:
    completed = payload(event)
    assert isinstance(completed, rating_events_pb2.RatingCompleted)
    return completed.cycle_id
