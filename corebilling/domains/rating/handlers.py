"""What other domains' events mean for rating."""

from collections.abc import Sequence

from billing.event.v1 import event_pb2 as eventv1
from billing.schedule.v1 import schedule_events_pb2
from billing.usage.v1 import usage_events_pb2

from corebilling.db.transaction import Transaction
from corebilling.domains.rating.progressive_service import ProgressiveService
from corebilling.domains.rating.service import RatingService
from corebilling.events.envelope import payload


class RatingHandlers:
    def __init__(self, rating: RatingService) -> None:
        self._rating = rating
        self._progressive = ProgressiveService(rating)

    async def on_billing_cycle_closed(self, tx: Transaction, event: eventv1.Event) -> None:
        """Rates the cycle."""
        await self.on_billing_cycles_closed(tx, [event])

    async def on_billing_cycles_closed(self, tx: Transaction, events: Sequence[eventv1.Event]) -> None:
        """Rates cycles of one tenant together."""
        await self._rating.rate_cycles(tx, {_cycle_id(event): event for event in events})

    async def on_usage_reported(self, tx: Transaction, event: eventv1.Event) -> None:
        """Tells what the period's usage costs now, and has it invoiced if that comes to a threshold."""
        reported = payload(event)
        assert isinstance(reported, usage_events_pb2.UsageReported)
        if await self._rating.announce_rated(tx, event, reported):
            await self._progressive.bill_reached(tx, reported.subscription_id)

    async def on_usage_retracted(self, tx: Transaction, event: eventv1.Event) -> None:
        """The same without a record."""
        retracted = payload(event)
        assert isinstance(retracted, usage_events_pb2.UsageRetracted)
        await self._rating.announce_rated(tx, event, retracted)

    async def on_usage_corrected(self, tx: Transaction, event: eventv1.Event) -> None:
        """The same with another quantity."""
        corrected = payload(event)
        assert isinstance(corrected, usage_events_pb2.UsageCorrected)
        if await self._rating.announce_rated(tx, event, corrected):
            await self._progressive.bill_reached(tx, corrected.subscription_id)


def _cycle_id(event: eventv1.Event) -> str:
    closed = payload(event)
    assert isinstance(closed, schedule_events_pb2.BillingCycleClosed)
    return closed.cycle_id
