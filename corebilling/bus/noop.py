"""The bus that goes nowhere: for installations that only keep the log, and for measuring the dispatcher."""

import asyncio
import sys
from collections.abc import Sequence

from corebilling.bus.delivery import Delivery
from corebilling.bus.port import Consumer


class NoopBus:
    """Takes everything and delivers nothing."""

    max_event_bytes = sys.maxsize

    async def publish(self, deliveries: Sequence[Delivery]) -> None:
        """Done as soon as it is asked."""

    def subscribe(self, consumer: Consumer) -> None:
        """Nothing will ever reach it."""

    async def run(self) -> None:
        """Nothing arrives."""
        await asyncio.Event().wait()
