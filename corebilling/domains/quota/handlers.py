"""What other domains' events mean for quotas."""

from collections.abc import Sequence

from billing.event.v1 import event_pb2 as eventv1

from corebilling.db.transaction import Transaction
from corebilling.domains.quota.service import QuotaService


class QuotaHandlers:
    def __init__(self, quotas: QuotaService) -> None:
        self._quotas = quotas

    async def on_usage_reported(self, tx: Transaction, event: eventv1.Event) -> None:
        """Tells which thresholds the usage passed."""
        await self.on_usages_reported(tx, [event])

    async def on_usages_reported(self, tx: Transaction, events: Sequence[eventv1.Event]) -> None:
        """The same for usage of one tenant together: without quotas, it is one statement for all of it."""
        await self._quotas.announce_reached(tx, events)

    async def on_usage_corrected(self, tx: Transaction, event: eventv1.Event) -> None:
        """Tells which thresholds it passed thereby."""
        await self._quotas.announce_reached(tx, [event])
